"""Features aligned with their pixels: where cells look, as measured, and the move that corrects it.

``center_offsets.json`` holds (dy, dx) in input pixels by "name:stage", and the command that gave
them. Networks that are not in it are read as they are.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from torch import Tensor
from torch.nn import functional as F

OFFSETS = Path(__file__).with_name("center_offsets.json")
Shift = tuple[int, int]


@cache
def _declared() -> dict[str, tuple[float, float]]:
    return {name: (dy, dx) for name, (dy, dx) in json.loads(OFFSETS.read_text())["offsets"].items()}


def center_offset(name: str, stage: str) -> tuple[float, float]:
    """Return where cells look from their centres, (dy, dx) in input pixels; (0, 0) if unknown."""
    return _declared().get(f"{name}:{stage}", (0.0, 0.0))


def is_measured(name: str, stage: str) -> bool:
    """Whether the offset is known; smaller ones than a tenth of a cell are declared as 0."""
    return f"{name}:{stage}" in _declared()


def shift_of(offset: tuple[float, float]) -> Shift:
    """Return by how many whole pixels a photo moves up and left to bring cells to their centres."""
    return round(-offset[0]), round(-offset[1])


def moved(image: Tensor, shift: Shift) -> Tensor:
    """Return images (B, C, H, W) moved up and left by ``shift`` = (dy, dx) whole pixels.

    The border is reflected. Negative values move down and right; (0, 0) returns the images
    themselves. Both sides must be longer than the move.
    """
    if shift == (0, 0):
        return image
    (dy, dx), (height, width) = shift, image.shape[-2:]
    padded = F.pad(image, (max(-dx, 0), max(dx, 0), max(-dy, 0), max(dy, 0)), mode="reflect")
    top, left = max(dy, 0), max(dx, 0)
    return padded[..., top : top + height, left : left + width]
