"""An upsampler with the best weights there are for a backbone, saying whose they are."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from explorer.backbones import load_backbone, statistics
from explorer.core import ExplorerError, WeightsError, pick_device
from explorer.hub import AbsentWeightsError, Checkpoint, Loaded, find, load
from explorer.upsamplers import UPSAMPLERS, Upsampler

UNTRAINED = "untrained"
TRAINING_FREE = "training-free"


def load_upsampler(
    name: str,
    backbone: str | None = None,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = None,
    *,
    stage: str | None = None,
    channels: int | None = None,
    options: Mapping[str, Any] | None = None,
    allow_network: bool = True,
) -> Upsampler:
    """Return an upsampler ready for a backbone, in eval mode, with ``origin``, ``checkpoint`` and
    ``digest`` set.

    Args:
        name: a registry name ("anyup", "jafar", "bilinear", ...).
        backbone: the backbone whose features will come; decides weights, channel count and image
            statistics.
        checkpoint: a row's name, a path to weights, "untrained", or None for the best there is.
            Without any, the method starts from random weights and says so (``origin`` "untrained").
        device: "cuda", "mps", "cpu" or None for the best there is.
        stage: the backbone's stage, if not its default.
        channels: the features' channel count, if no backbone is named.
        options: constructor arguments, for weights without a card or to start untrained.
        allow_network: whether missing weights may be downloaded.

    Raises:
        UnknownNameError: no such upsampler or checkpoint.
        WeightsError: the named weights are absent, damaged or do not fit.
    """
    kind = UPSAMPLERS.get(name)
    if channels is None and backbone is not None and kind.trained and not kind.agnostic:
        channels = load_backbone(backbone, stage, "cpu", pretrained=False).dim
    loaded, absent = None, False
    if kind.trained and checkpoint != UNTRAINED:
        if checkpoint is None:
            loaded, absent = _best(name, backbone, stage, channels, allow_network)
        else:
            loaded = load(checkpoint, allow_network=allow_network)
    upsampler = _build(kind, loaded, channels, options or {})
    if loaded is None:
        upsampler.origin = UNTRAINED if kind.trained else TRAINING_FREE
        upsampler.checkpoint, upsampler.digest = upsampler.origin, upsampler.origin
    else:
        _fill(upsampler, loaded, backbone)
    upsampler.stand_in_since = time.monotonic() if absent else None
    return upsampler.eval().requires_grad_(False).to(pick_device(device))


def _best(
    name: str, backbone: str | None, stage: str | None, channels: int | None, allow_network: bool
) -> tuple[Loaded | None, bool]:
    """Return the first row that can be had, best fit first (None if there is none at all), and
    whether a better one was absent.
    """
    absent = False
    for row in find(name, backbone, stage, channels):
        try:
            return load(row, allow_network=allow_network), absent
        except AbsentWeightsError:  # a damaged or tampered file is said, not skipped
            absent = True
    return None, absent


def _build(
    kind: type[Upsampler], loaded: Loaded | None, channels: int | None, given: Mapping[str, Any]
) -> Upsampler:
    row: Checkpoint | None = loaded.row if loaded else None
    options = (dict(row.options) if row else {}) | dict(given)
    width = row.channels if row and row.channels else channels
    if width is not None:
        options = kind.options_for(width) | options
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # untrained weights are the same everywhere
        return kind(**options)


def _fill(upsampler: Upsampler, loaded: Loaded, backbone: str | None) -> None:
    try:
        upsampler.load_state_dict(loaded.state, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{loaded.path.name} does not fit {upsampler.title}: {reason}") from None
    row = loaded.row
    upsampler.origin, upsampler.digest = loaded.label, loaded.digest_seen
    upsampler.checkpoint = row.name if row else loaded.path.name
    if row and row.statistics == "own":
        upsampler.mean, upsampler.std = row.mean, row.std
    elif row and row.statistics == "backbone":
        backbone = backbone or (row.backbone if row.backbone != "any" else None)
        if backbone is None:
            raise ExplorerError(
                f"{row.name} expects the image statistics of its backbone; name the backbone"
            )
        upsampler.mean, upsampler.std = statistics(backbone)
