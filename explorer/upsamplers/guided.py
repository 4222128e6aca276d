"""Image-guided attention: what AnyUp and JAFAR have in common before they differ in their keys and
windows.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from explorer.upsamplers import tiled
from explorer.upsamplers.attention import AttentionResampler
from explorer.upsamplers.base import ImageHalf, Upsampler
from explorer.upsamplers.cost import MethodCost
from explorer.upsamplers.layers import CrossDecode, ResBlock, RoPE, encoder
from explorer.upsamplers.settings import freeze, settings_digest
from explorer.upsamplers.windows import key_ranges


class GuidedAttention(Upsampler):
    """Queries from the guidance image, keys from image and features, attention on raw features.

    Subclasses say how keys are made (``encode_keys``) and how queries are normalised
    (``query_norm``).

    Two options are ours, both published 0, and draw what little training has learned towards near
    cells: ``bilinear_heads``, so many heads beside the learned ones that read as bilinear
    interpolation does; ``sigma_cells``, the standard deviation, in cells, of a Gaussian around each
    pixel by which the learned heads' weights are multiplied before they are made to sum to one.
    """

    has_attention = True
    has_image_half = True
    half_precision = True  # a large share of its time is convolutions over the whole output
    convex = True
    cost = MethodCost(output_pixel=2600, large_pixel=1600, seconds=1.5)
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

    def encode_keys(self, seen: Tensor, features: Tensor) -> Tensor:
        """Return keys (B, d, h, w) from the pooled image code (B, d, h, w) and the features (B, C,
        h, w).
        """
        raise NotImplementedError

    def image_half_digest(self) -> str:
        """Return hex digits of the encoders, of the queries' projection and of the statistics."""
        decode = self.cross_decode
        attention = decode.cross_attn
        modules = (
            *(self.image_encoder, self.key_encoder, self.query_encoder, self.rope),
            *(decode.conv2d, attention.norm_q, self.query_norm()),
        )
        facts = [type(self).__name__, self.mean, self.std, attention.heads]
        for module in filter(None, modules):
            facts += [dict(module.state_dict()), settings_digest(module, {})]
        return hashlib.sha256(repr(freeze([*facts, attention.projection(0)])).encode()).hexdigest()

    def query_norm(self) -> nn.GroupNorm | None:
        """Return the norm of the pooled query code, if the method has one."""
        return None

    def _prepare(
        self, guidance: Tensor, values: Tensor, output_size: tuple[int, int]
    ) -> AttentionResampler:
        grid = (values.shape[2], values.shape[3])
        return self._prepare_features(self._prepare_image(guidance, output_size, grid), values)

    def _prepare_image(
        self, guidance: Tensor, output_size: tuple[int, int], grid: tuple[int, int]
    ) -> ImageHalf:
        if tiled.applies(guidance, self.image_encoder, self.key_encoder, self.query_encoder):
            return self._in_tiles(guidance, output_size, grid)
        encoded = self.rope(self.image_encoder(guidance))
        seen = pool(self.key_encoder(encoded), grid)
        queries, norm = pool(self.query_encoder(encoded), output_size), self.query_norm()
        del encoded
        queries = self.cross_decode.conv2d(queries if norm is None else norm(queries))
        return ImageHalf(self.cross_decode.cross_attn.query(queries.permute(0, 2, 3, 1)), seen)

    def _in_tiles(
        self, guidance: Tensor, output_size: tuple[int, int], grid: tuple[int, int]
    ) -> ImageHalf:
        """Compute the image half in the memory of three maps, or of two if they are large."""
        batch, _, *size = guidance.shape
        size, dim = tuple(size), self.image_encoder[0].out_channels
        encoded, inner = (tiled.PixelMap.empty(guidance, dim, size) for _ in range(2))
        large = encoded.data.nbytes > tiled.STORED_BYTES
        keys = inner if large else tiled.PixelMap.empty(guidance, dim, size)
        reuse = batch == 1 and size == output_size  # the queries then replace the inner map
        out = inner.data if reuse else guidance.new_empty(batch, *output_size, dim)
        out, seen = out.view(batch, *output_size, dim), []
        for image, queries in zip(guidance.split(1), out, strict=True):
            tiled.encode(self.image_encoder, image, encoded, inner, self.rope)
            spare = None if large else inner
            seen.append(tiled.encode_pooled(self.key_encoder, encoded, keys, spare, grid))
            tiled.encode(self.query_encoder, encoded, encoded, inner)
            decode, coarse = self.cross_decode, tiled.pooled(encoded, output_size)
            tiled.decode_queries(
                decode.conv2d, decode.cross_attn, coarse, queries, self.query_norm()
            )
        return ImageHalf(out, torch.cat(seen))

    def _prepare_features(self, half: ImageHalf, values: Tensor) -> AttentionResampler:
        attention, queries = self.cross_decode.cross_attn, half.queries
        keys = self.encode_keys(half.seen, values)
        row_bounds, col_bounds = (
            key_ranges(cells, size, self.half_width(cells))
            for cells, size in zip(values.shape[2:], queries.shape[1:3], strict=True)
        )
        return AttentionResampler(
            values,
            queries,
            attention.key(keys.permute(0, 2, 3, 1)),
            attention.heads,
            row_bounds,
            col_bounds,
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


class UnitNorm(nn.Module):
    """Scale each cell's feature vector (B, C, h, w) to length one over channels."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x / ||x||."""
        return F.normalize(x, dim=1)
