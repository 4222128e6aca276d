"""PNGs of every depth, interlacing and hidden colour against the arrays written into them."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image
from png_writer import (
    DEPTHS,
    GREY,
    GREY_ALPHA,
    PALETTE,
    RGB,
    RGBA,
    Kind,
    palette_of,
    random_samples,
    to_rgb,
    write,
)

from explorer.core import ImageError
from explorer.imaging import open_photo

KINDS = [
    Kind(colour, bits, interlaced, hidden, filtered)
    for colour, depths in DEPTHS.items()
    for bits, interlaced, hidden, filtered in itertools.product(
        depths, (False, True), (False, True), (0, 1, 2)
    )
    if not (hidden and colour in (GREY_ALPHA, RGBA))
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_png_is_right(kind: Kind) -> None:
    for seed in range(3):
        samples = random_samples(kind, 13, 11, seed)
        palette = palette_of(kind) if kind.colour == PALETTE else None
        error = np.abs(
            open_photo(write(samples, kind, palette)).pixels - to_rgb(samples, kind, palette)
        )
        blended = kind.colour in (GREY_ALPHA, RGBA, PALETTE)
        assert error.max() <= (1.5 if blended else 0.5001)


def test_only_the_exact_colour_of_sixteen_bits_is_hidden() -> None:
    samples = np.array([[[0x1234], [0x1235], [0x1334]]])
    pixels = open_photo(write(samples, Kind(GREY, 16, hidden=True))).pixels
    assert pixels[0, :, 0].tolist() == [255, 18, 19]
    colours = np.array([[[0x1234, 1, 2], [0x1234, 1, 3], [0x1235, 1, 2]]])
    pixels = open_photo(write(colours, Kind(RGB, 16, hidden=True))).pixels
    assert pixels[0].tolist() == [[255] * 3, [18, 0, 0], [18, 0, 0]]


def test_sixteen_bits_are_rounded_and_turned_upright() -> None:
    samples = (np.arange(2 * 3 * 3).reshape(2, 3, 3) * 3641) % 65536
    data = write(samples, Kind(RGB, 16), orientation=6)
    assert np.array_equal(open_photo(data).pixels, np.rot90(np.rint(samples / 257), -1))


def test_lazy_and_decoded_pictures_of_pillow() -> None:
    for kind in (Kind(RGB, 16, hidden=True), Kind(GREY, 4, hidden=True), Kind(GREY_ALPHA, 16)):
        data = write(random_samples(kind, 5, 7), kind)
        expected = open_photo(data).pixels
        with Image.open(io.BytesIO(data)) as lazy:
            assert np.array_equal(open_photo(lazy).pixels, expected)
            lazy.load()  # the caller can go on with it
    grey = Kind(GREY, 16, hidden=True)
    data = write(random_samples(grey, 5, 7), grey)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert np.array_equal(open_photo(image).pixels, open_photo(data).pixels)
    deep = Kind(RGB, 16, hidden=True)
    with Image.open(io.BytesIO(write(random_samples(deep, 5, 7), deep))) as image:
        image.load()
        with pytest.raises(ImageError, match="pass the file itself"):
            open_photo(image)
