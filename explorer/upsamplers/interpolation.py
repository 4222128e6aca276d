"""Nearest, bilinear and bicubic interpolation: the baselines that never look at the image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from explorer.upsamplers.base import UPSAMPLERS, LinearResampler, Rows, Upsampler


class SeparableResampler(LinearResampler):
    """``F.interpolate``, with its two one-dimensional maps at hand for bands of rows and single
    pixels.
    """

    def __init__(self, values: Tensor, output_size: tuple[int, int], mode: str):
        self.values, self.output_size, self.mode = values, output_size, mode
        self.row_map, self.col_map = (
            axis_map(cells, size, mode, values)
            for cells, size in zip(values.shape[-2:], output_size, strict=True)
        )

    def apply(self, values: Tensor, rows: Rows = None) -> Tensor:
        """Interpolate (B, K, h, w) to the output, or to the rows [r0, r1) of it."""
        if rows is None:
            return interpolate(values, self.output_size, self.mode)
        start, stop = self.check_rows(rows)
        return self.row_map[start:stop] @ (values @ self.col_map.T)

    def stencil(self, row: int, col: int, batch: int = 0) -> Tensor:
        """Return the outer product of the two one-dimensional stencils, (h, w)."""
        self.check_query(row, col, batch)
        return torch.outer(self.row_map[row], self.col_map[col])


def interpolate(values: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """Call ``F.interpolate`` with the corner rule that every mode but nearest takes."""
    corners = {} if mode == "nearest" else {"align_corners": False}
    return F.interpolate(values, size, mode=mode, **corners)


def axis_map(cells: int, outputs: int, mode: str, like: Tensor) -> Tensor:
    """Return the (outputs, cells) matrix of the interpolation along one axis."""
    units = torch.eye(cells, dtype=like.dtype, device=like.device)[None, :, :, None]
    return interpolate(units, (outputs, 1), mode)[0, :, :, 0].T


class Interpolation(Upsampler):
    """An interpolation that ignores the image."""

    mode: str

    def _prepare(
        self, guidance: Tensor, values: Tensor, output_size: tuple[int, int]
    ) -> SeparableResampler:
        return SeparableResampler(values, output_size, self.mode)


@UPSAMPLERS.register("nearest")
class Nearest(Interpolation):
    """Each output pixel copies the coarse cell it falls into."""

    name = "nearest"
    title = "Nearest"
    mode = "nearest"


@UPSAMPLERS.register("bilinear")
class Bilinear(Interpolation):
    """A weighted mean of the four nearest cells (align_corners False)."""

    name = "bilinear"
    title = "Bilinear"
    mode = "bilinear"


@UPSAMPLERS.register("bicubic")
class Bicubic(Interpolation):
    """Cubic convolution over sixteen cells; weights sum to one but some are negative."""

    name = "bicubic"
    title = "Bicubic"
    mode = "bicubic"
    convex = False
