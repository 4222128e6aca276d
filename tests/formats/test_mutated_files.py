"""Damaged files open or are refused in one sentence, without much memory."""

from __future__ import annotations

import tracemalloc
import warnings

import bmp_writer as bmp
import numpy as np
import png_writer as png
import pytest
import tiff_writer as tiff

from explorer.core import ImageError
from explorer.imaging import open_photo

TIFFS = [
    tiff.Kind(tiff.RGB, 16, planar=2),
    tiff.Kind(tiff.RGB, 16, planar=2, compression=tiff.LZW, predictor=2, tiled=True),
    tiff.Kind(tiff.RGB, 16, extra=(1,), compression=tiff.PACKBITS),
    tiff.Kind(tiff.BLACK_IS_ZERO, 12),
    tiff.Kind(tiff.WHITE_IS_ZERO, 8, planar=2, fill_order=2),
    tiff.Kind(tiff.YCBCR, 8),
    tiff.Kind(tiff.BLACK_IS_ZERO, 32, tiff.FLOAT, compression=tiff.DEFLATE, big_endian=True),
    tiff.Kind(tiff.PALETTE, 4, extra=(), planar=2, big_tiff=True),
]
PNGS = [png.Kind(png.RGB, 16, hidden=True), png.Kind(png.GREY, 4, hidden=True), png.Kind(4, 16)]
BMPS = [
    bmp.Kind(8, 40, bmp.RLE8),
    bmp.Kind(4, 108, bmp.RLE4),
    bmp.Kind(4, 12),
    bmp.Kind(16, 124, bmp.BITFIELDS, (0x7C00, 0x3E0, 0x1F, 0x8000)),
]


def file_of(kind: tiff.Kind | png.Kind | bmp.Kind) -> bytes:
    if isinstance(kind, tiff.Kind):
        colours = tiff.random_colours(kind) if kind.photometric == tiff.PALETTE else None
        return tiff.write(tiff.random_samples(kind, 19, 21), kind, colours)
    if isinstance(kind, png.Kind):
        return png.write(png.random_samples(kind, 13, 11), kind)
    numbers = np.random.default_rng(0).integers(0, 2**kind.bits, (9, 23))
    pixels = (
        bmp.run_lengths(numbers, kind) if kind.compression in (1, 2) else bmp.rows(numbers, kind)
    )
    palette = np.zeros((2**kind.bits, 3), np.uint8) if kind.bits <= 8 else None
    return bmp.write(pixels, numbers.shape, kind, palette)


@pytest.mark.parametrize("kind", [*TIFFS, *PNGS, *BMPS], ids=str)
def test_mutated_files_open_or_are_refused(kind: tiff.Kind | png.Kind | bmp.Kind) -> None:
    data = file_of(kind)
    generator = np.random.default_rng(3)
    for turn in range(60):
        broken = bytearray(data)
        directory = len(data) - 300 if isinstance(kind, tiff.Kind) and turn % 2 else 0
        for _ in range(int(generator.integers(1, 5))):
            place = int(generator.integers(max(0, directory), len(broken)))
            broken[place] = int(generator.choice([0, 1, 2, 127, 255, generator.integers(256)]))
        if turn % 7 == 0:
            broken = broken[: int(generator.integers(1, len(broken)))]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about tags it cannot read
            try:
                assert open_photo(bytes(broken)).pixels.size
            except ImageError as error:
                assert "\n" not in str(error) and len(str(error)) < 300


@pytest.mark.parametrize("kind", [TIFFS[0], TIFFS[1], TIFFS[7], BMPS[0]], ids=str)
def test_a_size_that_is_promised_costs_nothing(kind: tiff.Kind | bmp.Kind) -> None:
    """The dimension limit comes before every reader."""
    data = bytearray(file_of(kind))
    place = 18
    if isinstance(kind, tiff.Kind):
        width = (256).to_bytes(2, "little") + b"\4\0"
        place = data.index(width) + (12 if kind.big_tiff else 8)
    data[place : place + 4] = (100_000).to_bytes(4, "little")
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="100000 x"):
            open_photo(bytes(data))
        assert tracemalloc.get_traced_memory()[1] < 4e6
    finally:
        tracemalloc.stop()


def test_strips_that_share_bytes_stay_within_the_size_of_the_picture() -> None:
    """3,000 strips that each claim the same 60,000 bytes would be 180 MB per plane."""
    height = 3000
    kind = tiff.Kind(tiff.RGB, 16, planar=2, compression=tiff.LZW, rows_per_strip=1)
    data = bytearray(tiff.write(tiff.random_samples(kind, height, 4), kind))
    for tag, value in ((273, 8), (279, 60_000)):
        entry = data.index(tag.to_bytes(2, "little") + b"\4\0" + (3 * height).to_bytes(4, "little"))
        place = int.from_bytes(data[entry + 8 : entry + 12], "little")
        data[place : place + 12 * height] = value.to_bytes(4, "little") * (3 * height)
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="damaged"):
            open_photo(bytes(data))
        assert tracemalloc.get_traced_memory()[1] < 2e7
    finally:
        tracemalloc.stop()
