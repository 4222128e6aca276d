"""Any timm model as a backbone: patch size, prefix tokens, width and statistics are read from the
model.
"""

from __future__ import annotations

import timm
from timm.models import get_pretrained_cfg
from torch import Tensor

from explorer.backbones.base import BACKBONES, Backbone
from explorer.core import SizeError, UnknownNameError, WeightsError
from explorer.hub import hub_file
from explorer.hub.fetch import cached_hub_file


class TimmBackbone(Backbone):
    """A timm model read at its last block after the final norm, patch tokens only (or at a named
    stage index).

    Raises:
        UnknownNameError: timm has no such model.
        WeightsError: the weights are neither cached nor reachable; loading never waits long for a
            dead network.
    """

    def __init__(
        self,
        name: str,
        title: str = "",
        stage: str | None = None,
        pretrained: bool = True,
        paper: str = "",
    ):
        super().__init__()
        if not is_timm_name(name):
            raise UnknownNameError(f"timm has no model called {name[:80]!r}")
        self.name, self.title, self.paper = name, title or name, paper
        model = _create(name, pretrained)
        config = model.pretrained_cfg
        self.mean, self.std = tuple(config["mean"]), tuple(config["std"])
        self.licence = config.get("license") or ""
        levels = list(getattr(model, "feature_info", None) or [])
        if not levels or not hasattr(model, "forward_intermediates"):
            raise UnknownNameError(f"timm's {name} does not offer its intermediate feature maps")
        self.index = len(levels) - 1 if stage is None else _stage_index(stage, len(levels), name)
        self.stage = "last" if stage is None else str(self.index)
        self.dim = levels[self.index]["num_chs"]
        self.stride = levels[self.index]["reduction"]
        self.origin = "published" if pretrained else "untrained"
        self.digest = f"{config.get('hf_hub_id') or name}@{config.get('tag') or ''}:{self.origin}"
        self.model = model.eval().requires_grad_(False)

    def encode(self, image: Tensor) -> Tensor:
        """Return the stage's map (B, dim, h, w)."""
        try:
            found = self.model.forward_intermediates(
                image,
                indices=[self.index],
                norm=self.stage == "last",
                output_fmt="NCHW",
                intermediates_only=True,
            )
        except AssertionError as error:  # timm asserts on sizes a fixed-size model cannot take
            raise SizeError(
                f"{self.title} cannot take a {tuple(image.shape[-2:])} image: {error}"
            ) from None
        return found[0]


def is_timm_name(name: str) -> bool:
    """Whether timm registers an architecture of this name (the tag after the dot included, if
    given).
    """
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        return False
    return not tag or name in timm.list_pretrained(f"{architecture}.*")


def timm_statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return (mean, std) of a timm model's input without building it."""
    config = get_pretrained_cfg(name)
    return tuple(config.mean), tuple(config.std)


def weights_cached(name: str) -> bool:
    """Whether the Hub's cache on this machine holds a timm model's weights; no request is made."""
    config = get_pretrained_cfg(name)
    if config is None or not config.hf_hub_id:
        return False
    file = config.hf_hub_filename or "model.safetensors"
    return cached_hub_file(config.hf_hub_id, file) is not None


def preset(name: str, title: str, summary: str, paper: str = "") -> None:
    """Register a timm model under its own name with a title for menus."""

    def make(stage: str | None = None, pretrained: bool = True) -> TimmBackbone:
        return TimmBackbone(name, title, stage, pretrained, paper)

    make.title, make.embedded, make.stages = title, False, ()
    make.__doc__ = summary
    BACKBONES.register(name)(make)


def _create(name: str, pretrained: bool):
    options = {"pretrained": False, "num_classes": 0}
    if pretrained:
        config = get_pretrained_cfg(name)
        if config is None or not config.hf_hub_id:
            raise WeightsError(f"timm publishes no weights on the Hub for {name}")
        path = hub_file(
            config.hf_hub_id,
            config.hf_hub_filename or "model.safetensors",
            what=f"the backbone {name}",
            alternative="efficientnet_lite0",
        )
        options = {
            "pretrained": True,
            "num_classes": 0,
            "pretrained_cfg_overlay": {"file": str(path)},
        }
    for sizes in ({"dynamic_img_size": True}, {}):
        try:
            return timm.create_model(name, **options, **sizes)
        except TypeError:
            continue
    raise WeightsError(f"timm cannot build {name}")


def _stage_index(stage: str, count: int, name: str) -> int:
    if not str(stage).isdigit() or int(stage) >= count:
        raise UnknownNameError(f"{name} has stages 0 to {count - 1}, not {stage!r}")
    return int(stage)
