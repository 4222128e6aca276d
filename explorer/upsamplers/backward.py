"""What one output pixel reads through a chain of local filters, carried backwards in patches."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


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
    """Carry a patch back through a separable map given as (outputs, inputs) matrices per axis."""
    rows = torch.arange(*patch.rows, device=patch.weights.device)
    cols = torch.arange(*patch.cols, device=patch.weights.device)
    return _through(patch.weights, row_map[rows], col_map[cols])


def through_filter(
    patch: Patch, kernel: Tensor, radius: int, row_map: Tensor, col_map: Tensor
) -> Patch:
    """Carry a patch back through per-pixel kernels on a reflect-padded, separably enlarged map.

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
    row_index = _reflected(patch.top, rows, radius, row_map.shape[0], kernel.device)
    col_index = _reflected(patch.left, cols, radius, col_map.shape[0], kernel.device)
    return _through(spread, row_map[row_index], col_map[col_index])


def _reflected(start: int, count: int, radius: int, size: int, device: torch.device) -> Tensor:
    """Return which rows of a map [start - radius, start + count + radius) are, when reflected."""
    index = torch.arange(start - radius, start + count + radius, device=device).abs()
    return torch.where(index < size, index, 2 * (size - 1) - index)


def _through(weights: Tensor, row_map: Tensor, col_map: Tensor) -> Patch:
    """Apply both transposed maps, (n, inputs) and (m, inputs), on the inputs that they touch."""
    top, bottom = _touched(row_map)
    left, right = _touched(col_map)
    return Patch(row_map[:, top:bottom].T @ weights @ col_map[:, left:right], top, left)


def _touched(matrix: Tensor) -> tuple[int, int]:
    used = (matrix != 0).any(dim=0).nonzero()
    return int(used[0]), int(used[-1]) + 1
