"""Nearest, bilinear and bicubic interpolation: the baselines that never look at the image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from explorer.upsamplers.base import UPSAMPLERS, LinearResampler, Rows, Upsampler
from explorer.upsamplers.windows import cells_read


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

    def sample(self, rows: Tensor, cols: Tensor) -> Tensor:
        """Return all channels at single output pixels, (B, N, C)."""
        across = torch.einsum("bchw,nw->bnch", self.values, self.col_map[cols])
        return torch.einsum("bnch,nh->bnc", across, self.row_map[rows])

    def stencil(self, row: int, col: int, batch: int = 0) -> Tensor:
        """Return the outer product of the two one-dimensional stencils, (h, w)."""
        self.check_query(row, col, batch)
        return torch.outer(self.row_map[row], self.col_map[col])

    def touched(self, row: int, col: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the half-open ranges of rows and columns of cells that bilinear interpolation
        reads for one output pixel.
        """
        places = zip(self.grid, self.output_size, (row, col), strict=True)
        rows, cols = (cells_read(cells, size, i, i, 1.0) for cells, size, i in places)
        return rows, cols


def interpolate(
    values: Tensor, size: tuple[int, int], mode: str, antialias: bool = False
) -> Tensor:
    """Call ``F.interpolate`` with the corner rule that every mode but nearest takes."""
    options = {} if mode == "nearest" else {"align_corners": False, "antialias": antialias}
    if antialias and values.dtype in (torch.float16, torch.bfloat16):
        # torch has no antialiased kernel for these types on a CPU
        return F.interpolate(values.float(), size, mode=mode, **options).to(values.dtype)
    return F.interpolate(values, size, mode=mode, **options)


def axis_map(cells: int, outputs: int, mode: str, like: Tensor, antialias: bool = False) -> Tensor:
    """Return the (outputs, cells) matrix of the interpolation along one axis."""
    # Not on a map of width 1: torch's antialiased kernel gives wrong values there.
    units = torch.eye(cells, dtype=like.dtype, device=like.device)[None, None]
    return interpolate(units, (outputs, cells), mode, antialias)[0, 0]


class Interpolation(Upsampler):
    """An interpolation that ignores the image."""

    uses_image = False
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
    order = 10
    convex = True
    mode = "nearest"


@UPSAMPLERS.register("bilinear")
class Bilinear(Interpolation):
    """A weighted mean of the four nearest cells (align_corners False)."""

    name = "bilinear"
    title = "Bilinear"
    order = 20
    convex = True
    mode = "bilinear"


@UPSAMPLERS.register("bicubic")
class Bicubic(Interpolation):
    """Cubic convolution over sixteen cells; weights sum to one but some are negative."""

    name = "bicubic"
    title = "Bicubic"
    order = 30
    mode = "bicubic"
