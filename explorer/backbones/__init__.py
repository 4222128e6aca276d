"""Every backbone: importing this package imports its modules, and each registers its own."""

from __future__ import annotations

import timm
import torch

from explorer.backbones.base import BACKBONES, Backbone
from explorer.backbones.reading import read
from explorer.backbones.timm_model import (
    TimmBackbone,
    is_timm_name,
    timm_cached,
    timm_statistics,
)
from explorer.core import UnknownNameError, pick_device
from explorer.core.messages import join_names, nearest, quoted

__all__ = [
    "BACKBONES",
    "Backbone",
    "TimmBackbone",
    "is_embedded",
    "is_timm_name",
    "load_backbone",
    "read",
    "statistics",
    "weights_cached",
]

BACKBONES.discover(__name__, __path__)


def is_embedded(name: str) -> bool:
    """Whether a backbone's weights come with its Python package, so that no network is needed."""
    return name in BACKBONES and BACKBONES.get(name).embedded


def statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return (mean, std) of a backbone's input without loading it."""
    return BACKBONES.get(name).statistics() if name in BACKBONES else timm_statistics(name)


def weights_cached(name: str) -> bool:
    """Whether a backbone's weights are on this machine; no request is made."""
    return BACKBONES.get(name).is_cached() if name in BACKBONES else timm_cached(name)


def load_backbone(
    name: str,
    stage: str | None = None,
    device: str | torch.device | None = None,
    pretrained: bool = True,
) -> Backbone:
    """Return a frozen backbone by its registry name or any timm model's name.

    Args:
        name: "efficientnet_lite0", "vit_small_patch14_dinov2.lvd142m", or whatever timm knows.
        stage: an earlier stage ("blocks.4", "multi", or a timm stage index); None for the default.
        device: "cuda", "mps", "cpu" or None for the best there is.
        pretrained: False for random weights (labelled so).

    Raises:
        UnknownNameError: neither the registry nor timm has the name, or the backbone has no such
            stage.
        WeightsError: its weights cannot be had now.
    """
    options = {"pretrained": pretrained} | ({} if stage is None else {"stage": stage})
    if name in BACKBONES:
        made = BACKBONES.create(name, **options)
    elif is_timm_name(name):
        made = TimmBackbone(name, **options)
    else:
        near = nearest(name, [*BACKBONES, *timm.list_models()])
        meant = f"did you mean {near}? " if near else ""
        raise UnknownNameError(
            f"there is no backbone called {quoted(name, 60)}; {meant}choose one of: "
            f"{join_names(BACKBONES)}, or any timm model's name"
        )
    return made.to(pick_device(device))
