"""An upsampler with the best weights there are for a backbone, saying whose they are."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from explorer.backbones import load_backbone, statistics
from explorer.core import ExplorerError, WeightsError, WeightsWarning, pick_device
from explorer.core.messages import quoted
from explorer.upsamplers import UPSAMPLERS, Upsampler
from explorer.weights import AbsentWeightsError, Checkpoint, Loaded, find, load

UNTRAINED = "untrained"
TRAINING_FREE = "training-free"
NO_WEIGHTS = (UNTRAINED, TRAINING_FREE)  # what a method without parameters may be told to have


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
    warn: bool = True,
) -> Upsampler:
    """Return an upsampler ready for a backbone, in eval mode, with ``origin``, ``checkpoint`` and
    ``digest`` set.

    Args:
        name: a registry name ("anyup", "jafar", "bilinear", ...).
        backbone: the backbone whose features will come; decides weights, channel count and image
            statistics.
        checkpoint: a row's name, a path to weights, "untrained" for random weights, or None for
            the best that can be had. Where better ones are known, a WeightsWarning says so and
            ``fallback_for`` names them. A file that carries no settings (see `Upsampler.save`) is
            read under the published ones, with a warning, unless ``options`` says which.
        device: "cuda", "mps", "cpu" or None for the best there is.
        stage: the backbone's stage, if not its default.
        channels: the features' channel count, if no backbone is named.
        options: constructor arguments, for weights without settings or to start untrained.
        allow_network: whether missing weights may be downloaded.
        warn: False where the caller shows ``weights_caption()`` to whoever asked.

    Raises:
        UnknownNameError: no such upsampler or checkpoint.
        WeightsError: the weights are absent, damaged or do not fit, or the method has none to
            load; without ``checkpoint``, there are none for this backbone here. Random weights are
            never returned unasked.
    """
    kind = UPSAMPLERS.get(name)
    if channels is None and backbone is not None and kind.trained and not kind.agnostic:
        channels = load_backbone(backbone, stage, "cpu", pretrained=False).dim
    loaded, better = None, None
    if kind.trained and checkpoint != UNTRAINED:
        if checkpoint is None:
            loaded, better = _best(kind, backbone, stage, channels, allow_network)
        else:
            loaded = load(checkpoint, allow_network=allow_network)
    upsampler = _build(kind, loaded, channels, options or {})
    if loaded is None:
        has_weights = next(upsampler.parameters(), None) is not None
        if has_weights and checkpoint != UNTRAINED:
            raise _no_weights(kind, backbone, stage)
        if checkpoint is not None and checkpoint not in NO_WEIGHTS:
            raise WeightsError(
                f"{kind.title} has no weights to load; leave out its checkpoint "
                f"{quoted(str(checkpoint))}"
            )
        upsampler.origin = UNTRAINED if has_weights else TRAINING_FREE
        upsampler.checkpoint, upsampler.digest = upsampler.origin, upsampler.origin
    else:
        _fill(upsampler, loaded, backbone)
        described = loaded.row or loaded.settings or options is not None
        upsampler.settings_assumed = not described
    if better is not None:
        upsampler.fallback_for, upsampler.fallback_since = better, time.monotonic()
    if warn:
        _warn(upsampler)
    return upsampler.eval().requires_grad_(False).to(pick_device(device))


def _best(
    kind: type[Upsampler],
    backbone: str | None,
    stage: str | None,
    channels: int | None,
    allow_network: bool,
) -> tuple[Loaded, str | None]:
    """Return the first row that can be had, best fit first, and the name of a better one that
    could not; raises AbsentWeightsError if there is none.
    """
    missing: tuple[str, str] | None = None
    for row in find(kind.name, backbone, stage, channels):
        try:
            found = load(row, allow_network=allow_network)
            return found, missing and missing[0]
        except AbsentWeightsError as error:  # a damaged or tampered file is refused, not skipped
            missing = missing or (row.name, str(error))
    raise _no_weights(kind, backbone, stage, missing and missing[1])


def _no_weights(
    kind: type[Upsampler], backbone: str | None, stage: str | None, absent: str | None = None
) -> AbsentWeightsError:
    whose = f" for {backbone}{':' + stage if stage else ''}" if backbone else ""
    why = absent or (
        f"no file of weights is known; train some (python -m explorer train {kind.name}) or name a "
        "file"
    )
    return AbsentWeightsError(
        f"{kind.title} has no weights{whose} here: {why}; the checkpoint {UNTRAINED!r} stands for "
        "random ones"
    )


def _warn(upsampler: Upsampler) -> None:
    name = upsampler.checkpoint
    if upsampler.fallback_for:
        warnings.warn(
            f"{name} stands in for {upsampler.fallback_for}, which fits better but is not on this "
            "machine and could not be fetched",
            WeightsWarning,
            stacklevel=3,
        )
    if upsampler.settings_assumed:
        warnings.warn(
            f"{name} does not say with which settings it was made: the published ones are assumed; "
            "write it with upsampler.save(path), or name them in options",
            WeightsWarning,
            stacklevel=3,
        )


def _build(
    kind: type[Upsampler], loaded: Loaded | None, channels: int | None, given: Mapping[str, Any]
) -> Upsampler:
    row: Checkpoint | None = loaded.row if loaded else None
    known = (loaded.row or loaded.settings) if loaded else None
    if known and known.method != kind.name:
        raise WeightsError(f"{loaded.path.name} holds weights of {known.method}, not {kind.name}")
    options = (dict(known.options) if known else {}) | dict(given)
    width = row.channels if row and row.channels else channels
    if width is not None:
        options = kind.options_for(width) | options
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # untrained weights are the same everywhere
        try:
            return kind(**options)
        except (TypeError, ValueError, RuntimeError) as error:
            if loaded is None or given:
                raise
            reason = str(error).splitlines()[0][:200]
            raise WeightsError(
                f"{kind.title} cannot be built with the settings of {loaded.path.name}: {reason}"
            ) from None


def _fill(upsampler: Upsampler, loaded: Loaded, backbone: str | None) -> None:
    try:
        upsampler.load_state_dict(loaded.state, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{loaded.path.name} does not fit {upsampler.title}: {reason}") from None
    row = loaded.row
    upsampler.origin, upsampler.digest = loaded.label, loaded.digest_seen
    upsampler.checkpoint = row.name if row else loaded.path.name
    if loaded.settings:
        upsampler.mean, upsampler.std = loaded.settings.mean, loaded.settings.std
    if row and row.statistics == "own":
        upsampler.mean, upsampler.std = row.mean, row.std
    elif row and row.statistics == "backbone":
        backbone = backbone or (row.backbone if row.backbone != "any" else None)
        if backbone is None:
            raise ExplorerError(
                f"{row.name} expects the image statistics of its backbone; name the backbone"
            )
        upsampler.mean, upsampler.std = statistics(backbone)
