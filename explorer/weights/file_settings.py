"""Settings written into a file of weights, so that the file alone builds the method again.

They stand in the header of a ``.safetensors`` under the key ``upsampler``, as JSON: ``method`` (a
registry name), ``options`` (the constructor's arguments), ``mean`` and ``std`` (of the guidance
image).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from explorer.core import WeightsError

KEY = "upsampler"


@dataclass(frozen=True)
class FileSettings:
    """What a file of weights says of the method it is for."""

    method: str
    options: Mapping[str, Any]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def header(self) -> dict[str, str]:
        """Return the safetensors metadata; raises WeightsError for values that JSON has not."""
        try:
            return {KEY: json.dumps(asdict(self), sort_keys=True, allow_nan=False)}
        except (TypeError, ValueError) as error:
            raise WeightsError(f"the settings of {self.method} cannot be saved: {error}") from None


def read_settings(path: Path) -> FileSettings | None:
    """Return the settings that a file of weights carries, None if it carries none.

    Raises:
        WeightsError: the header is there and makes no sense.
    """
    if path.suffix != ".safetensors":
        return None
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(KEY)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path.name} is no readable safetensors file: {error}") from None
    if text is None:
        return None
    try:
        return _checked(json.loads(text))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise WeightsError(
            f"the settings in the header of {path.name} cannot be read; save the weights again, or "
            "write a card for them"
        ) from None


def _checked(found: Any) -> FileSettings:
    method, options = found["method"], found["options"]
    mean, std = (tuple(float(v) for v in found[key]) for key in ("mean", "std"))
    if not isinstance(method, str) or not isinstance(options, dict):
        raise TypeError("method and options")
    if len(mean) != 3 or len(std) != 3 or not all(0 < s < float("inf") for s in std):
        raise ValueError("mean and std")
    return FileSettings(method, options, mean, std)
