"""The image encoders on maps too large to hold several times: in place, one band of rows after the
other.

GroupNorm's statistics cover the whole map, so they are collected in a pass of their own; everything
else is pointwise or a convolution with a small halo. The result is the plain modules' up to the
rounding of those sums, in the memory of one map instead of three or four.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from explorer.room import tile_bytes
from explorer.upsamplers.layers import ResBlock, RoPE

BAND_BYTES = 48 * 2**20
LARGE_MAP = 384 * 2**20  # bytes of an encoder's map above which it is made in bands of rows


def is_large(batch: int, channels: int, size: tuple[int, int]) -> bool:
    """Whether a float32 map of this shape is worked on in bands; never while gradients are kept."""
    nbytes = 4 * batch * channels * size[0] * size[1]
    return not torch.is_grad_enabled() and nbytes > LARGE_MAP


def bands(x: Tensor) -> Iterator[slice]:
    """Yield row ranges of a (B, C, H, W) map that fill about BAND_BYTES each."""
    height = x.shape[2]
    step = max(1, tile_bytes(BAND_BYTES) // (x[:, :, :1].numel() * x.element_size()))
    for start in range(0, height, step):
        yield slice(start, min(start + step, height))


def encode(encoder: nn.Sequential, x: Tensor, reuse: bool = False) -> Tensor:
    """Return ``encoder(x)``, (B, c_in, H, W) -> (B, d, H, W), for an encoder of `layers.encoder`.

    ``reuse``: a large ``x`` may be overwritten with the result, for nobody needs it any more.
    """
    first, *blocks = encoder
    size = (x.shape[2], x.shape[3])
    in_place = all(isinstance(block.shortcut, nn.Identity) for block in blocks)
    if not in_place or not is_large(x.shape[0], first.out_channels, size):
        return encoder(x)
    side = first.kernel_size[0] // 2
    fits = reuse and side == 0 and first.in_channels == first.out_channels
    out = x if fits else x.new_empty(x.shape[0], first.out_channels, *size)
    padded = F.pad(x, [side] * 4, mode="reflect") if side else x
    for rows in bands(out):
        seen = padded[:, :, rows.start : rows.stop + 2 * side]
        out[:, :, rows] = F.conv2d(seen, first.weight, first.bias)
    del padded
    for block in blocks:
        _add_branch(block, out)
    return out


def rotate(rope: RoPE, x: Tensor) -> Tensor:
    """Return ``rope(x)``; a large ``x`` is overwritten."""
    if not is_large(x.shape[0], x.shape[1], (x.shape[2], x.shape[3])):
        return rope(x)
    for rows in bands(x):
        x[:, :, rows] = rope(x[:, :, rows].clone(), (rows.start, x.shape[2]))
    return x


def normalise(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """Return ``norm(x)``; a large ``x`` is overwritten."""
    if not is_large(x.shape[0], x.shape[1], (x.shape[2], x.shape[3])):
        return norm(x)
    scale, shift = _affine(norm, (x[:, :, rows] for rows in bands(x)))
    for rows in bands(x):
        x[:, :, rows] = x[:, :, rows] * scale + shift
    return x


def convolve_then(conv: nn.Conv2d, x: Tensor, last: Callable[[Tensor], Tensor]) -> Tensor:
    """Return ``last`` of the zero-padded convolution of ``x`` (B, d, H, W), rows in bands.

    ``last`` maps (B, n, W, d) to the same shape; the whole result is (B, H, W, d).
    """
    batch, dim, height, width = x.shape
    out = x.new_empty(batch, height, width, dim)
    side = conv.kernel_size[0] // 2
    for rows in bands(x):
        low, high = max(0, rows.start - side), min(height, rows.stop + side)
        above, below = side - (rows.start - low), side - (high - rows.stop)
        seen = F.pad(x[:, :, low:high], [side, side, above, below])
        made = F.conv2d(seen, conv.weight, conv.bias)
        out[:, rows] = last(made.permute(0, 2, 3, 1).contiguous())
    return out


def _add_branch(block: ResBlock, x: Tensor) -> None:
    """Add a residual block's branch to ``x`` in place."""
    norm1, conv1, norm2, conv2 = block.branch()
    scale, shift = _affine(norm1, (x[:, :, rows] for rows in bands(x)))

    def middle(rows: slice) -> Tensor:
        return conv1(F.silu(x[:, :, rows] * scale + shift, inplace=True))

    # computed twice, because keeping it would take another map
    scale2, shift2 = _affine(norm2, (middle(rows) for rows in bands(x)))
    for rows in bands(x):
        y = F.silu(middle(rows).mul_(scale2).add_(shift2), inplace=True)
        x[:, :, rows] += conv2(y)


def _affine(norm: nn.GroupNorm, parts: Iterator[Tensor]) -> tuple[Tensor, Tensor]:
    """Return GroupNorm over all parts of a map as scale and shift per channel, (B, C, 1, 1)."""
    count, mean, spread = 0, 0.0, 0.0
    for part in parts:
        flat = part.reshape(part.shape[0], norm.num_groups, -1)
        n = flat.shape[2]
        # moments of parts are joined in double precision (Chan, Golub and LeVeque)
        variance, centre = (m.double() for m in torch.var_mean(flat, dim=2, correction=0))
        step = centre - mean
        mean = mean + step * (n / (count + n))
        spread = spread + variance * n + step**2 * (count * n / (count + n))
        count += n
    rate = (spread / count + norm.eps).rsqrt()
    each = part.shape[1] // norm.num_groups
    mean, rate = (value.repeat_interleave(each, dim=1) for value in (mean, rate))
    weight = 1.0 if norm.weight is None else norm.weight.double()
    bias = 0.0 if norm.bias is None else norm.bias.double()
    scale = rate * weight
    shift = bias - mean * scale
    return scale.to(part.dtype)[:, :, None, None], shift.to(part.dtype)[:, :, None, None]
