"""Attention of output pixels over coarse cells, exact and in blocks: windows, tiles, streamed
global attention.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy

import torch
from torch import Tensor
from torch.nn import functional as F

from explorer.core import Attention, Window
from explorer.resources.memory import tile_bytes
from explorer.upsamplers.interpolation import SeparableResampler
from explorer.upsamplers.resampler import LinearResampler, Rows
from explorer.upsamplers.windows import (
    Bounds,
    batches,
    indices,
    key_ranges,
    runs,
    tiles,
    window_bounds,
)

__all__ = ["AttentionResampler", "window_bounds"]

BLOCK_BYTES = 12 * 2**20  # attention weights held at once; a CPU's caches hold no more
SCORE_BYTES = 256 * 2**20  # scores of one fused call, should a device have no fused kernel
FUSED_PASSES = 3  # with more channels than this many head widths, blocks are faster


def gaussian_prior(cells: int, outputs: int, sigma: float) -> Tensor:
    """Return what a Gaussian around every query's place adds to its scores along one axis,
    (outputs, cells) float32; ``sigma`` is its standard deviation in cells.
    """
    centre = (torch.arange(outputs, dtype=torch.float32) + 0.5) * (cells / outputs)
    distance = centre[:, None] - torch.arange(cells) - 0.5
    return -distance.square() / (2 * sigma**2)


class AttentionResampler(LinearResampler):
    """Head-averaged attention of every output pixel on the raw cells inside its window.

    Args:
        values: (B, C, h, w) cells.
        queries: (B, H', W', d) projected and scaled.
        keys: (B, h, w, d) projected.
        heads: number of heads; d is split evenly.
        row_bounds: the key rows (lo, hi) of each output row; ``col_bounds`` likewise.
        remark: what captions must mention.
        bilinear_heads: further heads whose weights are bilinear interpolation's.
        sigma_cells: standard deviation, in cells, of a Gaussian around every query's place by which
            the learned heads' weights are multiplied before they are made to sum to one; 0: none.
    """

    projection_costs_all_channels = True

    def __init__(
        self,
        values: Tensor,
        queries: Tensor,
        keys: Tensor,
        heads: int,
        row_bounds: Bounds,
        col_bounds: Bounds,
        remark: str = "",
        bilinear_heads: int = 0,
        sigma_cells: float = 0.0,
    ):
        self.values, self.queries, self.keys, self.heads = values, queries, keys, heads
        self.output_size = (queries.shape[1], queries.shape[2])
        self.row_bounds, self.col_bounds = row_bounds, col_bounds
        self.remark, self.bilinear_heads = remark, bilinear_heads
        self.bilinear = None
        if bilinear_heads:
            self.bilinear = SeparableResampler(values, self.output_size, "bilinear")
        self.row_prior = self.col_prior = None
        if sigma_cells > 0:
            self.row_prior, self.col_prior = (
                gaussian_prior(cells, size, sigma_cells).to(queries)
                for cells, size in zip(self.grid, self.output_size, strict=True)
            )

    @property
    def bilinear_share(self) -> float:
        """The share of the bilinear heads in the mean over heads."""
        return self.bilinear_heads / (self.heads + self.bilinear_heads)

    def note(self) -> str:
        """Say what the caption must mention."""
        return self.remark

    def apply(self, values: Tensor, rows: Rows = None) -> Tensor:
        """Carry ``values`` (B, K, h, w) through the mean of all heads."""
        made = self._attend(values, rows)
        if self.bilinear is not None:
            made = made.lerp(self.bilinear.apply(values, rows), self.bilinear_share)
        return made

    def _attend(self, values: Tensor, rows: Rows) -> Tensor:
        """Carry ``values`` through the attention, one batch of equal tiles after the other."""
        start, stop = self.check_rows(rows)
        batch, channels = values.shape[:2]
        width = self.queries.shape[-1] // self.heads
        if channels <= FUSED_PASSES * width and self.is_global and not self._learns(values):
            return self._fused(values, start, stop)
        cells = values.permute(0, 2, 3, 1)  # (B, h, w, K)
        out = values.new_zeros(batch, stop - start, self.output_size[1], channels)
        for q_rows, q_cols, k_rows, k_cols in self._blocks(start, stop):
            weights = self._weights(q_rows, q_cols, k_rows, k_cols)  # (B, Tr, Tc, Q, K)
            picked = tiles(cells, k_rows, k_cols)  # (B, Tr, Tc, keys, channels)
            mixed = weights @ picked
            part = mixed.unflatten(3, (q_rows.shape[1], q_cols.shape[1]))
            out[:, (q_rows - start)[:, None, :, None], q_cols[None, :, None, :]] = part.to(out)
        return out.permute(0, 3, 1, 2)

    def with_window(self, ratio: float, remark: str) -> AttentionResampler:
        """Return the same queries and keys under windows of another half-width.

        ``ratio`` is a share of the side, 0 for no window; ``remark`` says so in captions. All
        tensors but the bounds are shared.
        """
        other = copy(self)
        other.row_bounds, other.col_bounds = (
            key_ranges(cells, size, ratio)
            for cells, size in zip(self.grid, self.output_size, strict=True)
        )
        other.remark = remark
        return other

    @property
    def is_global(self) -> bool:
        """Whether every output pixel sees every cell."""
        return all(
            set(bounds) == {(0, cells)}
            for bounds, cells in zip((self.row_bounds, self.col_bounds), self.grid, strict=True)
        )

    def attention(self, row: int, col: int, batch: int = 0) -> Attention:
        """Return the attention of output pixel (row, col): per head and head mean, 0 outside the
        window, which takes in what bilinear heads read. Those come last.
        """
        self.check_query(row, col, batch)
        (r0, r1), (c0, c1) = self.row_bounds[row], self.col_bounds[col]
        window = Window(r0, r1, c0, c1)
        query = self.queries[batch, row, col].unflatten(0, (self.heads, -1))  # (heads, d/heads)
        keys = self.keys[batch, r0:r1, c0:c1].unflatten(-1, (self.heads, -1))
        scores = torch.einsum("nd,ijnd->nij", query, keys)
        if self.row_prior is not None:
            scores = scores + self.row_prior[row, r0:r1, None] + self.col_prior[col, c0:c1]
        inside = scores.flatten(1).softmax(dim=1).view_as(scores)
        heads = inside.new_zeros(self.heads, *self.grid)
        heads[:, r0:r1, c0:c1] = inside
        if self.bilinear is not None:
            stencil = self.bilinear.stencil(row, col)
            heads = torch.cat([heads, stencil.expand(self.bilinear_heads, -1, -1)])
            (b0, b1), (d0, d1) = self.bilinear.touched(row, col)
            window = Window(min(r0, b0), max(r1, b1), min(c0, d0), max(c1, d1))
        return Attention(heads.mean(dim=0), heads, window, (row, col))

    def sample(self, rows: Tensor, cols: Tensor) -> Tensor:
        """Return all channels at single output pixels, (B, N, C)."""
        cells = self.values.flatten(2).transpose(1, 2)  # (B, h w, C)
        keys = self.keys.flatten(1, 2).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        size = max(1, tile_bytes(BLOCK_BYTES) // (cells.shape[0] * self.heads * cells.shape[1] * 4))
        parts = []
        for start in range(0, len(rows), size):
            row, col = rows[start : start + size], cols[start : start + size]
            query = self.queries[:, row, col].unflatten(-1, (self.heads, -1)).transpose(1, 2)
            scores = query @ keys.transpose(-1, -2)  # (B, heads, n, h w)
            if self.row_prior is not None:
                scores = scores + _outer(self.row_prior[row, None], self.col_prior[col, None])[:, 0]
            scores = scores.masked_fill(~self._inside(row, col), float("-inf"))
            parts.append(scores.softmax(dim=-1).mean(dim=1) @ cells)
        made = torch.cat(parts, dim=1)
        if self.bilinear is not None:
            made = made.lerp(self.bilinear.sample(rows, cols), self.bilinear_share)
        return made

    def stencil(self, row: int, col: int, batch: int = 0) -> Tensor:
        """Return the head-mean attention: it is the row of the linear map."""
        return self.attention(row, col, batch).weights

    def _inside(self, rows: Tensor, cols: Tensor) -> Tensor:
        """Return which cells the windows of single output pixels hold, (N, h w) bool."""
        spans = []
        for bounds, places, cells in (
            (self.row_bounds, rows, self.grid[0]),
            (self.col_bounds, cols, self.grid[1]),
        ):
            low, high = torch.tensor(bounds, device=places.device)[places].unbind(dim=1)
            index = torch.arange(cells, device=places.device)
            spans.append((index >= low[:, None]) & (index < high[:, None]))
        return (spans[0][:, :, None] & spans[1][:, None, :]).flatten(1)

    def _learns(self, values: Tensor) -> bool:
        tensors = (values, self.queries, self.keys)
        return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)

    def _fused(self, values: Tensor, start: int, stop: int) -> Tensor:
        """Carry few channels through global attention without writing its weights down.

        The heads' mean of (weights @ values) is (mean of weights) @ values, so torch's fused
        attention serves.
        """
        heads, width = self.heads, self.queries.shape[-1] // self.heads
        batch, channels = values.shape[:2]
        keys = self.keys.flatten(1, 2).unflatten(-1, (heads, width)).transpose(1, 2)
        cells = values.flatten(2).transpose(1, 2)  # (B, cells, K)
        padded = F.pad(cells, (0, -channels % width))  # the kernels want keys and values alike
        parts = [part[:, None].expand(-1, heads, -1, -1) for part in padded.split(width, dim=2)]
        out = values.new_empty(batch, stop - start, self.output_size[1], channels)
        row_bytes = batch * heads * self.output_size[1] * cells.shape[1] * values.element_size()
        band = max(1, tile_bytes(SCORE_BYTES) // row_bytes)
        for first in range(start, stop, band):
            rows = self.queries[:, first : min(first + band, stop)]
            query = rows.flatten(1, 2).unflatten(-1, (heads, width)).transpose(1, 2)
            prior = None
            if self.row_prior is not None:
                prior = _outer(self.row_prior[first : first + rows.shape[1]], self.col_prior)
            mixed = [
                F.scaled_dot_product_attention(query, keys, part, prior, scale=1.0).mean(dim=1)
                for part in parts
            ]
            made = torch.cat(mixed, dim=2)[..., :channels].unflatten(1, rows.shape[1:3])
            out[:, first - start : first - start + rows.shape[1]] = made
        return out.permute(0, 3, 1, 2)

    def _blocks(self, start: int, stop: int) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Yield index tensors of tiles with equal shapes: queries (T, n) and keys (T, m) per
        axis.
        """
        device = self.values.device
        batch = self.values.shape[0]
        row_runs, col_runs = runs(self.row_bounds, start, stop), runs(self.col_bounds)
        high, wide = (max(run.shape[1] for run in axis) for axis in (row_runs, col_runs))
        row_cost = batch * self.output_size[1] * high * wide * self.heads * 4
        size = max(1, tile_bytes(BLOCK_BYTES) // row_cost)
        for rows, cols in batches(row_runs, col_runs, size):
            q_rows, k_rows = indices(rows, device)
            q_cols, k_cols = indices(cols, device)
            yield q_rows, q_cols, k_rows, k_cols

    def _weights(self, q_rows: Tensor, q_cols: Tensor, k_rows: Tensor, k_cols: Tensor) -> Tensor:
        """Return head-mean weights (B, Tr, Tc, queries, keys) of a batch of tiles."""
        query = tiles(self.queries, q_rows, q_cols).unflatten(-1, (self.heads, -1)).transpose(3, 4)
        key = tiles(self.keys, k_rows, k_cols).unflatten(-1, (self.heads, -1)).transpose(3, 4)
        scores = query @ key.transpose(-1, -2)
        if self.row_prior is not None:
            down = self.row_prior[q_rows[:, :, None], k_rows[:, None, :]]  # (Tr, n, m)
            across = self.col_prior[q_cols[:, :, None], k_cols[:, None, :]]
            scores += _outer(down[:, None], across)[:, :, None]
        if self._learns(scores):
            return scores.softmax(dim=-1).mean(dim=3)
        return torch.softmax(scores, dim=-1, out=scores).mean(dim=3)


def _outer(down: Tensor, across: Tensor) -> Tensor:
    """Add what two axes (..., n, h) and (..., m, w) say of queries and keys: (..., n m, h w)."""
    both = down[..., :, None, :, None] + across[..., None, :, None, :]
    return both.flatten(-2).flatten(-3, -2)
