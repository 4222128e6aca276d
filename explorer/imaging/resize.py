"""Resizing, cropping and normalising of images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from explorer.core import SizeError

Size = tuple[int, int]  # (H, W)


IMAGENET_MEAN = (0.485, 0.456, 0.406)


IMAGENET_STD = (0.229, 0.224, 0.225)


def normalise(
    image: Tensor,
    mean: tuple[float, ...] = IMAGENET_MEAN,
    std: tuple[float, ...] = IMAGENET_STD,
) -> Tensor:
    """(image - mean) / std per channel, (B, 3, H, W) in and out, nothing clamped."""
    shift = torch.tensor(mean, dtype=image.dtype, device=image.device).view(1, -1, 1, 1)
    scale = torch.tensor(std, dtype=image.dtype, device=image.device).view(1, -1, 1, 1)
    return (image - shift) / scale


def fit_size(size: Size, longest: int, multiple: int = 1, minimum: int | None = None) -> Size:
    """The (H, W) at which a photo of ``size`` is ``longest`` on its longer side.

    Both sides are multiples of ``multiple``: the longer one is rounded to the nearest first, then
    the shorter one follows the photo's aspect as closely as multiples allow. No side goes below
    ``max(multiple, minimum)``, nor, if ``multiple`` > 1 and ``longest`` leaves room, below two
    multiples, since many methods need a grid of at least 2 x 2 cells.

    Raises:
        SizeError: if any of the numbers is below 1.
    """
    if min(*size, longest, multiple, 1 if minimum is None else minimum) < 1:
        raise SizeError(
            f"a photo of {size} cannot be fitted to a longest side of {longest} in multiples of "
            f"{multiple} and at least {minimum}; all these numbers must be 1 or more"
        )
    least = -(-(minimum or 1) // multiple)
    longer = max(_nearest(longest, multiple), least, 1)
    if multiple > 1:
        least = max(least, min(2, longer))
    shorter = max(_nearest(longer * min(size), max(size)), least, 1)
    cells = (longer, shorter) if size[0] >= size[1] else (shorter, longer)
    return cells[0] * multiple, cells[1] * multiple


def _nearest(length: int, unit: int) -> int:
    """How many units lie nearest to a length, halves up, exact in integers."""
    return (2 * length + unit) // (2 * unit)


def resize(image: Tensor, size: Size) -> Tensor:
    """Resize an image in [0, 1] by antialiased bicubic interpolation, clamped to [0, 1].

    (B, 3, H, W) in, (B, 3, *size) out, differentiable; an image that has the size already comes
    back untouched.

    Raises:
        SizeError: if a side of ``size`` is below 1.
    """
    height, width = int(size[0]), int(size[1])
    if min(height, width) < 1:
        raise SizeError(f"an image cannot be resized to {size}; both sides must be 1 or more")
    if image.shape[-2:] == (height, width):
        return image
    resized = F.interpolate(image, (height, width), mode="bicubic", antialias=True)
    return resized.clamp(0, 1)
