"""What work will cost, guessed from its sizes before any of it is done.

Bytes are bounds to refuse by, not predictions: peaks measured on a CPU, rounded up; ``python -m
explorer bench memory`` compares them. Seconds of a GPU are rougher still. What a method costs per
pixel is declared on its class (`explorer.upsamplers.cost`).
"""

from __future__ import annotations

from collections.abc import Iterable

from explorer.upsamplers import UPSAMPLERS, Upsampler
from explorer.upsamplers.tiled import STORED_BYTES

Size = tuple[int, int]

FLOAT = 4
KEPT_COMPONENTS = 12  # what the PCA view carries and keeps
INPUT_PIXEL = 1100  # bytes a backbone needs per pixel it sees
ENCODED_PIXEL = 512  # bytes of an encoder's map per pixel
SPARE = 192 * 2**20  # blocks of work, whatever the size

LEAST_SECONDS, MOST_SECONDS = 10, 120
STARTING = 5.0  # seconds until a borrowed GPU does anything
REFERENCE = 448 * 448  # pixels that the seconds are for
ENCODING = 0.6


def encoding_bytes(size: Size) -> int:
    """Return how much memory a backbone may need for a (H, W) image."""
    return size[0] * size[1] * INPUT_PIXEL + SPARE


def upsampling_bytes(
    method: str | Upsampler | type[Upsampler], channels: int, grid: Size, output: Size
) -> int:
    """Return how much memory preparing a method may need for (H', W') from ``channels`` on (h,
    w). A name that is not registered counts as a method without an encoder.
    """
    kind = _kind(method) if isinstance(method, str) else method
    pixels = max(output[0] * output[1], kind.native_factor**2 * grid[0] * grid[1])
    cells = FLOAT * channels * grid[0] * grid[1]
    per_pixel = kind.cost.output_pixel
    if kind.cost.large_pixel is not None and pixels * ENCODED_PIXEL > STORED_BYTES:
        per_pixel = kind.cost.large_pixel
    return pixels * per_pixel + 4 * cells + SPARE


def projecting_bytes(channels: int, output: Size) -> int:
    """Return how much memory ``channels`` projected channels may need at (H', W')."""
    return 4 * FLOAT * max(channels, KEPT_COMPONENTS) * output[0] * output[1] + SPARE


def gpu_seconds(backbones: int, methods: Iterable[str], input_size: int, output_size: int) -> int:
    """Return for how long a shared GPU should be asked for; sizes are longer sides in pixels."""
    per_method = sum(_kind(name).cost.seconds for name in methods)
    seen, made = input_size**2 / REFERENCE, output_size**2 / REFERENCE
    seconds = STARTING + max(1, backbones) * (ENCODING * seen + per_method * made)
    return round(min(max(seconds, LEAST_SECONDS), MOST_SECONDS))


def _kind(name: str) -> type[Upsampler]:
    return UPSAMPLERS.get(name) if name in UPSAMPLERS else Upsampler
