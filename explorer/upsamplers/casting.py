"""Resamplers whose results come in the features' own type, whatever type they are computed in."""

from __future__ import annotations

from copy import copy
from typing import Any

import torch
from torch import Tensor

from explorer.core import Attention
from explorer.upsamplers.resampler import LinearResampler, Resampler, Rows


class CastResampler(Resampler):
    """A resampler that computes in one floating-point type and answers in another.

    Features, projections and samples come in the type of ``values``; attention weights and
    stencils stay in the type they are computed in, so that they sum to one.

    Args:
        inner: the resampler that does the work, on values of its own type.
        values: (B, C, h, w), the features as they were given.
    """

    def __init__(self, inner: Resampler, values: Tensor):
        self.inner, self.values, self.output_size = inner, values, inner.output_size
        self.projection_costs_all_channels, self.stencil_note = (
            inner.projection_costs_all_channels,
            inner.stencil_note,
        )
        self.bilinear_heads = inner.bilinear_heads

    def features(self, rows: Rows = None) -> Tensor:
        """Return all channels at output resolution, or only rows [r0, r1)."""
        return self.inner.features(rows).to(self.values.dtype)

    def project(self, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return the 1x1 convolution of the features: (B, K, H', W')."""
        return self.inner.project(weight, bias).to(self.values.dtype)

    def sample(self, rows: Tensor, cols: Tensor) -> Tensor:
        """Return all channels at single output pixels, (B, N, C)."""
        return self.inner.sample(rows, cols).to(self.values.dtype)

    def pixel(self, row: int, col: int, batch: int = 0) -> Tensor:
        """Return the (C,) features of one output pixel."""
        return self.inner.pixel(row, col, batch).to(self.values.dtype)

    def attention(self, row: int, col: int, batch: int = 0) -> Attention:
        """Return what output pixel (row, col) attends to."""
        return self.inner.attention(row, col, batch)

    def stencil(self, row: int, col: int, batch: int = 0) -> Tensor:
        """Return the (h, w) weights of the linear map at one output pixel."""
        return self.inner.stencil(row, col, batch)

    def with_window(self, ratio: float, remark: str) -> Resampler:
        """Return the same under windows of another half-width, of methods that have windows."""
        other = copy(self)
        other.inner = self.inner.with_window(ratio, remark)
        return other

    def note(self) -> str:
        """Say what the caption must mention."""
        return self.inner.note()

    def nbytes(self) -> int:
        """Return the bytes of the tensors kept by this object."""
        return self.inner.nbytes() + self.values.numel() * self.values.element_size()

    def __getattr__(self, name: str) -> Any:
        """Look up whatever else the method's own resampler offers."""
        if name == "inner":  # not there yet: while an instance is being copied
            raise AttributeError(name)
        return getattr(self.inner, name)


class CastLinearResampler(CastResampler, LinearResampler):
    """The same for maps that treat every channel alike."""

    def apply(self, values: Tensor, rows: Rows = None) -> Tensor:
        """Carry ``values`` (B, K, h, w) through the map, in their own type."""
        return self.inner.apply(values.to(self.inner.values.dtype), rows).to(values.dtype)


def cast(inner: Resampler, values: Tensor, computed: torch.dtype) -> Resampler:
    """Return ``inner`` itself if it was computed in the type of ``values``, else one that answers
    in that type.
    """
    if values.dtype == computed:
        return inner
    linear = isinstance(inner, LinearResampler)
    return (CastLinearResampler if linear else CastResampler)(inner, values)
