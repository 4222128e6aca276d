"""Image-guided attention: what AnyUp and JAFAR have in common before they differ in their keys and
windows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from explorer.upsamplers import banded
from explorer.upsamplers.attention import BLOCK_BYTES, AttentionResampler
from explorer.upsamplers.base import Upsampler
from explorer.upsamplers.cost import MethodCost
from explorer.upsamplers.layers import CrossDecode, RawValueAttention, ResBlock, RoPE, encoder
from explorer.upsamplers.windows import key_ranges


class GuidedAttention(Upsampler):
    """Queries from the guidance image, keys from image and features, attention on raw features.

    Subclasses say how keys are made (``encode_keys``) and how queries are normalised
    (``encode_queries``).

    Two options are ours, both published 0, and draw what little training has learned towards near
    cells: ``bilinear_heads``, so many heads beside the learned ones that read as bilinear
    interpolation does; ``sigma_cells``, the standard deviation, in cells, of a Gaussian around each
    pixel by which the learned heads' weights are multiplied before they are made to sum to one.
    """

    has_attention = True
    half_precision = True  # a large share of its time is convolutions over the whole output
    convex = True
    cost = MethodCost(output_pixel=2600, banded_pixel=1600, seconds=1.5)
    small_options = {"qk_dim": 16}
    other_options = {
        "input_dim": 5,
        "feature_dim": 24,
        "kernel_size": 3,
        "num_heads": 8,
        "bilinear_heads": 1,
    }

    def __init__(
        self,
        input_dim: int,
        qk_dim: int,
        kernel_size: int,
        num_heads: int,
        block: type[ResBlock],
        vdim: int | None = None,
        bilinear_heads: int = 0,
        sigma_cells: float = 0.0,
    ):
        super().__init__()
        if bilinear_heads < 0 or sigma_cells < 0:
            raise ValueError(
                f"bilinear_heads and sigma_cells are 0 or more, not {bilinear_heads}, {sigma_cells}"
            )
        self.bilinear_heads, self.sigma_cells = bilinear_heads, sigma_cells
        self.image_encoder = encoder(input_dim, qk_dim, kernel_size, block)
        self.key_encoder = encoder(qk_dim, qk_dim, 1, block)
        self.query_encoder = encoder(qk_dim, qk_dim, 1, block)
        self.cross_decode = CrossDecode(qk_dim, num_heads, vdim)
        self.rope = RoPE(qk_dim)

    def encode_keys(self, encoded: Tensor, features: Tensor) -> Tensor:
        """Return keys (B, d, h, w) from the encoded image (B, d, H, W) and the features (B, C, h,
        w).
        """
        raise NotImplementedError

    def encode_queries(self, encoded: Tensor, output_size: tuple[int, int]) -> Tensor:
        """Return queries (B, d, H', W') from the encoded image (B, d, H, W), which may be
        overwritten.
        """
        return pool(banded.encode(self.query_encoder, encoded, reuse=True), output_size)

    def _prepare(
        self, guidance: Tensor, values: Tensor, output_size: tuple[int, int]
    ) -> AttentionResampler:
        encoded = banded.rotate(self.rope, banded.encode(self.image_encoder, guidance))
        keys = self.encode_keys(encoded, values)
        queries = self.encode_queries(encoded, output_size)
        del encoded
        attention = self.cross_decode.cross_attn
        conv = self.cross_decode.conv2d
        if banded.is_large(*queries.shape[:2], output_size):
            queries = banded.convolve_then(conv, queries, attention.query)
        else:
            queries = project_queries(attention, conv(queries))
        grid = values.shape[-2:]
        return AttentionResampler(
            values,
            queries,
            attention.key(keys.permute(0, 2, 3, 1)),
            attention.heads,
            key_ranges(grid[0], output_size[0], self.half_width(grid[0])),
            key_ranges(grid[1], output_size[1], self.half_width(grid[1])),
            self.remark(),
            self.bilinear_heads,
            self.sigma_cells,
        )

    def half_width(self, cells: int) -> float:
        """Return the window's half-width along an axis of so many cells, as a share of the axis; 0
        for no window.
        """
        return self.window_ratio

    def remark(self) -> str:
        """Say what captions must mention about this instance."""
        count, learned = self.bilinear_heads, self.cross_decode.cross_attn.heads
        near = f"Gaussian of {self.sigma_cells:g} cells" if self.sigma_cells else ""
        plain = f"{count} of {learned + count} heads bilinear" if count else ""
        return ", ".join(part for part in (near, plain) if part)


def pool(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Adaptive average pooling to ``size``; a map that already has it is returned as it is."""
    return x if tuple(x.shape[-2:]) == tuple(size) else F.adaptive_avg_pool2d(x, size)


def project_queries(attention: RawValueAttention, queries: Tensor) -> Tensor:
    """Project queries (B, d, H', W') to (B, H', W', d), in bands of rows where nothing is
    differentiated.
    """
    batch, dim, height, width = queries.shape
    if torch.is_grad_enabled():
        return attention.query(queries.permute(0, 2, 3, 1))
    out = queries.new_empty(batch, height, width, dim)
    band = max(1, BLOCK_BYTES // (batch * width * dim * queries.element_size()))
    for start in range(0, height, band):
        rows = slice(start, start + band)
        out[:, rows] = attention.query(queries[:, :, rows].permute(0, 2, 3, 1).contiguous())
    return out


class UnitNorm(nn.Module):
    """Scale each cell's feature vector (B, C, h, w) to length one over channels."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x / ||x||."""
        return F.normalize(x, dim=1)
