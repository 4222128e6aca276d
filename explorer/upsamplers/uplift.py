"""UPLiFT: repeated x2 steps whose pixels mix a few cells of the map before (arXiv 2601.17950)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from explorer.core import SizeError
from explorer.core.bibtex import arxiv
from explorer.resources.memory import tile_bytes
from explorer.upsamplers.base import UPSAMPLERS, LinearResampler, Rows, Upsampler
from explorer.upsamplers.cost import MethodCost
from explorer.upsamplers.interpolation import axis_map
from explorer.upsamplers.windows import cells_read

BAND_BYTES = 8 * 2**20  # of one step's output, so that a band stays in the processor's cache
REACH = 2  # cells that an offset is away at most

NEIGHBOURHOODS = {  # (row, column) offsets, row by row
    5: [(y, x) for y in range(-1, 2) for x in range(-1, 2) if abs(y) + abs(x) <= 1],
    9: [(y, x) for y in range(-1, 2) for x in range(-1, 2)],
    13: [(y, x) for y in range(-2, 3) for x in range(-2, 3) if abs(y) + abs(x) <= 2],
    17: [
        (y, x)
        for y in range(-2, 3)
        for x in range(-2, 3)
        if max(abs(y), abs(x)) <= 1 or (y % 2 == 0 and x % 2 == 0)
    ],
    25: [(y, x) for y in range(-2, 3) for x in range(-2, 3)],
}


def fit_channels(x: Tensor, count: int) -> Tensor:
    """Return the first ``count`` channels of ``x``; zero channels follow where it has fewer."""
    missing = count - x.shape[1]
    return x[:, :count] if missing <= 0 else F.pad(x, (0, 0, 0, 0, 0, missing))


def mix(x: Tensor, weights: Tensor, offsets: list[tuple[int, int]], rows: Rows = None) -> Tensor:
    """Return rows [r0, r1) of the map twice as large whose pixels mix cells of ``x``.

    Args:
        x: (B, K, p, q).
        weights: (B, n, 2p, 2q), which sum to one over n.
        offsets: n pairs (dy, dx): pixel (r, c) reads x[r // 2 + dy, c // 2 + dx], indices clamped.
        rows: of the output; all if None.
    """
    start, stop = (0, weights.shape[2]) if rows is None else rows
    batch, channels, _, width = x.shape
    band = tile_bytes(BAND_BYTES) // (batch * channels * width * 2 * x.element_size())
    padded = F.pad(x, (REACH,) * 4, mode="replicate")
    parts = [
        _mix_rows(padded, weights, offsets, top, min(top + max(2, band), stop))
        for top in range(start, stop, max(2, band))
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)


def _mix_rows(
    padded: Tensor, weights: Tensor, offsets: list[tuple[int, int]], start: int, stop: int
) -> Tensor:
    """Return output rows [start, stop) from a map padded by ``REACH``."""
    first, last = start // 2, (stop - 1) // 2 + 1  # rows of cells
    width = padded.shape[3] - 2 * REACH
    span = weights[:, :, 2 * first : 2 * last].unflatten(3, (width, 2)).unflatten(2, (-1, 2))
    out = None
    for n, (down, right) in enumerate(offsets):
        cells = padded[:, :, first + down + REACH : last + down + REACH]
        cells = cells[..., right + REACH : right + REACH + width][:, :, :, None, :, None]
        part = span[:, n, None]  # (B, 1, rows, 2, q, 2)
        if out is None:
            out = cells * part
        else:
            out = (
                torch.addcmul(out, cells, part) if out.requires_grad else out.addcmul_(cells, part)
            )
    whole = out.flatten(4, 5).flatten(2, 3)
    return whole[:, :, start - 2 * first : stop - 2 * first]


def _unmix(share: Tensor, weights: Tensor, offsets: list[tuple[int, int]]) -> Tensor:
    """Carry shares of a step's output (1, 1, 2p, 2q) back to the cells it mixed, (1, 1, p, q)."""
    parts = (share * weights).unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).sum(dim=(3, 5))
    height, width = parts.shape[-2:]
    out = parts.new_zeros(1, 1, height + 2 * REACH, width + 2 * REACH)
    for n, (down, right) in enumerate(offsets):
        rows, cols = down + REACH, right + REACH
        out[:, :, rows : rows + height, cols : cols + width] += parts[:, n, None]
    for dim, size in ((2, height), (3, width)):  # indices beyond the map are those of its border
        first, inner, last = out.split((REACH, size, REACH), dim=dim)
        out = inner.clone()
        out.narrow(dim, 0, 1).add_(first.sum(dim=dim, keepdim=True))
        out.narrow(dim, size - 1, 1).add_(last.sum(dim=dim, keepdim=True))
    return out


class IteratedResampler(LinearResampler):
    """The steps' weights, and the map before the last step; a resize to the output at the end.

    Args:
        values: (B, C, h, w).
        output_size: (H', W').
        weights: of each step, (B, n, 2^k h, 2^k w).
        last: the map that the last step mixes, (B, C, 2^(k-1) h, 2^(k-1) w).
        offsets: of the cells that a pixel mixes.
    """

    def __init__(
        self,
        values: Tensor,
        output_size: tuple[int, int],
        weights: list[Tensor],
        last: Tensor,
        offsets: list[tuple[int, int]],
    ):
        super().__init__(values, output_size)
        self.weights, self.last, self.offsets = weights, last, offsets
        made = tuple(weights[-1].shape[-2:])
        self.resizes = None
        if made != self.output_size:
            self.resizes = tuple(
                axis_map(source, target, "bilinear", values, antialias=True)
                for source, target in zip(made, self.output_size, strict=True)
            )

    def apply(self, values: Tensor, rows: Rows = None) -> Tensor:
        """Carry (B, K, h, w) through every step: (B, K, H', W') or rows [r0, r1)."""
        for weights in self.weights[:-1]:
            values = mix(values, weights, self.offsets)
        return self._finish(values, rows)

    def features(self, rows: Rows = None) -> Tensor:
        """Return all channels: only the last step is left to do."""
        return self._finish(self.last, rows)

    def stencil(self, row: int, col: int, batch: int = 0) -> Tensor:
        """Return the (h, w) weights of the cells for output pixel (row, col): its share of each
        step's map, carried back to the map before.
        """
        self.check_query(row, col, batch)
        size = self.weights[-1].shape[-2:]
        if self.resizes is None:
            share = self.values.new_zeros(1, 1, *size)
            share[..., row, col] = 1
        else:
            down, across = self.resizes
            share = (down[row, :, None] * across[col])[None, None]
        for weights in reversed(self.weights):
            share = _unmix(share, weights[batch : batch + 1], self.offsets)
        return share[0, 0]

    def note(self) -> str:
        """Say how often the map is doubled."""
        steps = len(self.weights)
        return f"{steps} step{'s' if steps > 1 else ''} of x2"

    def _finish(self, values: Tensor, rows: Rows) -> Tensor:
        start, stop = self.check_rows(rows)
        if self.resizes is None:
            return mix(values, self.weights[-1], self.offsets, (start, stop))
        down, across = self.resizes
        target, source = down.shape
        reach = max(source / target, 1.0)  # an antialiased kernel widens where it shrinks
        first, last = cells_read(source, target, start, stop - 1, reach)
        made = mix(values, self.weights[-1], self.offsets, (first, last))
        return torch.einsum("rs,bkst,ct->bkrc", down[start:stop, first:last], made, across)


class _Residual(nn.Module):
    """Convolutions plus the input, cut or filled to their channels; published state-dict names."""

    def __init__(self, c_in: int, c_out: int, count: int):
        super().__init__()
        layers: list[nn.Module] = []
        for width in (c_in, c_out)[:count]:
            layers += [
                nn.Conv2d(width, c_out, 3, padding=1, bias=False),
                nn.BatchNorm2d(c_out),
                nn.ReLU(),
            ]
        self.conv = nn.Sequential(*layers, nn.Conv2d(c_out, c_out, 1))
        self.width = c_out

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, c_out, H, W) for (B, c_in, H, W)."""
        return self.conv(x) + fit_channels(x, self.width)


class _Block(nn.Module):
    """One residual block under the published names."""

    def __init__(self, c_in: int, c_out: int, count: int):
        super().__init__()
        self.blocks = nn.Sequential(_Residual(c_in, c_out, count))

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        return self.blocks(x)


class _Up(nn.Module):
    """A learned x2 enlargement added to a bilinear one."""

    def __init__(self, width: int):
        super().__init__()
        self.up = nn.ConvTranspose2d(width, width, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, c, 2p, 2q)."""
        plain = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        return self.up(x) + plain


@UPSAMPLERS.register("uplift")
class UPLiFT(Upsampler):
    """Repeated x2 steps: each pixel mixes a few neighbouring cells of the step before.

    ``prepare``: image (B, 3, H, W) in [0, 1], features (B, in_channels, h, w) -> (B, in_channels,
    H', W'). ``iters`` steps; None for as many as the output needs, at least one. ``attender`` is
    the number of cells that a pixel mixes: 5, 9, 13, 17 or 25. Every output is a weighted mean of
    cells. Source: arXiv 2601.17950; the published weights belong to one backbone each.
    """

    name = "uplift"
    title = "UPLiFT"
    paper = "2601.17950"
    citation = arxiv(
        "walmer2026uplift",
        "UPLiFT: Efficient Pixel-Dense Feature Upsampling with Local Attenders",
        "Walmer, Matthew and Suri, Saksham and Aggarwal, Anirud and Shrivastava, Abhinav",
        2026,
        paper,
    )
    order = 85
    agnostic = False
    convex = True
    cost = MethodCost(output_pixel=4200, seconds=1.0)
    small_options = {"encoder_channels": (4, 4, 4, 8, 8), "decoder_channels": (8, 8)}
    other_options = {
        "iters": 2,
        "attender": 9,
        "encoder_channels": (4, 4, 8, 8, 8),
        "decoder_channels": (8, 12),
    }

    def __init__(
        self,
        in_channels: int = 384,
        patch_size: int = 14,
        iters: int | None = None,
        attender: int = 17,
        encoder_channels: tuple[int, ...] = (16, 32, 64, 128, 128),
        decoder_channels: tuple[int, ...] = (64, 64),
    ):
        super().__init__()
        if attender not in NEIGHBOURHOODS:
            known = ", ".join(map(str, NEIGHBOURHOODS))
            raise ValueError(f"attender must be one of {known}, not {attender}")
        if len(encoder_channels) != 5 or len(decoder_channels) != 2:
            raise ValueError("five encoder_channels and two decoder_channels are expected")
        if iters is not None and iters < 1:
            raise ValueError(f"iters must be at least 1, not {iters}")
        self.in_channels, self.patch_size, self.iters = in_channels, patch_size, iters
        self.offsets = NEIGHBOURHOODS[attender]
        widths = (3, *encoder_channels)
        self.encoder = nn.ModuleDict(
            {f"block_{n}": _Block(widths[n], widths[n + 1], 1) for n in range(5)}
        )
        wide, wider = encoder_channels[3:]
        first, second = decoder_channels
        self.decoder = nn.ModuleDict(
            {
                "block_0": _Block(in_channels + wider, first, 2),
                "up_1": _Up(first),
                "block_1": _Block(first + wide, second, 2),
            }
        )
        self.attender = nn.ModuleDict({"conv1": nn.Conv2d(second, attender, 1)})

    @classmethod
    def options_for(cls, channels: int) -> dict[str, Any]:
        """UPLiFT is built for one channel count."""
        return {"in_channels": channels}

    def steps(self, grid: tuple[int, int], output_size: tuple[int, int]) -> int:
        """Return how many x2 steps are made."""
        if self.iters is not None:
            return self.iters
        count = 1
        while any(cells * 2**count < side for cells, side in zip(grid, output_size, strict=True)):
            count += 1
        return count

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the last two blocks' maps of a normalised image."""
        if self.patch_size == 14:  # so that a cell is 16 pixels
            size = tuple(16 * side // 14 for side in image.shape[-2:])
            image = F.interpolate(image, size, mode="bilinear", align_corners=False)
        for n in range(4):
            image = self.encoder[f"block_{n}"](image)
        return image, self.encoder["block_4"](image)

    def step_weights(self, x: Tensor, fine: Tensor, coarse: Tensor) -> Tensor:
        """Return what the pixels of the map twice as large put on their cells, (B, n, 2p, 2q)."""
        p, q = x.shape[-2:]
        y = torch.cat([x, F.interpolate(coarse, (p, q), mode="nearest")], dim=1)
        y = self.decoder["up_1"](self.decoder["block_0"](y))
        y = torch.cat([y, F.interpolate(fine, (2 * p, 2 * q), mode="nearest")], dim=1)
        y = self.decoder["block_1"](y)
        conv = self.attender["conv1"]
        return (conv(y) + fit_channels(y, conv.out_channels)).softmax(dim=1)

    def _prepare(
        self, guidance: Tensor, values: Tensor, output_size: tuple[int, int]
    ) -> IteratedResampler:
        if values.shape[1] != self.in_channels:
            raise SizeError(
                f"this UPLiFT was built for {self.in_channels} channels, the features have "
                f"{values.shape[1]}; load the weights of that backbone"
            )
        fine, coarse = self.encode(guidance)
        x, weights = values, []
        for _ in range(self.steps(values.shape[-2:], output_size)):
            if weights:
                x = mix(x, weights[-1], self.offsets)
            weights.append(self.step_weights(x, fine, coarse))
        return IteratedResampler(values, output_size, weights, x, self.offsets)
