"""Weights with the settings they need, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from explorer.core import WeightsError
from explorer.hub.file_settings import FileSettings
from explorer.hub.places import write_weights

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
    state = {name: value.detach().cpu() for name, value in upsampler.state_dict().items()}
    write_with_settings(path, state, upsampler)
    return path


def write_with_settings(path: Path, state: dict[str, Tensor], upsampler: Upsampler) -> None:
    """Write a state dict of ``upsampler``, which need not be its present one, with its settings.

    Raises:
        WeightsError: a setting cannot be written as JSON.
        ExplorerError: the file cannot be written.
    """
    now = upsampler.settings
    options = {name: now[name] for name in upsampler.constructor_arguments}
    settings = FileSettings(upsampler.name, options, upsampler.mean, upsampler.std)
    write_weights(path, state, settings.header())
