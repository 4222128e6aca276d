"""Layers that AnyUp and JAFAR share: residual blocks, image encoders, rotary positions, head-mean
attention.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def fused_silu(x: Tensor) -> Tensor:
    """SiLU that overwrites its input when nothing will be differentiated, to keep peak memory
    low.
    """
    return F.silu(x, inplace=not torch.is_grad_enabled())


class ResBlock(nn.Module):
    """GroupNorm-SiLU-conv twice, added to the input; AnyUp's state-dict names (``block.0/2/3/5``,
    ``shortcut``).

    Shape: (B, c_in, H, W) -> (B, c_out, H, W). GroupNorm's statistics cover the whole map.
    """

    def __init__(self, c_in: int, c_out: int, groups: int = 8):
        super().__init__()
        self.block = nn.Sequential(
            nn.GroupNorm(groups, c_in),
            nn.SiLU(),
            nn.Conv2d(c_in, c_out, 1, bias=False),
            nn.GroupNorm(groups, c_out),
            nn.SiLU(),
            nn.Conv2d(c_out, c_out, 1, bias=False),
        )
        self.shortcut = nn.Conv2d(c_in, c_out, 1, bias=False) if c_in != c_out else nn.Identity()

    def branch(self) -> tuple[nn.Module, nn.Module, nn.Module, nn.Module]:
        """Return (norm, conv, norm, conv) of the residual branch."""
        return self.block[0], self.block[2], self.block[3], self.block[5]

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus the branch."""
        norm1, conv1, norm2, conv2 = self.branch()
        y = conv1(fused_silu(norm1(x)))
        y = conv2(fused_silu(norm2(y)))
        return y + self.shortcut(x) if torch.is_grad_enabled() else y.add_(self.shortcut(x))


class NamedResBlock(ResBlock):
    """The same block under JAFAR's state-dict names (``norm1, conv1, norm2, conv2``)."""

    def __init__(self, c_in: int, c_out: int, groups: int = 8):
        super().__init__(c_in, c_out, groups)
        self.norm1, self.conv1, self.norm2, self.conv2 = super().branch()
        del self.block

    def branch(self) -> tuple[nn.Module, nn.Module, nn.Module, nn.Module]:
        """Return (norm, conv, norm, conv) of the residual branch."""
        return self.norm1, self.conv1, self.norm2, self.conv2


def encoder(
    c_in: int, dim: int, kernel_size: int = 1, block: type[ResBlock] = ResBlock
) -> nn.Sequential:
    """Return a k x k convolution (reflect padding, no bias) from ``c_in`` to ``dim`` and two
    residual blocks.
    """
    first = nn.Conv2d(
        c_in,
        dim,
        kernel_size,
        padding=kernel_size // 2,
        padding_mode="reflect",
        bias=False,
    )
    return nn.Sequential(first, block(dim, dim), block(dim, dim))


class RoPE(nn.Module):
    """Learned rotary position code over a whole map (B, d, H, W), coordinates 0..1 with inclusive
    ends.

    The halves that are rotated together carry a row angle and a column angle, so it is not a true
    rotation; published weights were trained with exactly this.
    """

    def __init__(self, dim: int, base: float = 100.0):
        super().__init__()
        scale = base ** torch.linspace(0, -1, dim // 4)
        half = torch.cat([scale, scale])  # (d/2,)
        freqs = torch.zeros(2, dim)
        freqs[0, : dim // 2] = half
        freqs[1, dim // 2 :] = half
        self.freqs = nn.Parameter(freqs * 2 * math.pi)

    def forward(self, x: Tensor) -> Tensor:
        """Rotate ``x`` (B, d, H, W) by the angle of each pixel's position."""
        angles = self.angles(*x.shape[-2:], x.dtype)
        angle = (angles[0][:, None] + angles[1]).permute(2, 0, 1)  # (d, H, W)
        first, second = x.chunk(2, dim=1)
        return x * angle.cos() + torch.cat([-second, first], dim=1) * angle.sin()

    def angles(self, height: int, width: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return each row's share of the angles (H, d) and each column's (W, d)."""
        freqs = self.freqs.to(dtype)
        down, across = (
            torch.linspace(0, 1, size, device=freqs.device, dtype=dtype)[:, None] * freqs[axis]
            for axis, size in enumerate((height, width))
        )
        return down, across


class RawValueAttention(nn.Module):
    """Query/key halves of a multi-head attention whose head-averaged weights act on raw features.

    The value and output projections of the inner ``nn.MultiheadAttention`` belong to the published
    checkpoints and never touch the result. ``vdim`` other than ``dim`` makes the inner module keep
    separate projection matrices, as JAFAR's checkpoints do, together with an unused ``norm_v``.
    """

    def __init__(self, dim: int, heads: int, vdim: int | None = None):
        super().__init__()
        self.norm_q = nn.RMSNorm(dim)
        self.norm_k = nn.RMSNorm(dim)
        if vdim is not None:
            self.norm_v = nn.RMSNorm(vdim)
        self.attention = nn.MultiheadAttention(dim, heads, vdim=vdim, batch_first=True)

    @property
    def heads(self) -> int:
        """How many heads are averaged."""
        return self.attention.num_heads

    def query(self, x: Tensor) -> Tensor:
        """Return scaled queries: (B, ..., d) raw -> (B, ..., d) projected, times (d/heads)^-0.5."""
        weight, bias = self.projection(0)
        scale = (x.shape[-1] // self.heads) ** -0.5
        return F.linear(self.norm_q(x), weight * scale, bias * scale)

    def key(self, x: Tensor) -> Tensor:
        """Return projected keys: (B, ..., d) -> (B, ..., d)."""
        weight, bias = self.projection(1)
        return F.linear(self.norm_k(x), weight, bias)

    def projection(self, part: int) -> tuple[Tensor, Tensor]:
        """Return weight and bias that queries (``part`` 0) or keys (1) are projected by."""
        mha = self.attention
        dim = mha.embed_dim
        span = slice(part * dim, (part + 1) * dim)
        if mha.in_proj_weight is not None:
            return mha.in_proj_weight[span], mha.in_proj_bias[span]
        weight = (mha.q_proj_weight, mha.k_proj_weight)[part]
        return weight, mha.in_proj_bias[span]


class CrossDecode(nn.Module):
    """A 3x3 zero-padded convolution on the queries, then attention; the published submodule
    names.
    """

    def __init__(self, dim: int, heads: int, vdim: int | None = None):
        super().__init__()
        self.cross_attn = RawValueAttention(dim, heads, vdim)
        self.conv2d = nn.Conv2d(dim, dim, 3, padding=1, bias=False)
