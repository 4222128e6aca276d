"""TIFFs of every kind against the arrays that a writer of our own put into them."""

from __future__ import annotations

import dataclasses
import io
import itertools
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from tiff_writer import (
    BLACK_IS_ZERO,
    CMYK,
    DEFLATE,
    FLOAT,
    LZW,
    NONE,
    PACKBITS,
    PALETTE,
    RGB,
    SIGNED,
    UNSIGNED,
    WHITE_IS_ZERO,
    YCBCR,
    Kind,
    random_colours,
    random_samples,
    to_rgb,
    write,
)

from explorer.core import ImageError
from explorer.imaging import open_photo

DEPTHS = {
    WHITE_IS_ZERO: [(bits, UNSIGNED) for bits in (1, 2, 4, 8, 12, 16, 32)] + [(32, FLOAT)],
    BLACK_IS_ZERO: [(bits, UNSIGNED) for bits in (1, 2, 4, 6, 8, 12, 16, 32)]
    + [(bits, FLOAT) for bits in (16, 32, 64)]
    + [(bits, SIGNED) for bits in (8, 16, 32)],
    RGB: [(bits, UNSIGNED) for bits in (2, 4, 8, 12, 16, 32)] + [(16, SIGNED), (32, FLOAT)],
    PALETTE: [(bits, UNSIGNED) for bits in (1, 2, 4, 8)],
    CMYK: [(8, UNSIGNED), (16, UNSIGNED)],
    YCBCR: [(8, UNSIGNED)],
}
EXTRAS = {
    BLACK_IS_ZERO: ((), (0,), (2,)),
    RGB: ((), (0,), (1,), (2,), (2, 0)),
    PALETTE: ((), (2,)),
    CMYK: ((), (0,)),
}
PACKINGS = [(NONE, 1), (LZW, 1), (LZW, 2), (DEFLATE, 1), (DEFLATE, 2), (DEFLATE, 3), (PACKBITS, 1)]


ODD = [{}, {"fill_order": 2}, {"big_tiff": True}, {"orientation": 6}, {"orientation": 3}]


def packed(kind: Kind) -> Iterator[Kind]:
    """A kind in every compression, in strips or tiles and with something odd as it falls."""
    generator = np.random.default_rng(zlib.crc32(repr(kind).encode()))
    for compression, predictor in PACKINGS:
        if predictor == 2 and (kind.format == FLOAT or kind.bits not in (8, 16, 32)):
            continue
        if predictor == 3 and kind.format != FLOAT:
            continue
        odd = {"tiled": bool(generator.integers(2)), **ODD[generator.integers(len(ODD))]}
        yield dataclasses.replace(kind, compression=compression, predictor=predictor, **odd)


def kinds(photometric: int) -> Iterator[Kind]:
    for (bits, sample_format), extra, planar, big in itertools.product(
        DEPTHS[photometric], EXTRAS.get(photometric, ((),)), (1, 2), (False, True)
    ):
        yield from packed(Kind(photometric, bits, sample_format, extra, planar, big_endian=big))


def tolerance(kind: Kind) -> float:
    """Half a step, as promised; twice rounded where alpha, inks or YCbCr are converted."""
    return 2.0 if kind.extra[:1] in ((1,), (2,)) or kind.photometric in (CMYK, YCBCR) else 0.5001


def outcome(kind: Kind) -> str:
    samples = random_samples(kind, 19, 21)
    colours = random_colours(kind) if kind.photometric == PALETTE else None
    try:
        pixels = open_photo(write(samples, kind, colours, pages=1 + kind.tiled)).pixels
    except ImageError as error:
        sentence = str(error)
        named = "TIFF" in sentence or "holds integers" in sentence
        lies = "damaged" in sentence or "TIFF, BMP" in sentence
        return "refused" if named and not lies and len(sentence) < 250 else sentence
    expected = to_rgb(samples, kind, colours)
    if kind.format == SIGNED or pixels.shape != expected.shape:
        return f"opened as {pixels.shape}"
    error = np.abs(pixels - expected).max()
    return "right" if error <= tolerance(kind) else f"off by {error:.1f}"


@pytest.mark.slow
@pytest.mark.parametrize("photometric", DEPTHS)
def test_every_tiff_is_right_or_refused_by_its_kind(photometric: int) -> None:
    outcomes = {kind: outcome(kind) for kind in kinds(photometric)}
    wrong = {kind: what for kind, what in outcomes.items() if what not in ("right", "refused")}
    assert not wrong, list(wrong.items())[:5]
    assert list(outcomes.values()).count("right") >= 15


MUST_OPEN = [
    Kind(RGB, 16, planar=2),
    Kind(RGB, 16, planar=2, big_endian=True),
    Kind(RGB, 16, extra=(2,), planar=2, compression=LZW, predictor=2),
    Kind(BLACK_IS_ZERO, 16, planar=2),
    Kind(WHITE_IS_ZERO, 8, planar=2),
    Kind(WHITE_IS_ZERO, 32, FLOAT),
    Kind(BLACK_IS_ZERO, 32, FLOAT, big_endian=True, compression=DEFLATE, predictor=3),
    Kind(BLACK_IS_ZERO, 12),
    Kind(BLACK_IS_ZERO, 4, planar=2),
    Kind(BLACK_IS_ZERO, 8, extra=(2,), planar=2, compression=DEFLATE),
    Kind(PALETTE, 4, planar=2),
    Kind(PALETTE, 8, extra=(2,), planar=2, compression=LZW),
    Kind(CMYK, 16, planar=2),
    Kind(YCBCR, 8),
    Kind(YCBCR, 8, planar=2),
    Kind(RGB, 8, planar=2, fill_order=2),
    Kind(PALETTE, 1, fill_order=2),
    Kind(RGB, 16, extra=(1,), compression=LZW),
]


@pytest.mark.parametrize("kind", MUST_OPEN, ids=str)
def test_what_used_to_come_out_wrong_or_refused_opens(kind: Kind) -> None:
    assert outcome(kind) == "right"


def test_sixteen_bit_colours_are_rounded_not_cut_off() -> None:
    for kind in (Kind(RGB, 16), Kind(RGB, 16, big_endian=True, compression=LZW)):
        samples = np.arange(0, 65536, 7).reshape(1, -1, 1).repeat(3, axis=2)[:, :9000]
        pixels = open_photo(write(samples, kind)).pixels
        assert np.array_equal(pixels, np.rint(samples / 257))


def test_lazy_pictures_of_pillow_read_as_files_do_and_stay_usable() -> None:
    for kind in (Kind(RGB, 16, planar=2), Kind(RGB, 16), Kind(BLACK_IS_ZERO, 16, planar=2)):
        data = write(random_samples(kind, 9, 7), kind)
        with Image.open(io.BytesIO(data)) as lazy:
            for _ in range(2):
                assert np.array_equal(open_photo(lazy).pixels, open_photo(data).pixels)


def test_pictures_that_pillow_has_misread_already_are_refused() -> None:
    kind = Kind(RGB, 16, planar=2)
    with Image.open(io.BytesIO(write(random_samples(kind, 9, 7), kind))) as image:
        image.load()
        with pytest.raises(ImageError, match="pass the file itself"):
            open_photo(image)


def test_a_fourth_sample_that_nobody_calls_alpha_is_not_a_white_page() -> None:
    kind = Kind(RGB, 8, extra=(2,))
    samples = random_samples(kind, 5, 6)
    samples[..., 3] = 0
    named = write(samples, kind)
    unnamed = named.replace((338).to_bytes(2, "little"), (65000).to_bytes(2, "little"))
    assert (open_photo(named).pixels == 255).all()
    assert np.array_equal(open_photo(unnamed).pixels, samples[..., :3])


@pytest.mark.parametrize(
    "kind", [Kind(PALETTE, 4), Kind(PALETTE, 8, extra=(2,), planar=2)], ids=str
)
def test_palettes_written_with_eight_bits_are_not_black(kind: Kind) -> None:
    samples, colours = random_samples(kind, 5, 6), random_colours(kind)
    expected = open_photo(write(samples, kind, colours)).pixels
    assert np.array_equal(open_photo(write(samples, kind, colours // 257)).pixels, expected)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Kind(BLACK_IS_ZERO, 16, SIGNED), ["signed integers", "PNG"]),
        (Kind(BLACK_IS_ZERO, 8, SIGNED), ["signed integers", "PNG"]),
        (Kind(RGB, 32, FLOAT, compression=LZW), ["TIFF", "32-bit float RGB, LZW", "PNG"]),
        (Kind(RGB, 12, planar=2), ["12-bit RGB, uncompressed, in planes"]),
        (Kind(BLACK_IS_ZERO, 16, extra=(2,), big_endian=True), ["16-bit grey with alpha"]),
        (Kind(BLACK_IS_ZERO, 32), ["holds integers", "rescale"]),
    ],
    ids=str,
)
def test_a_kind_that_is_not_supported_is_named(kind: Kind, words: list[str]) -> None:
    with pytest.raises(ImageError) as caught:
        open_photo(write(random_samples(kind, 5, 6), kind), "scan.tif")
    for word in ["scan.tif", *words]:
        assert word in str(caught.value)
    assert "TIFF, BMP" not in str(caught.value) and "damaged" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "name"), [(50001, "WebP"), (32809, "ThunderScan"), (34887, "LERC"), (50002, "50002")]
)
def test_a_compression_that_is_not_built_in_is_named(code: int, name: str) -> None:
    data = bytearray(write(random_samples(Kind(RGB, 8), 5, 6), Kind(RGB, 8)))
    place = data.index((259).to_bytes(2, "little") + b"\3\0") + 8
    data[place : place + 2] = code.to_bytes(2, "little")
    with pytest.raises(ImageError, match=name):
        open_photo(bytes(data))


def test_unsigned_numbers_beyond_sixteen_bits_are_told_truly() -> None:
    kind = Kind(BLACK_IS_ZERO, 32)
    with pytest.raises(ImageError, match="from 7 to 4294967295"):
        open_photo(write(np.array([[[7], [2**32 - 1]]]), kind))


def test_a_tiff_that_lacks_a_strip_is_refused() -> None:
    kind = Kind(RGB, 8, rows_per_strip=4)
    samples = random_samples(kind, 12, 5)
    short = bytearray(write(samples[:8], kind))
    place = short.index((257).to_bytes(2, "little") + b"\4\0")
    short[place + 8] = 12  # it promises three strips and has two
    with pytest.raises(ImageError, match="lacks a part"):
        open_photo(bytes(short))


def test_blocks_that_share_bytes_do_not_grow() -> None:
    kind = Kind(RGB, 16, planar=2, rows_per_strip=1)
    data = bytearray(write(random_samples(kind, 3, 5), kind))
    sizes = data.index((279).to_bytes(2, "little") + b"\4\0")
    place = int.from_bytes(data[sizes + 8 : sizes + 12], "little")
    data[place : place + 4] = (2**31).to_bytes(4, "little")
    with pytest.raises(ImageError, match="damaged"):
        open_photo(bytes(data))
