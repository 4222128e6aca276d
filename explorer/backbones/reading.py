"""Read a backbone as a method asks for it: at a larger input, mirrored too, or moved by parts of a
cell.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from explorer.backbones.alignment import moved
from explorer.backbones.base import Backbone
from explorer.core import ALIGN, ONCE, FeatureMap, Reading


def read(
    backbone: Backbone,
    photo: Callable[[tuple[int, int]], Tensor],
    size: tuple[int, int],
    reading: Reading = ONCE,
    align: bool = ALIGN,
) -> FeatureMap:
    """Return the features of a photo as ``reading`` says.

    Args:
        backbone: the network.
        photo: gives the photo (1, 3, H, W) in [0, 1] at a size (H, W).
        size: (H, W) of one plain pass; both are multiples of the stride.
        reading: what is asked beyond that.
        align: see `Backbone.extract`.

    Raises:
        SizeError: a side is not a multiple of the stride.
    """
    image = photo((size[0] * reading.factor, size[1] * reading.factor))

    def once(given: Tensor) -> Tensor:
        return backbone.extract(given, align).data

    def mirrored_too(given: Tensor) -> Tensor:
        found = once(given)
        return (found + once(given.flip(-1)).flip(-1)) / 2 if reading.flipped else found

    if not reading.interleaved:
        return FeatureMap(mirrored_too(image), backbone.name, tuple(image.shape[-2:]))
    first = -round(backbone.stride / 4)
    moves = first, first + backbone.stride // 2
    rows = [
        torch.stack([mirrored_too(moved(image, (dy, dx))) for dx in moves], dim=-1).flatten(-2)
        for dy in moves
    ]
    return FeatureMap(
        torch.stack(rows, dim=-2).flatten(-3, -2), backbone.name, tuple(image.shape[-2:])
    )
