"""Channels of 8 or 16 bits become one 8-bit PIL image, rounded and not cut off."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageFile

from explorer.core import ImageError

NATIVE = "L" if sys.byteorder == "little" else "B"
BAND = 16  # rows
OTHER_BYTE = {"L": "B", "B": "L", "N": "B" if NATIVE == "L" else "L"}


@contextmanager
def reopened(image: ImageFile.ImageFile) -> Iterator[ImageFile.ImageFile]:
    """The same page of the same file, opened once more; ``image`` itself stays as it was.

    Raises:
        OSError, ValueError: if the file behind ``image`` is closed or cannot be read again.
    """
    stream = image.fp
    if stream is None:
        raise ValueError("the file is closed")
    place = stream.tell()
    try:
        stream.seek(0)
        with Image.open(stream, formats=[image.format]) as again:
            if image.tell():
                again.seek(image.tell())
            yield again
    finally:
        stream.seek(place)


def set_raw_modes(image: ImageFile.ImageFile, mode: str) -> None:
    """Make Pillow unpack every block of an image that is not decoded yet by another raw mode."""
    image.tile = [
        tile._replace(args=mode if isinstance(tile.args, str) else (mode, *tile.args[1:]))
        for tile in image.tile
    ]


def raw_mode(image: ImageFile.ImageFile) -> str:
    """The raw mode of an image that is not decoded yet, such as ``RGB;16B``."""
    args = image.tile[0].args
    return args if isinstance(args, str) else str(args[0])


def both_bytes(image: ImageFile.ImageFile, raw: str) -> tuple[np.ndarray, np.ndarray]:
    """The high and the low bytes of 16-bit channels, each (H, W, channels) uint8.

    Pillow has no mode for colours of 16 bits: it keeps one byte of each, which its raw mode
    chooses. Two passes, the second with the byte order turned, keep them both.
    """
    passes = []
    for order in (raw[-1], OTHER_BYTE[raw[-1]]):
        with reopened(image) as again:
            set_raw_modes(again, raw[:-1] + order)
            again.load()
            passes.append(np.asarray(again))
    return passes[0], passes[1]


def rounded(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """``round(value / 257)`` of ``value = 256 * high + low``, uint8, without 16-bit copies.

    value = 257 * high + (low - high), so the result differs from ``high`` by one at most: where
    low - high is beyond half of 257. Bands of rows keep the differences in the processor's cache.
    """
    nearest = high.copy()
    for top in range(0, len(high), BAND):
        band = slice(top, top + BAND)
        difference = low[band].astype(np.int16) - high[band]
        nearest[band] += difference > 128
        nearest[band] -= difference < -128
    return nearest


def rounded_words(values: np.ndarray) -> np.ndarray:
    """``round(value / 257)`` of 16-bit numbers, as uint8."""
    return rounded((values >> 8).astype(np.uint8), (values & 255).astype(np.uint8))


def sixteen_bit(values: np.ndarray, title: str) -> np.ndarray:
    """Whole numbers of 32 bits as uint16.

    Raises:
        ImageError: if some are out of 0 to 65535.
    """
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise ImageError(
            f"{title} holds integers from {low} to {high}; 8 or 16 bit (0 to 65535) is expected, "
            "rescale them"
        )
    return values.astype(np.uint16)


def to_image(
    colour: np.ndarray, alpha: np.ndarray | None = None, premultiplied: bool = False
) -> Image.Image:
    """An image of (H, W) grey, (H, W, 3) RGB or (H, W, 4) CMYK uint8 with an alpha (H, W), if any.

    Premultiplied colours come out over white, since white then needs no division.
    """
    if alpha is None:
        if colour.ndim == 3 and colour.shape[2] == 4:
            return Image.frombytes("CMYK", colour.shape[1::-1], colour.tobytes())
        return Image.fromarray(np.ascontiguousarray(colour))
    if premultiplied:
        clear = 255 - alpha if colour.ndim == 2 else 255 - alpha[..., None]
        return Image.fromarray((colour.astype(np.uint16) + clear).clip(0, 255).astype(np.uint8))
    return Image.fromarray(np.dstack([colour, alpha]))  # (H, W, 2) is LA, (H, W, 4) RGBA
