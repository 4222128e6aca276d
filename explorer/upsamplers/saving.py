"""Weights with the settings they need, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from explorer.core import WeightsError
from explorer.upsamplers.settings import changed_attributes
from explorer.weights.file_settings import FileSettings
from explorer.weights.paths import write_weights

if TYPE_CHECKING:
    from explorer.upsamplers.base import Upsampler


def save_upsampler(upsampler: Upsampler, path: Path) -> Path:
    """Write the upsampler to ``path``; see ``Upsampler.save``."""
    if path.suffix != ".safetensors":
        raise WeightsError(f"weights are saved to a .safetensors file, not to {path.name!r}")
    card = path.with_suffix(".json")
    if card.is_file():
        raise WeightsError(
            f"{card} describes other weights than these; save under another name, or remove it"
        )
    check_rebuilt(upsampler)
    state = {name: value.detach().cpu() for name, value in upsampler.state_dict().items()}
    write_with_settings(path, state, upsampler)
    return path


def write_with_settings(path: Path, state: dict[str, Tensor], upsampler: Upsampler) -> None:
    """Write a state dict of ``upsampler``, which need not be its present one, with its settings.

    Raises:
        WeightsError: a setting cannot be written as JSON.
        ExplorerError: the file cannot be written.
    """
    settings = FileSettings(upsampler.name, _options(upsampler), upsampler.mean, upsampler.std)
    write_weights(path, state, settings.header())


def check_rebuilt(upsampler: Upsampler) -> None:
    """Raise WeightsError if the constructor's arguments do not bring all settings back: an
    attribute that is none of them was set later, and a file would lose it.
    """
    with torch.random.fork_rng(devices=[]):
        again = type(upsampler)(**_options(upsampler))
    again.mean, again.std = upsampler.mean, upsampler.std
    lost = changed_attributes(upsampler, again)
    if lost:
        raise WeightsError(
            f"the settings of {upsampler.name} cannot be saved: {', '.join(lost)} was changed and "
            "is no argument of its constructor; set it again after loading, or reset it to save"
        )


def _options(upsampler: Upsampler) -> dict[str, Any]:
    """Return the constructor's arguments, with the values they have now."""
    now = upsampler.settings
    return {name: now[name] for name in upsampler.constructor_arguments}
