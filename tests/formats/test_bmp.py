"""BMPs of every header, depth, mask and run-length code against the arrays written into them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from bmp_writer import BITFIELDS, RLE4, RLE8, Kind, rows, run_lengths, write

from explorer.core import ImageError
from explorer.imaging import open_photo

RNG = np.random.default_rng(0)
HEADERS = (12, 40, 52, 56, 64, 108, 124)


def palettes(bits: int) -> dict[str, np.ndarray]:
    count = 2**bits
    steps = np.arange(count)[:, None].repeat(3, axis=1)
    black_and_white = np.array([[0] * 3, [255] * 3])
    named = {
        "random": RNG.integers(0, 256, (count, 3)),
        "grey": steps * 255 // (count - 1),
        "darkest greys": steps,
        "black and white": black_and_white,
        "white and black": black_and_white[::-1],
        "two colours": RNG.integers(0, 256, (2, 3)),
    }
    return {name: palette.astype(np.uint8) for name, palette in named.items()}


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("bits", [1, 4, 8])
def test_palettes(header: int, bits: int) -> None:
    for (name, palette), top_down in itertools.product(palettes(bits).items(), (False, True)):
        if header == 12 and (top_down or len(palette) < 2**bits):
            continue
        kind = Kind(bits, header, top_down=top_down)
        numbers = RNG.integers(0, len(palette), (7, 13))
        count = len(palette) if len(palette) < 2**bits else 0
        data = write(rows(numbers, kind), numbers.shape, kind, palette, count)
        assert np.array_equal(open_photo(data).pixels, palette[numbers]), name


OPAQUE, ALPHA = (
    [
        (16, None),
        (16, (0x7C00, 0x3E0, 0x1F, 0)),
        (16, (0xF800, 0x7E0, 0x1F, 0)),
        (24, None),
        (32, None),
        (32, (0xFF0000, 0xFF00, 0xFF, 0)),
        (32, (0xFF000000, 0xFF0000, 0xFF00, 0)),
    ],
    [
        (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),
        (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
        (32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
        (32, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
    ],
)
UNMASKED = {
    16: (0x7C00, 0x3E0, 0x1F, 0),
    24: (0xFF0000, 0xFF00, 0xFF, 0),
    32: (0xFF0000, 0xFF00, 0xFF, 0),
}


def channel(values: np.ndarray, mask: int) -> np.ndarray:
    shift = (mask & -mask).bit_length() - 1
    return ((values & mask) >> shift) / (mask >> shift) * 255


@pytest.mark.parametrize("header", [40, 56, 108, 124])
@pytest.mark.parametrize(("bits", "masks"), OPAQUE + ALPHA)
@pytest.mark.parametrize("alpha_is", ["noise", "zero"])
@pytest.mark.parametrize("top_down", [False, True])
def test_colours(
    header: int, bits: int, masks: tuple | None, alpha_is: str, top_down: bool
) -> None:
    kind = Kind(bits, header, BITFIELDS if masks else 0, masks, top_down)
    values = RNG.integers(0, 2**bits, (7, 13))
    used = masks or UNMASKED[bits]
    if alpha_is == "zero":
        values &= ~used[3]
    expected = np.stack([channel(values, mask) for mask in used[:3]], -1)
    if used[3] and header >= 56 and alpha_is == "noise":  # the old header has no mask of alpha
        alpha = channel(values, used[3])[..., None] / 255
        expected = expected * alpha + 255 * (1 - alpha)
    data = write(rows(values, kind), values.shape, kind)
    try:
        pixels = open_photo(data).pixels
    except ImageError as error:
        assert masks and header == 40 and "BMP of 32 bits" in str(error)
    else:
        assert np.abs(pixels - expected).max() <= 1.5


@pytest.mark.parametrize(("bits", "compression"), [(8, RLE8), (4, RLE4)])
@pytest.mark.parametrize("seed", range(25))
def test_run_lengths(bits: int, compression: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    kind = Kind(bits, 40 if seed % 2 else 108, compression)
    palette = palettes(bits)[("random", "darkest greys", "grey")[seed % 3]]
    numbers = generator.integers(0, 2**bits, (9, 23))
    numbers[generator.random(numbers.shape) < 0.5] = 0
    numbers[4] = 0  # a blank line
    numbers[:, 12:][generator.random((9, 11)) < 0.6] = 3
    data = write(run_lengths(numbers, kind, seed), numbers.shape, kind, palette)
    assert np.array_equal(open_photo(data).pixels, palette[numbers])


def test_an_odd_run_of_rle4_keeps_its_last_pixel() -> None:
    kind = Kind(4, 40, RLE4)
    palette = palettes(4)["random"]
    row = bytes([0, 3, 0x12, 0x30, 1, 0x50, 0, 0, 0, 1])
    assert np.array_equal(
        open_photo(write(row, (1, 4), kind, palette)).pixels, palette[[[1, 2, 3, 5]]]
    )


@pytest.mark.parametrize("data", [b"", b"\5", b"\0\2\1", b"\0\x09\1\2", b"\4\1\0\0"])
def test_run_lengths_cut_short_are_refused(data: bytes) -> None:
    kind = Kind(8, 40, RLE8)
    with pytest.raises(ImageError, match="cut short"):
        open_photo(write(data, (2, 4), kind, palettes(8)["random"]))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Kind(2), "2 bits per pixel, uncompressed"),
        (Kind(16, 56, BITFIELDS, (0xF00, 0xF0, 0xF, 0xF000)), "16 bits per pixel, bit fields"),
        (Kind(32, 56, BITFIELDS, (0x3FF00000, 0xFFC00, 0x3FF, 0)), "32 bits per pixel, bit fields"),
        (Kind(0, 40, 4), "JPEG inside"),
        (Kind(0, 40, 5), "PNG inside"),
    ],
    ids=str,
)
def test_a_kind_that_is_not_supported_is_named(kind: Kind, words: str) -> None:
    with pytest.raises(ImageError) as caught:
        open_photo(write(b"\0" * 64, (2, 2), kind), "scan.bmp")
    assert words in str(caught.value) and "scan.bmp is a BMP" in str(caught.value)
    assert "PNG or JPEG" in str(caught.value) and "is expected" not in str(caught.value)
