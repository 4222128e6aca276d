"""Attention of every pixel to a dilated K x K neighbourhood of the resized grid (NAF, DiveUp).

Keys and values are coarse cells enlarged to the output by nearest-exact, so that a position of the
window is a cell. Pixels whose positions fall into the same cells are answered together, by plain
matrix products; nothing is ever enlarged.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from explorer.core import Attention, NoAttentionError, Window
from explorer.room import tile_bytes
from explorer.upsamplers.resampler import Resampler, Rows, check_projection

SCORE_BYTES = 64 * 2**20  # attention weights held at once


def window_starts(outputs: int, kernel: int, dilation: int) -> Tensor:
    """Return the first position of every output pixel's window along one axis, (outputs,) int64.

    The window is start + j * dilation, j below ``kernel``: centred, within the pixel's residue
    class modulo the dilation, and moved inward at the borders. Source: arXiv 2204.07143.
    """
    index = torch.arange(outputs)
    residue = index % dilation
    members = (outputs - residue + dilation - 1) // dilation
    first = index // dilation - kernel // 2
    return residue + dilation * first.clamp(min=0).minimum(members - kernel)


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of the windows: which cells each output pixel reads, and which pixels read alike.

    ``cells`` (groups, K) are the cells of each group's window, ``group`` (outputs,) is every
    pixel's group, ``members`` (groups, most) the pixels of each group (the last one repeated), and
    ``place`` (outputs,) where a pixel stands in the flattened ``members``.
    """

    cells: Tensor
    group: Tensor
    members: Tensor
    place: Tensor

    @classmethod
    def of(cls, outputs: int, cells: int, kernel: int, dilation: int) -> Axis:
        """Return the axis of ``outputs`` pixels over ``cells`` cells."""
        start = window_starts(outputs, kernel, dilation)
        positions = start[:, None] + dilation * torch.arange(kernel)
        known = torch.arange(cells, dtype=torch.float32)[None, None]
        enlarged = F.interpolate(known, size=outputs, mode="nearest-exact")[0, 0].long()
        unique, group = torch.unique(enlarged[positions], dim=0, return_inverse=True)
        counts = torch.bincount(group)
        order = torch.argsort(group, stable=True)
        most = int(counts.max())
        first = counts.cumsum(0) - counts
        rank = torch.empty_like(order)
        rank[order] = torch.arange(outputs) - first[group[order]]
        slot = first[:, None] + torch.arange(most).minimum(counts[:, None] - 1)
        return cls(unique, group, order[slot], group * most + rank)


class NeighbourhoodResampler(Resampler):
    """Per-head attention to a window: head i reads the i-th group of channels with its own weights.

    Args:
        values: (B, C, h, w), C divisible by ``heads``.
        queries: (B, d, H', W'), already scaled.
        keys: (B, d, h, w).
        heads: how many groups channels and codes have.
        kernel: the window's side in positions.
        dilation: between positions, per axis.
    """

    def __init__(
        self,
        values: Tensor,
        queries: Tensor,
        keys: Tensor,
        heads: int,
        kernel: int,
        dilation: tuple[int, int],
    ):
        self.values, self.output_size = values, tuple(queries.shape[-2:])
        self.heads, self.kernel = heads, kernel
        self.queries = queries.unflatten(1, (heads, -1))  # (B, n, e, H', W')
        self.keys = keys.unflatten(1, (heads, -1))  # (B, n, e, h, w)
        self.rows, self.cols = (
            Axis.of(size, cells, kernel, step)
            for size, cells, step in zip(self.output_size, self.grid, dilation, strict=True)
        )

    def features(self, rows: Rows = None) -> Tensor:
        """Return all channels at output resolution, or only rows [r0, r1)."""
        return self._read(self.values.unflatten(1, (self.heads, -1)), rows).flatten(1, 2)

    def project(self, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Project each head's channels on the cells, read them with its weights, and add up."""
        check_projection(weight, self.values.shape[1])
        groups = self.values.unflatten(1, (self.heads, -1))  # (B, n, c, h, w)
        parts = weight.to(groups).unflatten(1, (self.heads, -1))  # (K, n, c)
        carried = torch.einsum("knc,bnchw->bnkhw", parts, groups)
        out = self._read(carried, None).sum(dim=1)
        return out if bias is None else out + bias.to(out)[:, None, None]

    def attention(self, row: int, col: int, batch: int = 0) -> Attention:
        """Return what output pixel (row, col) reads; ``heads`` are the channel groups' weights."""
        self.check_query(row, col, batch)
        down, across = self.rows.cells[self.rows.group[row]], self.cols.cells[self.cols.group[col]]
        keys = self.keys[batch][:, :, down][..., across]  # (n, e, K, K)
        query = self.queries[batch, :, :, row, col]
        weights = torch.einsum("ne,nekl->nkl", query, keys).flatten(1).softmax(dim=1)
        cell = (down[:, None] * self.grid[1] + across).flatten().to(weights.device)
        heads = weights.new_zeros(self.heads, self.grid[0] * self.grid[1])
        heads.index_add_(1, cell, weights)  # several positions may read one cell
        heads = heads.unflatten(1, self.grid)
        (r0, r1), (c0, c1) = (
            torch.stack([at.min(), at.max() + 1]).tolist() for at in (down, across)
        )
        return Attention(heads.mean(dim=0), heads, Window(r0, r1, c0, c1), (row, col))

    def stencil(self, row: int, col: int, batch: int = 0) -> Tensor:
        """Raise NoAttentionError: every group of channels has weights of its own."""
        raise NoAttentionError(
            f"each of the {self.heads} channel groups has weights of its own, so no single stencil "
            "describes the map; attention(row, col).heads holds them all"
        )

    def _read(self, carried: Tensor, rows: Rows) -> Tensor:
        """Return ``carried`` (B, n, c, h, w) at output resolution, (B, n, c, rows, W')."""
        start, stop = self.check_rows(rows)
        batch, heads, channels = carried.shape[:3]
        width = self.output_size[1]
        across = self.cols.cells.to(carried.device)  # (G, K)
        members = self.cols.members.to(carried.device)  # (G, m)
        groups, most = members.shape
        back = self.cols.place.to(carried.device)
        row_bytes = batch * heads * width * self.kernel**2 * carried.element_size()
        band = max(1, tile_bytes(SCORE_BYTES) // row_bytes)
        inside = torch.arange(start, stop)
        parts, order = [], []
        for group in self.rows.group[start:stop].unique().tolist():
            mine = inside[self.rows.group[start:stop] == group]
            down = self.rows.cells[group].to(carried.device)
            # (B, n, e, K, G, K) -> (B, n, G, e, K*K)
            keys = self.keys[:, :, :, down][..., across].permute(0, 1, 4, 2, 3, 5).flatten(4)
            read = carried[:, :, :, down][..., across].permute(0, 1, 4, 3, 5, 2).flatten(3, 4)
            for some in mine.split(band):
                queries = self.queries[:, :, :, some.to(carried.device)][..., members]
                queries = queries.permute(0, 1, 4, 3, 5, 2).flatten(3, 4)  # (B, n, G, R*m, e)
                weights = (queries @ keys).softmax(dim=-1)
                out = (weights @ read).unflatten(3, (len(some), most))  # (B, n, G, R, m, c)
                out = out.permute(0, 1, 5, 3, 2, 4).flatten(4)  # (B, n, c, R, G*m)
                parts.append(out.index_select(4, back))
                order.append(some)
        place = torch.argsort(torch.cat(order)).to(carried.device)
        return torch.cat(parts, dim=3).index_select(3, place)
