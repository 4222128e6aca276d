"""NAF and DiveUp: image-only neighbourhood attention (arXiv 2511.18452, 2603.13571)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from explorer.core import SizeError
from explorer.core.bibtex import arxiv
from explorer.upsamplers.base import UPSAMPLERS, Upsampler
from explorer.upsamplers.cost import MethodCost
from explorer.upsamplers.guided import pool
from explorer.upsamplers.layers import fused_silu
from explorer.upsamplers.neighbourhood import NeighbourhoodResampler

MOST_ENLARGED = 4  # an image more than so many times the output's side is resized first


class ConvBlock(nn.Module):
    """GroupNorm-SiLU-conv twice, without a residual sum: (B, c, H, W) -> (B, c, H, W)."""

    def __init__(self, channels: int, kernel_size: int, groups: int = 8):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels)
        self.conv1 = _conv(channels, channels, kernel_size)
        self.norm2 = nn.GroupNorm(groups, channels)
        self.conv2 = _conv(channels, channels, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map after both convolutions."""
        return self.conv2(fused_silu(self.norm2(self.conv1(fused_silu(self.norm1(x))))))


def _conv(c_in: int, c_out: int, kernel_size: int) -> nn.Conv2d:
    return nn.Conv2d(
        c_in, c_out, kernel_size, padding=kernel_size // 2, padding_mode="reflect", bias=True
    )


class AxialRoPE(nn.Module):
    """Rotary positions of a map's pixel centres in [-1, 1], per axis; (B, d, H, W) alike.

    Each head rotates by 2 pi coord / period, half of the periods along rows, half along columns.
    While training, coordinates are scaled by a log-uniform factor in [1/rescale, rescale].
    """

    def __init__(self, dim: int, heads: int, base: float, rescale: float):
        super().__init__()
        depth = dim // heads
        if dim % heads or depth % 4:
            raise ValueError(f"dim / heads_rope must be a multiple of 4, not {dim} / {heads}")
        self.heads, self.rescale = heads, rescale
        exponent = torch.arange(depth // 4) * 2 / (depth / 2)
        self.register_buffer("periods", base**exponent)

    def forward(self, x: Tensor) -> Tensor:
        """Rotate each head's channels by the angles of the pixels."""
        axes = [
            (torch.arange(n, device=x.device, dtype=x.dtype) + 0.5) / n * 2 - 1
            for n in x.shape[-2:]
        ]
        if self.training and self.rescale > 1:
            factor = math.log(self.rescale) * (2 * torch.rand((), device=x.device) - 1)
            axes = [axis * factor.exp().to(x.dtype) for axis in axes]
        coords = torch.stack(torch.meshgrid(*axes, indexing="ij"))  # (2, H, W)
        angle = 2 * math.pi * coords[:, None] / self.periods.to(x.dtype)[:, None, None]
        angle = angle.flatten(0, 1).repeat(2, 1, 1)  # (D, H, W): rows, columns, twice
        split = x.unflatten(1, (self.heads, -1))
        first, second = split.chunk(2, dim=2)
        return (split * angle.cos() + torch.cat([-second, first], dim=2) * angle.sin()).flatten(
            1, 2
        )


class ImageEncoder(nn.Module):
    """Two branches of dim/2, one of 1x1 and one of 3x3 convolutions, pooled to the output."""

    def __init__(self, dim: int, layers: int, heads: int, base: float, rescale: float):
        super().__init__()
        self.encoder, self.sem_encoder = (
            nn.Sequential(
                _conv(3, dim // 2, size), *(ConvBlock(dim // 2, size) for _ in range(layers))
            )
            for size in (1, 3)
        )
        self.rope = AxialRoPE(dim, heads, base, rescale)

    def forward(self, image: Tensor, output_size: tuple[int, int]) -> Tensor:
        """Return position-coded queries (B, dim, H', W') of a normalised image (B, 3, H, W)."""
        branches = [pool(one(image), output_size) for one in (self.encoder, self.sem_encoder)]
        return self.rope(torch.cat(branches, dim=1))


@UPSAMPLERS.register("naf")
class NAF(Upsampler):
    """Attention of each pixel to a 9x9 neighbourhood of cells, guided by the image alone.

    ``prepare``: image (B, 3, H, W) in [0, 1], features (B, C, h, w), C divisible by ``heads_attn``
    -> (B, C, H', W'). Each head reads its own group of channels with its own weights. Per axis the
    window's positions are floor(H'/h) apart, and ``kernel_size`` of them must fit into the output.
    Source: arXiv 2511.18452.

    ``clamp_dilation`` is DiveUp's change: positions move closer together until the window fits.
    """

    name = "naf"
    title = "NAF"
    paper = "2511.18452"
    citation = arxiv(
        "chambon2025naf",
        "NAF: Zero-Shot Feature Upsampling via Neighborhood Attention Filtering",
        "Chambon, Loick and Couairon, Paul and Zablocki, Eloi and Boulch, Alexandre and "
        "Thome, Nicolas and Cord, Matthieu",
        2025,
        paper,
    )
    order = 80
    has_attention = True
    single_stencil = False
    convex = True
    cost = MethodCost(output_pixel=6000, seconds=1.5)
    min_grid = 9
    small_options = {"dim": 16, "kernel_size": 3, "heads_attn": 1}
    other_options = {
        "dim": 32,
        "use_encoder": True,
        "heads_rope": 2,
        "heads_attn": 2,
        "img_layers": 1,
        "kernel_size": 5,
    }

    def __init__(
        self,
        dim: int = 256,
        heads_attn: int = 4,
        heads_rope: int = 4,
        kernel_size: int = 9,
        use_encoder: bool = True,
        rope_base: float = 100.0,
        rope_rescale: float = 2.0,
        img_layers: int = 2,
        clamp_dilation: bool = False,
    ):
        super().__init__()
        if not use_encoder:
            raise ValueError("NAF without its image encoder has no published weights")
        if dim % heads_attn:
            raise ValueError(f"dim must be divisible by heads_attn, not {dim} by {heads_attn}")
        self.image_encoder = ImageEncoder(dim, img_layers, heads_rope, rope_base, rope_rescale)
        self.heads, self.kernel_size, self.clamp_dilation = heads_attn, kernel_size, clamp_dilation
        self.min_grid = 1 if clamp_dilation else kernel_size

    def _check_grid(self, height: int, width: int) -> None:
        """Leave it to ``dilation``: fewer cells work where the output is small enough."""

    def dilation(self, cells: int, outputs: int) -> int:
        """Return the distance of a window's positions along one axis, in output pixels.

        Raises:
            SizeError: the window does not fit into the output.
        """
        step, fits = outputs // cells, outputs // self.kernel_size
        if self.clamp_dilation:
            step = min(max(step, 1), max(fits, 1))
        if step < 1 or self.kernel_size * step > outputs:
            raise SizeError(
                f"{self.title} reads {self.kernel_size} positions {step} pixels apart, more than "
                f"{outputs} output pixels over {cells} cells allow; use a grid of at least "
                f"{self.kernel_size}x{self.kernel_size} cells and no larger than the output"
            )
        return step

    def _prepare(
        self, guidance: Tensor, values: Tensor, output_size: tuple[int, int]
    ) -> NeighbourhoodResampler:
        if values.shape[1] % self.heads:
            raise SizeError(
                f"{self.title} splits the channels among {self.heads} heads, which "
                f"{values.shape[1]} channels do not allow"
            )
        grid = values.shape[-2:]
        steps = tuple(map(self.dilation, grid, output_size))
        queries = self.image_encoder(_not_too_large(guidance, output_size), output_size)
        keys = pool(queries, grid)
        scale = (queries.shape[1] // self.heads) ** -0.5
        return NeighbourhoodResampler(
            values, queries * scale, keys, self.heads, self.kernel_size, steps
        )


@UPSAMPLERS.register("diveup")
class DiveUp(NAF):
    """NAF with other weights, whose window shrinks where it does not fit, so small grids work.

    Shapes as NAF's. Source: arXiv 2603.13571.
    """

    name = "diveup"
    title = "DiveUp"
    paper = "2603.13571"
    citation = ""  # the authors' names were in no source at hand
    order = 81
    min_grid = 1

    def __init__(
        self,
        dim: int = 256,
        heads_attn: int = 4,
        heads_rope: int = 4,
        kernel_size: int = 9,
        use_encoder: bool = True,
        rope_base: float = 100.0,
        rope_rescale: float = 2.0,
        img_layers: int = 2,
        clamp_dilation: bool = True,
    ):
        super().__init__(
            dim,
            heads_attn,
            heads_rope,
            kernel_size,
            use_encoder,
            rope_base,
            rope_rescale,
            img_layers,
            clamp_dilation,
        )


def _not_too_large(image: Tensor, output_size: tuple[int, int]) -> Tensor:
    """Return the image, made smaller if a side is more than four times the output's.

    The published rule bounds both sides by both of the output's, whichever is which.
    """
    size, (rows, cols) = image.shape[-2:], output_size
    most = MOST_ENLARGED
    if size[0] <= most * rows and size[1] <= most * cols:
        return image
    smaller = (
        min(size[0], most * rows, most * cols),
        min(size[1], most * cols, most * rows),
    )
    return F.interpolate(image, smaller, mode="bilinear", align_corners=False)
