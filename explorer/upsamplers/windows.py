"""Which cells each output pixel sees, and the tiles of pixels that see the same ones.

Bounds are plain Python numbers: no device is asked for them, and no result depends on reading one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

EDGE = 1e-4  # cells
Bounds = Sequence[tuple[int, int]]


def key_ranges(cells: int, outputs: int, ratio: float) -> Bounds:
    """Return the half-open key range (lo, hi) of every query along one axis, ``outputs`` pairs.

    ``ratio`` is AnyUp's half-width as a share of the axis; 0 or less means every cell. The
    arithmetic is float32, as in the released code: float64 gives other bounds at a few positions.
    """
    if ratio <= 0:
        return ((0, cells),) * outputs
    single = np.float32
    centre = (np.arange(outputs, dtype=single) + single(0.5)) / single(outputs)
    low = np.floor((centre - single(ratio)).clip(0, 1) * single(cells)).astype(int)
    high = np.ceil((centre + single(ratio)).clip(0, 1) * single(cells)).astype(int)
    return tuple(zip(low.tolist(), np.maximum(high, low + 1).tolist(), strict=True))


def window_bounds(cells: int, outputs: int, ratio: float) -> Tensor:
    """Return ``key_ranges`` as a tensor (outputs, 2) int64."""
    return torch.tensor(key_ranges(cells, outputs, ratio))


def cells_read(cells: int, outputs: int, first: int, last: int, reach: float) -> tuple[int, int]:
    """Return the half-open range of cells that an interpolation reads for the outputs from
    ``first`` to ``last``, both included.

    ``reach`` is its kernel's half-width in cells: 1 bilinear, 2 bicubic. A cell at the very edge of
    a kernel counts, as rounding decides whether its weight is 0.
    """
    low = (first + 0.5) * cells / outputs - 0.5 - reach
    high = (last + 0.5) * cells / outputs - 0.5 + reach
    return max(0, math.floor(low - EDGE) + 1), min(cells, math.ceil(high + EDGE))


def pooling_shares(cells: int, rows: int) -> Tensor:
    """Return the (cells, rows) weights of adaptive average pooling along one axis."""
    cell = torch.arange(cells)
    first, last = cell * rows // cells, -(-(cell + 1) * rows // cells)
    row = torch.arange(rows)
    inside = (row >= first[:, None]) & (row < last[:, None])
    return inside / inside.sum(dim=1, keepdim=True)


@dataclass(frozen=True)
class Run:
    """Consecutive queries [start, stop) along one axis that share the keys [low, high)."""

    start: int
    stop: int
    low: int
    high: int

    @property
    def shape(self) -> tuple[int, int]:
        """(queries, keys)."""
        return self.stop - self.start, self.high - self.low


def runs(bounds: Bounds, start: int = 0, stop: int | None = None) -> list[Run]:
    """Group the queries [start, stop) of ``bounds`` into runs."""
    found: list[Run] = []
    for index, (low, high) in enumerate(bounds[start:stop], start):
        if found and (found[-1].low, found[-1].high) == (low, high):
            found[-1] = Run(found[-1].start, index + 1, low, high)
        else:
            found.append(Run(index, index + 1, low, high))
    return found


def split(run: Run, size: int) -> Iterator[Run]:
    """Cut a run into runs of at most ``size`` queries."""
    for start in range(run.start, run.stop, size):
        yield Run(start, min(start + size, run.stop), run.low, run.high)


def by_shape(items: list[Run]) -> list[list[Run]]:
    """Collect runs with equal numbers of queries and keys, so that they can be computed as one
    batch.
    """
    groups: dict[tuple[int, int], list[Run]] = defaultdict(list)
    for item in items:
        groups[item.shape].append(item)
    return list(groups.values())


def batches(row_runs: list[Run], col_runs: list[Run], rows: int) -> Iterator[tuple[list[Run], ...]]:
    """Yield (runs of rows, runs of columns), each of equal shapes, with about ``rows`` output rows
    at once.
    """
    col_groups = by_shape(col_runs)
    for row_group in by_shape(row_runs):
        pieces = [piece for run in row_group for piece in split(run, rows)]
        for equal in by_shape(pieces):
            at_once = max(1, rows // equal[0].shape[0])
            for first in range(0, len(equal), at_once):
                for cols in col_groups:
                    yield equal[first : first + at_once], cols


def indices(group: list[Run], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return (T, queries) and (T, keys) indices of runs with equal shapes."""
    queries, keys = group[0].shape
    start = torch.tensor([[run.start] for run in group], device=device)
    low = torch.tensor([[run.low] for run in group], device=device)
    return start + torch.arange(queries, device=device), low + torch.arange(keys, device=device)


def tiles(grid: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """Pick tiles of a (B, H, W, d) map: (B, Tr, Tc, rows * cols, d)."""
    # Two index_selects, because indexing with two tensors at once has a slow backward pass.
    picked = grid.index_select(1, rows.flatten()).index_select(2, cols.flatten())
    picked = picked.unflatten(2, cols.shape).unflatten(1, rows.shape)  # (B, Tr, n, Tc, m, d)
    return picked.transpose(2, 3).flatten(3, 4)
