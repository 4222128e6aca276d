"""An upsampler's answer for one image: project, read features and look at single pixels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from explorer.core import Attention, NoAttentionError, SizeError
from explorer.resources.memory import tile_bytes

Rows = tuple[int, int] | None
# Upsampled features held at once where single pixels are picked from them.
SAMPLE_BYTES = 256 * 2**20


def check_projection(weight: Tensor, channels: int) -> None:
    """Raise SizeError unless ``weight`` is (K, channels)."""
    if weight.dim() != 2 or weight.shape[1] != channels:
        raise SizeError(
            f"a projection of shape {tuple(weight.shape)} does not fit {channels} channels; "
            f"(K, {channels}) is expected"
        )


def project_cells(values: Tensor, weight: Tensor) -> Tensor:
    """Apply a (K, C) projection to every cell of ``values`` (B, C, h, w): a 1x1 convolution."""
    check_projection(weight, values.shape[1])
    return F.conv2d(values, weight.to(values)[:, :, None, None])


class Resampler(ABC):
    """One image and its features, ready to be read at output resolution.

    Everything slow has happened; the methods here are cheap and repeatable. ``values`` are the
    coarse features the map acts on (B, C, h, w), on the device where the work is done.
    """

    values: Tensor
    output_size: tuple[int, int]
    projection_costs_all_channels: ClassVar[bool] = (
        False  # whether one projection costs about as much as all channels
    )
    bilinear_heads: int = 0  # how many heads of ``attention``, the last ones, interpolate
    stencil_note: str = ""  # what captions must say where they show ``stencil``

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) of the coarse grid."""
        return self.values.shape[-2], self.values.shape[-1]

    @abstractmethod
    def features(self, rows: Rows = None) -> Tensor:
        """Return all channels at output resolution (B, C, H', W'), or only the rows [r0, r1);
        differentiable.
        """

    @abstractmethod
    def project(self, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return the 1x1 convolution of ``features()`` with ``weight`` (K, C) and ``bias`` (K,):
        (B, K, H', W').
        """

    def sample(self, rows: Tensor, cols: Tensor) -> Tensor:
        """Return all channels at the output pixels (rows[i], cols[i]): (B, N, C).

        ``rows`` and ``cols`` are (N,) int64. Subclasses that need not compute whole rows are far
        cheaper.
        """
        height, width = self.output_size
        row_bytes = self.values.shape[0] * self.values.shape[1] * width * 4
        band = max(1, tile_bytes(SAMPLE_BYTES) // row_bytes)
        out = self.values.new_empty(self.values.shape[0], len(rows), self.values.shape[1])
        for start in range(0, height, band):
            stop = min(start + band, height)
            inside = (rows >= start) & (rows < stop)
            if inside.any():
                part = self.features((start, stop))
                out[:, inside] = part[:, :, rows[inside] - start, cols[inside]].transpose(1, 2)
        return out

    def attention(self, row: int, col: int, batch: int = 0) -> Attention:
        """Return what output pixel (row, col) attends to; raises NoAttentionError for methods
        without attention.
        """
        raise NoAttentionError(
            "this method has no attention; stencil(row, col) gives the weights its linear map puts "
            "on each cell"
        )

    def stencil(self, row: int, col: int, batch: int = 0) -> Tensor:
        """Return the (h, w) weights that the linear map puts on each coarse cell for output pixel
        (row, col).
        """
        raise NoAttentionError(
            "this method is not linear in the features, so no stencil describes it"
        )

    def pixel(self, row: int, col: int, batch: int = 0) -> Tensor:
        """Return the (C,) features of one output pixel."""
        self.check_query(row, col, batch)
        return self.features((row, row + 1))[batch, :, 0, col]

    def note(self) -> str:
        """Say, in a few words, what a picture's caption must mention ("" if nothing)."""
        return ""

    def check_query(self, row: int, col: int, batch: int = 0) -> None:
        """Raise SizeError unless (row, col) lies on the output grid and ``batch`` exists."""
        height, width = self.output_size
        if not (0 <= row < height and 0 <= col < width):
            raise SizeError(f"the query ({row}, {col}) is outside the {height}x{width} output")
        if not 0 <= batch < self.values.shape[0]:
            raise SizeError(
                f"there is no batch entry {batch}: the batch has {self.values.shape[0]}"
            )

    def check_rows(self, rows: Rows) -> tuple[int, int]:
        """Return ``rows`` as a pair, the whole output for None; raise SizeError if they leave
        it.
        """
        height = self.output_size[0]
        start, stop = (0, height) if rows is None else rows
        if not 0 <= start < stop <= height:
            raise SizeError(f"rows {rows} are outside the {height} output rows")
        return start, stop

    def nbytes(self) -> int:
        """Return the bytes of the tensors kept by this object (used by the session's budget)."""
        return sum(t.numel() * t.element_size() for t in _tensors(vars(self)))


class LinearResampler(Resampler):
    """A map that is linear in the features and treats every channel alike, so projecting first is
    exact.

    A subclass has to write ``apply`` alone, of differentiable operations; everything else follows
    from it. One that knows its weights overrides ``stencil`` and ``sample``, which is faster.
    """

    def __init__(self, values: Tensor, output_size: tuple[int, int]):
        self.values, self.output_size = values, tuple(output_size)

    @abstractmethod
    def apply(self, values: Tensor, rows: Rows = None) -> Tensor:
        """Carry ``values`` (B, K, h, w), any K, through the same spatial map: (B, K, H', W') or a
        band of rows.
        """

    def features(self, rows: Rows = None) -> Tensor:
        """Return all channels at output resolution, or only rows [r0, r1)."""
        return self.apply(self.values, rows)

    def stencil(self, row: int, col: int, batch: int = 0) -> Tensor:
        """Return the (h, w) weights that ``apply`` puts on each cell for output pixel (row, col).

        The map is linear, so they are the pixel's derivatives by the cells: one channel and one row
        of output are computed.
        """
        self.check_query(row, col, batch)
        with torch.enable_grad():
            cells = self.values.new_zeros(len(self.values), 1, *self.grid).requires_grad_()
            pixel = self.apply(cells, (row, row + 1))[batch, 0, 0, col]
            (weights,) = torch.autograd.grad(pixel, cells)
        return weights[batch, 0]

    def pixel(self, row: int, col: int, batch: int = 0) -> Tensor:
        """Return the (C,) features of one output pixel: its stencil times the cells."""
        return torch.einsum("hw,chw->c", self.stencil(row, col, batch), self.values[batch])

    def project(self, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Project the cells, then carry K channels; the bias is added last, whatever the rows sum
        to.
        """
        out = self.apply(project_cells(self.values, weight))
        return out if bias is None else out + bias.to(out)[:, None, None]


def _tensors(value: Any) -> list[Tensor]:
    """Collect the tensors in nested attributes of a resampler (modules' own weights are shared,
    not counted).
    """
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return [t for item in value.values() for t in _tensors(item)]
    if isinstance(value, list | tuple):
        return [t for item in value for t in _tensors(item)]
    return []
