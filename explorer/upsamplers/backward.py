"""What one output pixel reads through a chain of local filters, carried backwards in patches."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from explorer.upsamplers.windows import cells_read


@dataclass(frozen=True, eq=False)
class Patch:
    """Weights (n, m) on a rectangle of a map: first row ``top``, first column ``left``."""

    weights: Tensor
    top: int
    left: int

    @property
    def rows(self) -> tuple[int, int]:
        """[first, last + 1) row."""
        return self.top, self.top + self.weights.shape[0]

    @property
    def cols(self) -> tuple[int, int]:
        """[first, last + 1) column."""
        return self.left, self.left + self.weights.shape[1]

    def placed(self, size: tuple[int, int]) -> Tensor:
        """Return the whole map (H, W), zero outside the patch."""
        out = self.weights.new_zeros(size)
        out[slice(*self.rows), slice(*self.cols)] = self.weights
        return out


def through_maps(patch: Patch, row_map: Tensor, col_map: Tensor) -> Patch:
    """Carry a patch back through a bilinear map, antialiased or not, given as (outputs, inputs)
    matrices per axis.
    """
    spans = []
    for matrix, (first, stop) in ((row_map, patch.rows), (col_map, patch.cols)):
        outputs, cells = matrix.shape
        spans.append(cells_read(cells, outputs, first, stop - 1, max(1.0, cells / outputs)))
    used = [m[slice(*s)] for m, s in ((row_map, patch.rows), (col_map, patch.cols))]
    return _through(patch.weights, *used, *spans)


def through_filter(
    patch: Patch, kernel: Tensor, radius: int, row_map: Tensor, col_map: Tensor
) -> Patch:
    """Carry a patch back through per-pixel kernels on a reflect-padded, bicubically enlarged map.

    Args:
        patch: on the filter's output.
        kernel: (taps, n, m), the kernels of the patch's pixels, taps in row-major order.
        radius: of the kernels; the padding is as wide.
        row_map: (size, cells), the enlargement of the rows.
        col_map: likewise of the columns.
    """
    rows, cols = patch.weights.shape
    shares = (kernel * patch.weights).reshape(1, kernel.shape[0], rows * cols)
    side = 2 * radius + 1
    spread = F.fold(shares, (rows + 2 * radius, cols + 2 * radius), side)[0, 0]
    used, spans = [], []
    for start, count, matrix in ((patch.top, rows, row_map), (patch.left, cols, col_map)):
        outputs, cells = matrix.shape
        index = _reflected(start, count, radius, outputs)
        used.append(matrix[torch.tensor(index, device=matrix.device)])
        spans.append(cells_read(cells, outputs, min(index), max(index), 2.0))
    return _through(spread, *used, *spans)


def _reflected(start: int, count: int, radius: int, size: int) -> list[int]:
    """Return which rows of a map [start - radius, start + count + radius) are, when reflected."""
    index = map(abs, range(start - radius, start + count + radius))
    return [i if i < size else 2 * (size - 1) - i for i in index]


def _through(
    weights: Tensor,
    row_map: Tensor,
    col_map: Tensor,
    rows: tuple[int, int],
    cols: tuple[int, int],
) -> Patch:
    """Apply both transposed maps, (n, inputs) and (m, inputs), on the inputs that they read."""
    (top, bottom), (left, right) = rows, cols
    return Patch(row_map[:, top:bottom].T @ weights @ col_map[:, left:right], top, left)
