"""FeatUp's stack of four learned joint bilateral x2 steps (arXiv 2403.10516)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from explorer.core import SizeError
from explorer.core.bibtex import arxiv
from explorer.resources.memory import tile_bytes
from explorer.upsamplers.backward import Patch, through_filter, through_maps
from explorer.upsamplers.base import (
    UPSAMPLERS,
    LinearResampler,
    Rows,
    Upsampler,
    check_projection,
    project_cells,
)
from explorer.upsamplers.cost import MethodCost
from explorer.upsamplers.interpolation import axis_map, interpolate

KEEP_BYTES = (
    160 * 2**20
)  # kernels larger than this are computed again, band by band, instead of kept
BAND_BYTES = 64 * 2**20


class JBULearnedRange(nn.Module):
    """One step: bicubic to the guidance's size, then a learned (2r+1)^2 bilateral kernel per pixel.

    ``forward(source, guidance)``: (B, C, h, w) and (B, 3, H, W) normalised -> (B, C, H, W). The
    kernel is the same for all channels; its rows do not sum exactly to one. ``feat_dim`` is only
    carried along.
    """

    def __init__(
        self,
        guidance_dim: int = 3,
        feat_dim: int | None = None,
        key_dim: int = 32,
        radius: int = 3,
    ):
        super().__init__()
        self.radius = radius
        taps = (2 * radius + 1) ** 2
        self.range_temp = nn.Parameter(torch.tensor(0.0))
        self.sigma_spatial = nn.Parameter(torch.tensor(1.0))
        self.range_proj = nn.Sequential(
            nn.Conv2d(guidance_dim, key_dim, 1),
            nn.GELU(),
            nn.Dropout2d(0.1),
            nn.Conv2d(key_dim, key_dim, 1),
        )
        self.fixup_proj = nn.Sequential(
            nn.Conv2d(guidance_dim + taps, taps, 1),
            nn.GELU(),
            nn.Dropout2d(0.1),
            nn.Conv2d(taps, taps, 1),
        )

    def spatial(self) -> Tensor:
        """Return the spatial Gaussian (1, taps, 1, 1)."""
        axis = torch.linspace(-1, 1, 2 * self.radius + 1).to(self.sigma_spatial)
        distance = axis[:, None] ** 2 + axis[None, :] ** 2
        return torch.exp(-distance / (2 * self.sigma_spatial**2)).reshape(1, -1, 1, 1)

    def project_guidance(self, guidance: Tensor) -> Tensor:
        """Return the guidance's range code, reflect-padded: (B, key_dim, H + 2r, W + 2r)."""
        return reflect(self.range_proj(guidance), self.radius)

    def kernel(self, guidance: Tensor, code: Tensor, rows: tuple[int, int]) -> Tensor:
        """Return the kernels of output rows [r0, r1): (B, taps, r1 - r0, W)."""
        r, (start, stop), width = self.radius, rows, guidance.shape[-1]
        centre = code[:, :, start + r : stop + r, r : r + width]
        taps = [divmod(tap, 2 * r + 1) for tap in range((2 * r + 1) ** 2)]
        shifted = (code[:, :, start + i : stop + i, j : j + width] for i, j in taps)
        temperature = self.range_temp.exp().clamp(1e-4, 1e4)
        combined = (_products(centre, shifted, len(taps)) * temperature).softmax(dim=1)
        combined = combined * self.spatial()
        combined = combined / combined.sum(dim=1, keepdim=True).clamp(1e-7)
        return combined + 0.1 * self.fixup_proj(
            torch.cat([combined, guidance[:, :, start:stop]], dim=1)
        )

    def filter(self, source: Tensor, kernel: Tensor, rows: tuple[int, int], size: tuple[int, int]):
        """Apply the kernels of rows [r0, r1) to the bicubically enlarged source: (B, C, r1 - r0,
        W).
        """
        r, (start, stop), width = self.radius, rows, size[1]
        large = F.interpolate(source, size, mode="bicubic", align_corners=False)
        padded = reflect(large, r)[:, :, start : stop + 2 * r]
        total = None
        for tap in range((2 * r + 1) ** 2):
            i, j = divmod(tap, 2 * r + 1)
            weight = kernel[:, tap : tap + 1]
            part = padded[:, :, i : i + stop - start, j : j + width]
            if total is None:
                total = part * weight
            elif torch.is_grad_enabled():
                total = total + part * weight
            else:
                total.addcmul_(part, weight)
        return total

    def forward(self, source: Tensor, guidance: Tensor) -> Tensor:
        """Upsample ``source`` to the guidance's size."""
        size = tuple(guidance.shape[-2:])
        rows = (0, size[0])
        kernel = self.kernel(guidance, self.project_guidance(guidance), rows)
        return self.filter(source, kernel, rows, size)


class FeatUpResampler(LinearResampler):
    """The four steps on one guidance image; kernels are kept while they are small."""

    stencil_note = "without the channel mixing, the same at every pixel"

    def __init__(self, stack: FeatUp, guidance: Tensor, values: Tensor, output_size):
        self.stack, self.values, self.output_size = stack, values, output_size
        height, width = values.shape[-2:]
        self.native_size = (16 * height, 16 * width)
        self.guidance = [
            F.adaptive_avg_pool2d(guidance, (height * 2**n, width * 2**n)) for n in (1, 2, 3, 4)
        ]
        self.codes = [
            step.project_guidance(image)
            for step, image in zip(stack.steps(), self.guidance, strict=True)
        ]
        self.kernels: dict[int, Tensor] = {}
        self.axis_maps: dict[int | str, tuple[Tensor, Tensor]] = {}

    def note(self) -> str:
        """Say so when the stack's x16 output was resized."""
        if self.native_size == tuple(self.output_size):
            return ""
        return f"x16 stack ({self.native_size[0]}x{self.native_size[1]}) resized"

    def apply(self, values: Tensor, rows: Rows = None) -> Tensor:
        """Carry (B, K, h, w) through the stack's spatial map, without its channel mixing."""
        start, stop = self.check_rows(rows)
        resized = self.native_size != tuple(self.output_size)
        for level in range(4):
            height = self.guidance[level].shape[-2]
            wanted = (start, stop) if level == 3 and not resized else (0, height)
            values = self._step(level, values, wanted)
        if resized:
            values = interpolate(values, self.output_size, **self._last_mode())
            values = values[:, :, start:stop]
        return values

    def features(self, rows: Rows = None) -> Tensor:
        """Return all channels, mixed by the stack's last convolution."""
        mixed = self.stack.fixup_proj(self.values)
        # A 1x1 convolution commutes with any map that treats channels alike, except for its bias.
        conv = self.stack.fixup_proj[1]
        mixed = mixed - conv.bias[:, None, None]
        return self.apply(self.values + 0.1 * mixed, rows) + 0.1 * conv.bias[:, None, None]

    def project(self, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Fold the last convolution into the projection: P(I + .1 W) on the cells, .1 P b
        afterwards.
        """
        conv = self.stack.fixup_proj[1]
        check_projection(weight, len(conv.bias))
        weight = weight.to(self.values)
        folded = weight + 0.1 * weight @ conv.weight[:, :, 0, 0]
        out = self.apply(project_cells(self.values, folded))
        offset = 0.1 * weight @ conv.bias
        offset = offset if bias is None else offset + bias.to(offset)
        return out + offset[:, None, None]

    @torch.no_grad()
    def stencil(self, row: int, col: int, batch: int = 0) -> Tensor:
        """Return the (h, w) weights of the spatial map at (row, col), before the channel mixing."""
        self.check_query(row, col, batch)
        patch = Patch(self.values.new_ones(1, 1), row, col)
        if self.native_size != tuple(self.output_size):
            patch = through_maps(patch, *self._maps("resize"))
        for level in (3, 2, 1, 0):
            step, image, code = self.stack.steps()[level], self.guidance[level], self.codes[level]
            rows, (first, last) = patch.rows, patch.cols
            if level in self.kernels:
                kernel = self.kernels[level][batch, :, rows[0] : rows[1], first:last]
            else:
                seen = image[batch : batch + 1, :, :, first:last]
                coded = code[batch : batch + 1, :, :, first : last + 2 * step.radius]
                kernel = step.kernel(seen, coded, rows)[0]
            patch = through_filter(patch, kernel, step.radius, *self._maps(level))
        return patch.placed(self.grid)

    def pixel(self, row: int, col: int, batch: int = 0) -> Tensor:
        """Return the (C,) features of one output pixel, channel mixing included."""
        raw = super().pixel(row, col, batch)
        conv = self.stack.fixup_proj[1]
        return raw + 0.1 * (conv.weight[:, :, 0, 0] @ raw + conv.bias)

    def _maps(self, level: int | str) -> tuple[Tensor, Tensor]:
        """Return the (outputs, inputs) matrices of a step's enlargement or of the last resizing."""
        if level not in self.axis_maps:
            if level == "resize":
                small, large, mode = self.native_size, self.output_size, self._last_mode()
            else:
                small = [side * 2**level for side in self.grid]
                large, mode = [2 * side for side in small], {"mode": "bicubic"}
            self.axis_maps[level] = tuple(
                axis_map(a, b, like=self.values, **mode) for a, b in zip(small, large, strict=True)
            )
        return self.axis_maps[level]

    def _last_mode(self) -> dict[str, Any]:
        """Say how the stack's output is resized: bilinear up, antialiased down."""
        shrinks = any(o < n for o, n in zip(self.output_size, self.native_size, strict=True))
        return {"mode": "bilinear", "antialias": shrinks}

    def _step(self, level: int, values: Tensor, rows: tuple[int, int]) -> Tensor:
        """Run one step for rows [r0, r1) of its output, with kept or freshly computed kernels."""
        step, image = self.stack.steps()[level], self.guidance[level]
        size = tuple(image.shape[-2:])
        taps = (2 * step.radius + 1) ** 2
        row_bytes = image.shape[0] * size[1] * taps * 4
        if torch.is_grad_enabled() and self.codes[level].requires_grad:
            return step.filter(values, step.kernel(image, self.codes[level], rows), rows, size)
        if size[0] * row_bytes <= tile_bytes(KEEP_BYTES):
            if level not in self.kernels:
                with torch.no_grad():
                    self.kernels[level] = step.kernel(image, self.codes[level], (0, size[0]))
            kernel = self.kernels[level][:, :, rows[0] : rows[1]]
            return step.filter(values, kernel, rows, size)
        band = max(1, tile_bytes(BAND_BYTES) // row_bytes)
        parts = []
        for start in range(rows[0], rows[1], band):
            part = (start, min(start + band, rows[1]))
            parts.append(
                step.filter(values, step.kernel(image, self.codes[level], part), part, size)
            )
        return torch.cat(parts, dim=2)


@UPSAMPLERS.register("featup")
class FeatUp(Upsampler):
    """A stack of four learned joint bilateral x2 steps and a small channel mixing.

    ``prepare``: image (B, 3, H, W) in [0, 1], features (B, feat_dim, h, w) with h, w >= 2 -> 16h x
    16w, then resized to the output size if that differs (bilinear up, antialiased down). In
    ``train()`` mode dropout makes every result a random one; ``load_upsampler`` returns ``eval()``.
    ``norm=True`` is the published variant with a channel LayerNorm on the features, whose output
    lives in that normalised space. Source: arXiv 2403.10516.
    """

    name = "featup"
    title = "FeatUp"
    paper = "2403.10516"
    citation = arxiv(
        "fu2024featup",
        "FeatUp: A Model-Agnostic Framework for Features at Any Resolution",
        "Fu, Stephanie and Hamilton, Mark and Brandt, Laura E. and Feldmann, Axel and "
        "Zhang, Zhoutong and Freeman, William T.",
        2024,
        paper,
        "International Conference on Learning Representations (ICLR)",
    )
    order = 50
    agnostic = False
    min_grid = 2
    native_factor = 16
    cost = MethodCost(output_pixel=1400, seconds=1.0)

    def __init__(self, feat_dim: int = 384, norm: bool = False):
        super().__init__()
        self.feat_dim = feat_dim
        self.up1, self.up2, self.up3, self.up4 = (
            JBULearnedRange(3, feat_dim, 32, radius=3) for _ in range(4)
        )
        self.fixup_proj = nn.Sequential(nn.Dropout2d(0.2), nn.Conv2d(feat_dim, feat_dim, 1))
        if norm:
            self.channelnorm = ChannelNorm(feat_dim)
            self.space = "normalised"
            self.linear = False

    @classmethod
    def options_for(cls, channels: int) -> dict[str, Any]:
        """The stack's last convolution is built for one channel count."""
        return {"feat_dim": channels}

    def steps(self) -> tuple[JBULearnedRange, ...]:
        """Return the four steps, coarse to fine."""
        return self.up1, self.up2, self.up3, self.up4

    def _prepare(
        self, guidance: Tensor, values: Tensor, output_size: tuple[int, int]
    ) -> FeatUpResampler:
        if values.shape[1] != self.feat_dim:
            raise SizeError(
                f"this FeatUp was built for {self.feat_dim} channels, the features have "
                f"{values.shape[1]}; "
                "load the weights of that backbone and stage"
            )
        if hasattr(self, "channelnorm"):
            values = self.channelnorm(values)
        return FeatUpResampler(self, guidance, values, output_size)


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of a (B, C, h, w) map."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each cell's vector."""
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _products(centre: Tensor, shifted: Iterator[Tensor], count: int) -> Tensor:
    """Return the dot products over channels of ``centre`` (B, d, H, W) with each of ``count`` maps,
    (B, count, H, W).
    """
    if torch.is_grad_enabled():
        return torch.stack([(centre * other).sum(dim=1) for other in shifted], dim=1)
    # One buffer: fresh ones of this size leave holes that the next does not fit into, so that the
    # process grows by all of them.
    buffer = torch.empty_like(centre, memory_format=torch.contiguous_format)
    out = centre.new_empty(centre.shape[0], count, *centre.shape[2:])
    for index, other in enumerate(shifted):
        torch.mul(centre, other, out=buffer)
        torch.sum(buffer, dim=1, out=out[:, index])
    return out


def reflect(x: Tensor, radius: int) -> Tensor:
    """Reflect-pad both spatial axes."""
    return F.pad(x, [radius] * 4, mode="reflect")
