"""Where the cells of a feature map look: how far from the centre of the square of pixels under
them, measured on photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from explorer.backbones import Backbone
from explorer.backbones.alignment import moved
from explorer.core import ExplorerError
from explorer.evaluation.statistics import mean_interval
from explorer.imaging import Photo, center_crop_square

PLACES = 6  # in a row and in a column of a photo
PATCH, STRENGTH = 8, 0.4  # side in pixels and standard deviation of the noise at a place
BORDER = 5 / 16  # of a photo's side: what lies nearer to the edge is not looked at
FAINT = 0.05  # of the largest change: smaller ones are rounding and far context
STEPS = 8  # moves per cell in the flip test, which goes one cell up and one down
BATCH = 2
SMALLEST_INPUT = 16  # cells along a side
HALF = 0.5
REPEATABLE = 1e-4  # relative difference of two readings of one photo


@dataclass(frozen=True)
class CellOffset:
    """Where cells look, from their centres, as (dy, dx) in cells of ``stride`` pixels.

    ``low`` and ``high`` are the 95 % bootstrap interval over photos.
    """

    method: str  # "perturbation" or "flip"
    input_size: int
    stride: int
    cells: tuple[float, float]
    low: tuple[float, float]
    high: tuple[float, float]

    @property
    def pixels(self) -> tuple[float, float]:
        """(dy, dx) in input pixels."""
        return tuple(self.stride * value for value in self.cells)

    def differs(self, other: CellOffset) -> bool:
        """Whether both measurements exclude each other on an axis, by more than .1 cells."""
        return any(
            abs(one - two) > 0.1 and (low > top or high < bottom)
            for one, two, low, high, bottom, top in zip(
                self.cells, other.cells, self.low, self.high, other.low, other.high, strict=True
            )
        )


def measure(
    backbone: Backbone,
    photos: Sequence[Photo],
    input_size: int,
    method: str = "perturbation",
    align: bool = False,
) -> CellOffset:
    """Return where the backbone's cells look, on the middle squares of ``photos``.

    "perturbation" adds noise to small patches, one at a time, and compares each patch's place with
    the energy centroid of the change in the features. "flip" moves a mirrored photo until its
    features, mirrored back, match those of the photo best: by twice the offset.

    Args:
        backbone: what is measured.
        photos: two or more, whose shorter sides are half of ``input_size`` or more.
        input_size: side in pixels of the squares, brought to a multiple of the stride.
        method: "perturbation" or "flip".
        align: whether the backbone's declared offset is corrected first.

    Raises:
        ExplorerError: too few or too small photos, an input of too few cells, a backbone that gives
            other features each time, or an offset of more than half a cell.
    """
    side = round(input_size / backbone.stride) * backbone.stride
    _check(backbone, photos, side)
    device = next((p.device for p in backbone.parameters()), None)
    images = [center_crop_square(photo, side).to(device) for photo in photos]
    one, again = (backbone.extract(images[0], align=align).data for _ in range(2))
    if not torch.allclose(one, again, rtol=0, atol=REPEATABLE * float(one.abs().max())):
        raise ExplorerError(
            f"{backbone.title} gives other features each time it reads the same photo, so no "
            "offset can be measured; switch off what is random in it"
        )
    reading = {"perturbation": _by_perturbation, "flip": _by_flip}[method]
    generator = torch.Generator().manual_seed(0)
    found = np.array([reading(backbone, image, generator, align) for image in images])
    bounds = [mean_interval(column) for column in found.T]
    cells = tuple(float(value) for value in found.mean(0))
    if max(map(abs, cells)) >= HALF:
        raise ExplorerError(
            f"a cell of {backbone.title} looks {max(cells, key=abs):+.2f} cells from its centre by "
            f"{method}, half a cell or more and so nearer to another cell's centre; its features "
            "do not lie on the grid of its stride and cannot be aligned"
        )
    low, high = (tuple(float(bound[i]) for bound in bounds) for i in (0, 1))
    return CellOffset(method, side, backbone.stride, cells, low, high)


def _check(backbone: Backbone, photos: Sequence[Photo], side: int) -> None:
    if len(photos) < 2:
        raise ExplorerError("an interval needs two photos or more; name a folder with more photos")
    if side < SMALLEST_INPUT * backbone.stride:
        raise ExplorerError(
            f"an input of {side} pixels has too few cells of {backbone.title} to leave its borders "
            f"out; choose an input size of {SMALLEST_INPUT * backbone.stride} or more"
        )
    for photo in photos:
        if min(photo.size) < side / 2:
            raise ExplorerError(
                f"the photo {photo.name} is {photo.size[1]}x{photo.size[0]} pixels, too small for "
                f"an input of {side}; choose photos of {(side + 1) // 2} pixels or more at their "
                "shorter side, or a smaller input size"
            )


def _by_perturbation(
    backbone: Backbone, image: Tensor, generator: torch.Generator, align: bool
) -> tuple[float, float]:
    """Return (dy, dx) in cells: the mean over places of place minus centroid of the change."""
    side, stride = image.shape[-1], backbone.stride
    first, last = BORDER * side, (1 - BORDER) * side - PATCH - stride
    lines = torch.linspace(first, last, PLACES).round().long()
    places = torch.cartesian_prod(lines, lines)
    # every phase of the cells is met alike, so that the grid's own steps cancel
    phases = [torch.randperm(len(places), generator=generator) for _ in range(2)]
    places = places + torch.stack(phases, 1) * stride // len(places)
    noise = STRENGTH * torch.randn(len(places), 3, PATCH, PATCH, generator=generator)
    plain, differences = backbone.extract(image, align=align).data, []
    for start in range(0, len(places), BATCH):
        some = places[start : start + BATCH].tolist()
        batch = image.repeat(len(some), 1, 1, 1)
        for one, (row, col), added in zip(batch, some, noise[start:], strict=False):
            patch = one[:, row : row + PATCH, col : col + PATCH]
            patch.add_(added.to(patch)).clamp_(0, 1)
        energy = (backbone.extract(batch, align=align).data - plain).square().sum(1)
        energy = energy * (energy > FAINT * energy.amax((1, 2), keepdim=True))
        cells = torch.arange(energy.shape[-1], device=energy.device) + 0.5
        total = energy.sum((1, 2))
        seen = [(energy.sum(axis) * cells).sum(1) / total for axis in (2, 1)]
        seen = torch.stack(seen, 1).cpu()  # (n, 2) row and column of the change
        differences.append((places[start : start + BATCH] + PATCH / 2) / stride - seen)
    dy, dx = torch.cat(differences).mean(0).tolist()
    return dy, dx


def _by_flip(
    backbone: Backbone, image: Tensor, generator: torch.Generator, align: bool
) -> tuple[float, float]:
    """Return (dy, dx) in cells: half the move of the mirrored photo at which features agree."""
    stride = backbone.stride
    plain = backbone.extract(image, align=align).data
    edge = round(BORDER * plain.shape[-1])
    inner = (..., slice(edge, -edge), slice(edge, -edge))
    step = max(1, stride // STEPS)
    moves = range(-stride, stride + 1, step)
    found = []
    for axis in (-2, -1):
        apart = []
        for move in moves:
            shift = (move, 0) if axis == -2 else (0, move)
            mirrored = backbone.extract(moved(image.flip(axis), shift), align=align).data.flip(axis)
            apart.append((mirrored - plain)[inner].square().mean().item())
        best = int(np.argmin(apart))
        if best in (0, len(apart) - 1):
            found.append(moves[best] / -2 / stride)
            continue
        # the vertex of the parabola through the least difference and its neighbours
        left, middle, right = apart[best - 1 : best + 2]
        vertex = (left - right) / 2 / (left - 2 * middle + right)
        found.append((moves[best] + vertex * step) / -2 / stride)
    dy, dx = found
    return dy, dx


def at_sizes(
    backbone: Backbone, photos: Sequence[Photo], input_size: int, align: bool = False
) -> list[CellOffset]:
    """Return the offset by perturbation and by flip at ``input_size``, then by perturbation at one
    more cell a side (the other parity) and at three quarters of the size.
    """
    stride = backbone.stride
    input_size = round(input_size / stride) * stride
    smaller = max(SMALLEST_INPUT * stride, round(0.75 * input_size / stride) * stride)
    sizes = [size for size in (input_size + stride, smaller) if size != input_size]
    ways = [(input_size, "perturbation"), (input_size, "flip")]
    ways += [(size, "perturbation") for size in sizes]
    return [measure(backbone, photos, size, method, align) for size, method in ways]
