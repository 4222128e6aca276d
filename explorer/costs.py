"""What work will cost, guessed from its sizes before any of it is done.

Bytes are bounds to refuse by, not predictions: peaks measured on a CPU, rounded up; ``python -m
explorer bench memory`` compares them. Seconds of a GPU are rougher still.
"""

from __future__ import annotations

from collections.abc import Iterable

Size = tuple[int, int]

FLOAT = 4
KEPT_COMPONENTS = 12  # what the PCA view carries and keeps
INPUT_PIXEL = 1100  # bytes a backbone needs per pixel it sees
# Bytes per output pixel while a method is prepared and twelve components are projected.
OUTPUT_PIXEL = {"jafar": 2600, "anyup": 2600, "featup": 1400, "jbu": 300}
LARGE_MAP = 384 * 2**20  # bytes of an encoder's map above which it is made in bands of rows
ENCODED_PIXEL = 512  # bytes of such a map per pixel
BANDED_PIXEL = {"jafar": 1600, "anyup": 1600}  # bytes per output pixel then
PLAIN_PIXEL = 200  # of a method that encodes nothing
SPARE = 192 * 2**20  # blocks of work, whatever the size

LEAST_SECONDS, MOST_SECONDS = 10, 120
STARTING = 5.0  # seconds until a borrowed GPU does anything
REFERENCE = 448 * 448  # pixels that the seconds below are for
ENCODING = 0.6
METHOD_SECONDS = {"jafar": 1.5, "anyup": 1.5, "featup": 1.0}
PLAIN_SECONDS = 0.2


def encoding_bytes(size: Size) -> int:
    """Return how much memory a backbone may need for a (H, W) image."""
    return size[0] * size[1] * INPUT_PIXEL + SPARE


def upsampling_bytes(method: str, channels: int, grid: Size, output: Size) -> int:
    """Return how much memory preparing a method may need for (H', W') from ``channels`` on (h,
    w).
    """
    pixels = output[0] * output[1]
    if method == "featup":  # its stack works at sixteen times the grid, whatever the output
        pixels = max(pixels, 256 * grid[0] * grid[1])
    cells = FLOAT * channels * grid[0] * grid[1]
    banded = pixels * ENCODED_PIXEL > LARGE_MAP and method in BANDED_PIXEL
    per_pixel = BANDED_PIXEL if banded else OUTPUT_PIXEL
    return pixels * per_pixel.get(method, PLAIN_PIXEL) + 4 * cells + SPARE


def projecting_bytes(channels: int, output: Size) -> int:
    """Return how much memory ``channels`` projected channels may need at (H', W')."""
    return 4 * FLOAT * max(channels, KEPT_COMPONENTS) * output[0] * output[1] + SPARE


def gpu_seconds(backbones: int, methods: Iterable[str], input_size: int, output_size: int) -> int:
    """Return for how long a shared GPU should be asked for; sizes are longer sides in pixels."""
    per_method = sum(METHOD_SECONDS.get(name, PLAIN_SECONDS) for name in methods)
    seen, made = input_size**2 / REFERENCE, output_size**2 / REFERENCE
    seconds = STARTING + max(1, backbones) * (ENCODING * seen + per_method * made)
    return round(min(max(seconds, LEAST_SECONDS), MOST_SECONDS))
