"""The image encoders on a CPU, a tile of pixels at a time: the plain modules' results up to
rounding, at about the speed of the matrix products in them.

A map is a matrix (pixels, channels) of one photo and a tile is some of its rows. A 1x1 convolution
is a matrix product; what surrounds it (scale, shift, SiLU, rotation, the sums that GroupNorm's
statistics need) is done while the tile is in the cache. Maps are overwritten wherever nobody needs
them any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from explorer.resources.memory import tile_bytes
from explorer.resources.request_context import check_time
from explorer.upsamplers.layers import RawValueAttention, ResBlock, RoPE
from explorer.upsamplers.windows import pooling_shares

TILE_BYTES = 2**20  # of one tile; the second-level cache
CONVOLVED_BYTES = 2**21
STORED_BYTES = 512 * 2**20  # a larger map is not stored a third time but computed twice
SPREAD = 64.0  # squared mean over variance beyond which sums of squares are not exact enough

Affine = tuple[Tensor, Tensor]


def applies(image: Tensor, *encoders: nn.Sequential) -> bool:
    """Whether these encoders can be computed here: on a CPU, in float32 or float64, and while no
    gradients are kept; elsewhere the plain modules are no slower.
    """
    return (
        image.device.type == "cpu"
        and image.dtype in (torch.float32, torch.float64)
        and not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and all(_is_plain(encoder) for encoder in encoders)
    )


def _is_plain(encoder: nn.Module) -> bool:
    if not isinstance(encoder, nn.Sequential):
        return False
    first, *blocks = encoder
    return (
        isinstance(first, nn.Conv2d)
        and first.bias is None
        and all(
            isinstance(block, ResBlock) and isinstance(block.shortcut, nn.Identity)
            for block in blocks
        )
    )


class Moments:
    """Sums over the pixels of a map, tile by tile, for the statistics of a GroupNorm."""

    def __init__(self, channels: int):
        self.total = torch.zeros(channels, dtype=torch.float64)
        self.squares = torch.zeros(channels, dtype=torch.float64)

    def add(self, tile: Tensor) -> None:
        """Count the pixels of ``tile`` (n, d)."""
        self.total += tile.sum(dim=0)
        self.squares += torch.linalg.vecdot(tile, tile, dim=0)

    def affine(self, norm: nn.GroupNorm, pixels: int, again: Callable[[], Iterator[Tensor]]):
        """Return the norm as scale and shift per channel, (d,) each.

        ``again`` yields the tiles once more, for a map whose values hardly differ.
        """
        groups = norm.num_groups
        each = len(self.total) // groups
        mean = self.total.view(groups, each).sum(dim=1) / (pixels * each)
        spread = self.squares.view(groups, each).sum(dim=1) / (pixels * each) - mean.square()
        if bool((mean.square() > SPREAD * spread).any()):
            spread = torch.zeros_like(mean)
            for tile in again():
                apart = tile.double().unflatten(1, (groups, each)) - mean[:, None]
                spread += apart.square().sum(dim=(0, 2)) / (pixels * each)
        rate = (spread + norm.eps).rsqrt().repeat_interleave(each)
        scale = rate if norm.weight is None else rate * norm.weight.double()
        shift = -mean.repeat_interleave(each) * scale
        return scale, shift if norm.bias is None else shift + norm.bias.double()


class PixelMap:
    """A map of one photo as a matrix (height * width, channels), and work on it in tiles.

    ``moments`` are those of the values that the matrix holds now.
    """

    def __init__(self, data: Tensor, size: tuple[int, int]):
        self.data, self.size = data, size
        self.moments = Moments(data.shape[1])

    @classmethod
    def empty(cls, like: Tensor, channels: int, size: tuple[int, int]) -> PixelMap:
        """Return a map of ``channels`` without values."""
        return cls(like.new_empty(size[0] * size[1], channels), size)

    @property
    def channels_first(self) -> Tensor:
        """The map as (1, d, H, W), its memory shared."""
        return self.data.unflatten(0, self.size).permute(2, 0, 1)[None]

    def bands(self, nbytes: int | None = None) -> Iterator[tuple[slice, slice]]:
        """Yield rows of the photo of about ``nbytes`` (a tile's, if None), and the same as rows of
        the matrix, while the request is still worth computing.
        """
        height, width = self.size
        row = width * self.data.shape[1] * self.data.element_size()
        step = max(1, tile_bytes(TILE_BYTES if nbytes is None else nbytes) // row)
        for start in range(0, height, step):
            check_time()
            stop = min(start + step, height)
            yield slice(start, stop), slice(start * width, stop * width)

    def tiles(self) -> Iterator[Tensor]:
        """Yield the matrix in tiles."""
        for _, tile in self.bands():
            yield self.data[tile]

    def affine(self, norm: nn.GroupNorm) -> Affine:
        """Return ``norm`` of the whole map as scale and shift per channel."""
        found = self.moments.affine(norm, len(self.data), self.tiles)
        return tuple(part.to(self.data.dtype) for part in found)


def encode(
    encoder: nn.Sequential,
    image: Tensor | PixelMap,
    out: PixelMap,
    spare: PixelMap | None,
    rope: RoPE | None = None,
) -> PixelMap:
    """Fill ``out`` with the encoder's map of an image (1, c, H, W) or of another map, which may be
    ``out`` itself.

    ``spare`` is overwritten; without it the inner maps of the blocks are computed twice. ``rope``:
    rotate the result.
    """
    first, *blocks = encoder
    _first(first, image, out)
    for block in blocks[:-1]:
        _add_branch(block, out, spare)
    _add_branch(blocks[-1], out, spare, None if rope is None else Rotation(rope, out))
    return out


def encode_pooled(
    encoder: nn.Sequential,
    source: PixelMap,
    out: PixelMap,
    spare: PixelMap | None,
    size: tuple[int, int],
) -> Tensor:
    """Return the encoder's map of ``source`` averaged to ``size``: (1, d, h, w).

    The last convolution is linear, so it comes after the average. ``out`` and ``spare`` are
    overwritten.
    """
    first, *blocks = encoder
    _first(first, source, out)
    for block in blocks[:-1]:
        _add_branch(block, out, spare)
    if spare is None:
        _add_branch(blocks[-1], out, spare)
        return _average(out, size)
    *_, last = blocks[-1].branch()
    for _ in _inner(blocks[-1], out, spare):
        pass
    return _average(out, size) + F.conv2d(_average(spare, size), last.weight)


def pooled(source: PixelMap, size: tuple[int, int]) -> PixelMap:
    """Return the map averaged to ``size``; one of that size as it is."""
    if source.size == size:
        return source
    made = _average(source, size)
    small = PixelMap(made[0].permute(1, 2, 0).flatten(0, 1).contiguous(), size)
    for tile in small.tiles():
        small.moments.add(tile)
    return small


def decode_queries(
    conv: nn.Conv2d,
    attention: RawValueAttention,
    queries: PixelMap,
    out: Tensor,
    norm: nn.GroupNorm | None = None,
) -> None:
    """Fill ``out`` (H, W, d) with the attention's queries of ``norm`` and the zero-padded
    convolution of a map.
    """
    height, _ = queries.size
    side = conv.kernel_size[0] // 2
    weight = conv.weight.contiguous(memory_format=torch.channels_last)
    affine = None if norm is None else queries.affine(norm)
    whole = queries.data.unflatten(0, queries.size)
    for rows, _ in queries.bands(CONVOLVED_BYTES):
        low, high = max(0, rows.start - side), min(height, rows.stop + side)
        seen = whole[low:high]
        if affine is not None:
            seen = torch.addcmul(affine[1], seen, affine[0])
        above, below = side - (rows.start - low), side - (high - rows.stop)
        padded = F.pad(seen, (0, 0, side, side, above, below)).permute(2, 0, 1)[None]
        made = F.conv2d(padded, weight, conv.bias)
        out[rows] = attention.query(made[0].permute(1, 2, 0))


def _average(source: PixelMap, size: tuple[int, int]) -> Tensor:
    """Return the adaptive average pooling of a map: (1, d, h, w)."""
    x = source.data.unflatten(0, source.size)  # (H, W, d)
    for axis, (cells, pixels) in enumerate(zip(size, source.size, strict=True)):
        if pixels % cells == 0:
            x = x.unflatten(axis, (cells, -1)).mean(dim=axis + 1)
        else:
            shares = pooling_shares(cells, pixels).to(x)
            x = torch.tensordot(shares, x, dims=([1], [axis])).movedim(0, axis)
    return x.permute(2, 0, 1)[None]


def _product(tile: Tensor, weight: Tensor, out: Tensor) -> None:
    """Write tile @ weight; in half precision where autocast asks for it, which ``out=`` ignores."""
    if torch.is_autocast_enabled("cpu"):
        out.copy_(tile @ weight)
    else:
        torch.mm(tile, weight, out=out)


def _matrix(conv: nn.Conv2d) -> Tensor:
    """Return a 1x1 convolution's weight as (c_in, c_out)."""
    return conv.weight.detach()[:, :, 0, 0].T.contiguous()


def _first(conv: nn.Conv2d, source: Tensor | PixelMap, out: PixelMap) -> None:
    """Fill ``out`` with the encoder's first convolution and count its moments."""
    out.moments = Moments(out.data.shape[1])
    side = conv.kernel_size[0] // 2
    image = source.channels_first if isinstance(source, PixelMap) else source
    padded = F.pad(image, [side] * 4, mode="reflect") if side else image
    weight = _matrix(conv)
    for rows, tile in out.bands():
        target = out.data[tile]
        if side:
            seen = padded[:, :, rows.start : rows.stop + 2 * side]
            target.copy_(F.conv2d(seen, conv.weight)[0].permute(1, 2, 0).flatten(0, 1))
        else:
            seen = padded[0, :, rows].permute(1, 2, 0).flatten(0, 1)
            _product(seen.clone() if source is out else seen, weight, target)
        out.moments.add(target)


def _inner(
    block: ResBlock, x: PixelMap, spare: PixelMap | None
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield the tiles of what a block's last convolution is applied to, ready in ``spare``."""
    norm1, conv1, norm2, _ = block.branch()
    scale, shift = x.affine(norm1)
    weight = _matrix(conv1)
    moments = Moments(weight.shape[1])
    work: list[Tensor] = []  # two tiles, allocated once

    def middle(tile: slice, out: Tensor | None) -> Tensor:
        part = x.data[tile]
        if not work:
            work.extend((torch.empty_like(part), part.new_empty(len(part), weight.shape[1])))
        active, made = (kept[: len(part)] for kept in work)
        made = made if out is None else out
        torch.addcmul(shift, part, scale, out=active)
        _product(F.silu(active, inplace=True), weight, made)
        return made

    def stored(tile: slice) -> Tensor | None:
        return None if spare is None else spare.data[tile]

    for _, tile in x.bands():
        moments.add(middle(tile, stored(tile)))

    def again() -> Iterator[Tensor]:
        for _, tile in x.bands():
            yield middle(tile, None) if spare is None else spare.data[tile]

    found = moments.affine(norm2, len(x.data), again)
    scale2, shift2 = (part.to(x.data.dtype) for part in found)
    for rows, tile in x.bands():
        made = middle(tile, None) if spare is None else spare.data[tile]
        torch.addcmul(shift2, made, scale2, out=made)
        yield rows, tile, F.silu(made, inplace=True)


def _add_branch(
    block: ResBlock, x: PixelMap, spare: PixelMap | None, rotation: Rotation | None = None
) -> None:
    """Add a residual block's branch to ``x`` in place, rotate it, and count its moments."""
    *_, last = block.branch()
    weight, moments = _matrix(last), Moments(x.data.shape[1])
    half = torch.is_autocast_enabled("cpu")
    for rows, tile, inner in _inner(block, x, spare):
        part = x.data[tile]
        if half:
            part += inner @ weight
        else:
            part.addmm_(inner, weight)
        if rotation is not None:
            rotation(part.unflatten(0, (-1, x.size[1])), rows)
        moments.add(part)
    x.moments = moments


class Rotation:
    """`RoPE` on rows of a map (n, W, d), in place, by sums of row and column angles."""

    def __init__(self, rope: RoPE, like: PixelMap):
        down, across = rope.angles(*like.size, like.data.dtype)
        self.down, self.across = (down.cos(), down.sin()), (across.cos(), across.sin())

    def __call__(self, x: Tensor, rows: slice) -> None:
        """Rotate the map's rows ``rows``."""
        cos_down, sin_down = (part[rows, None] for part in self.down)
        cos_across, sin_across = self.across
        cosine = (cos_down * cos_across).addcmul_(sin_down, sin_across, value=-1)
        sine = (sin_down * cos_across).addcmul_(cos_down, sin_across)
        half = x.shape[-1] // 2
        first, second = x[..., :half], x[..., half:]
        turned = torch.mul(first, sine[..., half:])
        first.mul_(cosine[..., :half]).addcmul_(second, sine[..., :half], value=-1)
        second.mul_(cosine[..., half:]).add_(turned)
