"""Any timm model as a backbone: patch size, prefix tokens, width and statistics are read from the
model.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import timm
import torch
from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from explorer.backbones.base import BACKBONES, Backbone
from explorer.core import ExplorerError, SizeError, UnknownNameError, WeightsError
from explorer.resources.memory import is_out_of_memory
from explorer.weights import hub_file
from explorer.weights.fetch import cached_hub_file

# What timm's models and torch raise for a call they cannot carry out.
CALL_ERRORS = (
    AssertionError,
    IndexError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)


class TimmBackbone(Backbone):
    """A timm model read at its last block after the final norm, patch tokens only (or at a named
    stage index).

    Where timm has no norm for single tokens (Hiera and SAM 2's encoders normalise after pooling),
    it is the last block's output, and ``remark`` says so.

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
        self.stride = levels[self.index]["reduction"]
        self.origin = "published" if pretrained else "untrained"
        self.digest = f"{config.get('hf_hub_id') or name}@{config.get('tag') or ''}:{self.origin}"
        self.norm = stage is None and _takes_norm(model)
        self.dim = levels[self.index]["num_chs"]
        if self.norm and model.num_features != self.dim:  # what norms may change the width as well
            self.dim = _normed_width(name, self.index) or self.dim
        if stage is None and not self.norm:
            self.remark = "last block, no final norm"
        self.model = model.eval().requires_grad_(False)

    def encode(self, image: Tensor) -> Tensor:
        """Return the stage's map (B, dim, h, w).

        Raises:
            SizeError: the model takes the size it was made for, but not this one.
            ExplorerError: timm cannot compute the map at any size, or not on the stride's grid.
        """
        try:
            found = self._read(image)
        except CALL_ERRORS as error:
            if is_out_of_memory(error):
                raise
            raise self._refusal(image, error) from None
        grid = tuple(side // self.stride for side in image.shape[-2:])
        if tuple(found.shape[1:]) != (self.dim, *grid):
            raise ExplorerError(
                f"{self.title} gives a map of {_shape(found)} for a {_size(image)} image, not the "
                f"{self.dim} channels on {grid[0]}x{grid[1]} cells of its stride {self.stride}, so "
                "its cells cannot be placed on the image; choose another size or backbone"
            )
        return found

    def _read(self, image: Tensor) -> Tensor:
        return _intermediate(self.model, image, self.index, self.norm)

    def _refusal(self, image: Tensor, error: Exception) -> ExplorerError:
        """Return what to raise for an error of timm's: of sizes only if the model's own works."""
        reason = " ".join(str(error).split())[:160].rstrip(".")
        own = image.new_zeros(len(image), *self.model.pretrained_cfg["input_size"])
        try:
            self._read(own)
        except CALL_ERRORS as other:
            if is_out_of_memory(other):
                raise
            return ExplorerError(
                f"timm cannot compute feature maps of {self.title} ({type(error).__name__}: "
                f"{reason}); choose another backbone"
            )
        why = f" ({reason})" if reason and isinstance(error, AssertionError) else ""
        made_for = f"it was made for {_size(own)}"
        if any(side % self.stride for side in own.shape[-2:]):
            made_for += f", of which its stride {self.stride} makes no whole cells"
        return SizeError(f"{self.title} cannot take a {_size(image)} image{why}; {made_for}")


class _Started(Exception):
    """A model has begun to compute."""


def _takes_norm(model: nn.Module) -> bool:
    """Whether ``forward_intermediates`` can norm its maps; nothing is computed to find out.

    A model that cannot refuses the argument before its first layer, which it reaches without.
    """

    def stop(*_: Any) -> None:
        raise _Started

    def starts(norm: bool) -> bool:
        try:
            _intermediate(model, torch.zeros(1, *model.pretrained_cfg["input_size"]), 0, norm)
        except _Started:
            return True
        except CALL_ERRORS:
            return False
        return True

    layers = [layer for layer in model.modules() if layer is not model]
    hooks = [layer.register_forward_pre_hook(stop) for layer in layers]
    try:
        return starts(True) or not starts(False)
    finally:
        for hook in hooks:
            hook.remove()


def _normed_width(name: str, index: int) -> int | None:
    """Return the channels of a normed map (SAM's norm is a neck from 768 to 256), None if unknown.

    A copy on torch's meta device has no values, so nothing is computed to find out.
    """
    with torch.device("meta"), torch.no_grad():
        try:
            model = _create(name, pretrained=False).eval()
            image = torch.zeros(1, *model.pretrained_cfg["input_size"])
            return _intermediate(model, image, index, norm=True).shape[1]
        except CALL_ERRORS:
            return None


def _intermediate(model: nn.Module, image: Tensor, index: int, norm: bool) -> Tensor:
    """Return the map (B, C, h, w) of one of timm's levels."""
    return model.forward_intermediates(
        image, indices=[index], norm=norm, output_fmt="NCHW", intermediates_only=True
    )[0]


def _size(image: Tensor) -> str:
    return f"{image.shape[-2]}x{image.shape[-1]}"


def _shape(found: Tensor) -> str:
    return "x".join(str(side) for side in found.shape[1:])


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


def timm_cached(name: str) -> bool:
    """Whether the Hub's cache on this machine holds a timm model's weights; no request is made."""
    config = get_pretrained_cfg(name)
    if config is None or not config.hf_hub_id:
        return False
    file = config.hf_hub_filename or "model.safetensors"
    return cached_hub_file(config.hf_hub_id, file) is not None


def preset(name: str, title: str, summary: str, paper: str = "", *, order: int) -> None:
    """Register a timm model under its own name with a title and a place for menus."""

    def make(stage: str | None = None, pretrained: bool = True) -> TimmBackbone:
        return TimmBackbone(name, title, stage, pretrained, paper)

    make.title, make.order, make.__doc__ = title, order, summary
    make.embedded, make.stages, make.menu_stages = False, (), ()
    make.statistics, make.is_cached = partial(timm_statistics, name), partial(timm_cached, name)
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
        except TypeError as error:  # most likely of the option
            reason = error
        except CALL_ERRORS as error:
            if is_out_of_memory(error):
                raise
            reason = error
            break
    raise WeightsError(f"timm cannot build {name}: {' '.join(str(reason).split())[:160]}")


def _stage_index(stage: str, count: int, name: str) -> int:
    if not str(stage).isdigit() or int(stage) >= count:
        raise UnknownNameError(f"{name} has stages 0 to {count - 1}, not {stage!r}")
    return int(stage)
