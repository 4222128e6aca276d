"""Attention of every pixel to a dilated K x K neighbourhood of the resized grid (NAF, DiveUp).

Keys and values are coarse cells enlarged to the output by nearest-exact, so that a position of the
window is a cell. Pixels whose positions fall into the same cells are answered together, by plain
matrix products; nothing is ever enlarged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from explorer.core import Attention, NoAttentionError, Window
from explorer.resources.memory import tile_bytes
from explorer.upsamplers.resampler import Resampler, Rows, check_projection

SCORE_BYTES = 64 * 2**20  # attention weights held at once


def window_starts(outputs: int, kernel: int, dilation: int) -> np.ndarray:
    """Return the first position of every output pixel's window along one axis, (outputs,) int64.

    The window is start + j * dilation, j below ``kernel``: centred, within the pixel's residue
    class modulo the dilation, and moved inward at the borders. Source: arXiv 2204.07143.
    """
    index = np.arange(outputs)
    residue = index % dilation
    members = (outputs - residue + dilation - 1) // dilation
    first = index // dilation - kernel // 2
    return residue + dilation * np.minimum(np.maximum(first, 0), members - kernel)


def nearest_exact(cells: int, outputs: int) -> np.ndarray:
    """Return the cell that each output pixel's centre lies in, as torch's "nearest-exact" on a CPU
    has it: ties are decided by the rounding of a fused multiply-add in float32.
    """
    scale = np.float64(np.float32(cells) / np.float32(outputs))
    centre = np.float32(scale * (np.arange(outputs) + 0.5) - 0.5)
    index = np.floor(np.maximum(centre, 0) + np.float32(0.5)).astype(np.int64)
    return np.minimum(index, cells - 1)


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of the windows: which cells each output pixel reads, and which pixels read alike.

    Plain numbers, so that no device has to be asked for them. ``cells`` (groups, K) are the cells
    of each group's window, ``group`` (outputs,) is every pixel's group, ``members`` (groups, most)
    the pixels of each group (the last one repeated), and ``place`` (outputs,) where a pixel stands
    in the flattened ``members``.
    """

    cells: np.ndarray
    group: np.ndarray
    members: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, outputs: int, cells: int, kernel: int, dilation: int) -> Axis:
        """Return the axis of ``outputs`` pixels over ``cells`` cells."""
        start = window_starts(outputs, kernel, dilation)
        positions = start[:, None] + dilation * np.arange(kernel)
        read = nearest_exact(cells, outputs)[positions]
        unique, group, counts = np.unique(read, axis=0, return_inverse=True, return_counts=True)
        group = group.reshape(-1)
        order = np.argsort(group, kind="stable")
        most = int(counts.max())
        first = np.cumsum(counts) - counts
        rank = np.empty_like(order)
        rank[order] = np.arange(outputs) - first[group[order]]
        slot = first[:, None] + np.minimum(np.arange(most), counts[:, None] - 1)
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
        keys = self.keys[batch][:, :, self._index(down)][..., self._index(across)]  # (n, e, K, K)
        query = self.queries[batch, :, :, row, col]
        weights = torch.einsum("ne,nekl->nkl", query, keys).flatten(1).softmax(dim=1)
        cell = self._index((down[:, None] * self.grid[1] + across).ravel())
        heads = weights.new_zeros(self.heads, self.grid[0] * self.grid[1])
        heads = heads.index_add(1, cell, weights)  # several positions may read one cell
        heads = heads.unflatten(1, self.grid)
        bounds = (int(edge) for at in (down, across) for edge in (at.min(), at.max() + 1))
        return Attention(heads.mean(dim=0), heads, Window(*bounds), (row, col))

    def stencil(self, row: int, col: int, batch: int = 0) -> Tensor:
        """Raise NoAttentionError: every group of channels has weights of its own."""
        raise NoAttentionError(
            f"each of the {self.heads} channel groups has weights of its own, so no single stencil "
            "describes the map; attention(row, col).heads holds them all"
        )

    def _read(self, carried: Tensor, rows: Rows) -> Tensor:
        """Return ``carried`` (B, n, c, h, w) at output resolution, (B, n, c, rows, W')."""
        start, stop = self.check_rows(rows)
        batch, heads = carried.shape[:2]
        across, members = (
            self._index(self.cols.cells),
            self._index(self.cols.members),
        )  # (G, K or m)
        back, most = self._index(self.cols.place), members.shape[1]
        row_bytes = batch * heads * self.output_size[1] * self.kernel**2 * carried.element_size()
        band = max(1, tile_bytes(SCORE_BYTES) // row_bytes)
        group_of = self.rows.group[start:stop]
        parts, order = [], []
        for group in np.unique(group_of):
            down = self._index(self.rows.cells[group])
            # (B, n, e, K, G, K) -> (B, n, G, e, K*K)
            keys = self.keys[:, :, :, down][..., across].permute(0, 1, 4, 2, 3, 5).flatten(4)
            read = carried[:, :, :, down][..., across].permute(0, 1, 4, 3, 5, 2).flatten(3, 4)
            mine = start + np.flatnonzero(group_of == group)
            for some in np.split(mine, range(band, len(mine), band)):
                queries = self.queries[:, :, :, self._index(some)][..., members]
                queries = queries.permute(0, 1, 4, 3, 5, 2).flatten(3, 4)  # (B, n, G, R*m, e)
                weights = (queries @ keys).softmax(dim=-1)
                out = (weights @ read).unflatten(3, (len(some), most))  # (B, n, G, R, m, c)
                out = out.permute(0, 1, 5, 3, 2, 4).flatten(4)  # (B, n, c, R, G*m)
                parts.append(out.index_select(4, back))
                order.append(some)
        place = self._index(np.argsort(np.concatenate(order)))
        return torch.cat(parts, dim=3).index_select(3, place)

    def _index(self, numbers: np.ndarray) -> Tensor:
        """Return plain numbers as an index on the values' device."""
        return torch.tensor(numbers.tolist(), device=self.values.device)
