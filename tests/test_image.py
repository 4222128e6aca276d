"""Opening every kind of photo, refusing everything else, and the geometry of sizes and points."""

from __future__ import annotations

import gc
import hashlib
import io
import math
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile, features

from explorer.core import ImageError, SizeError
from explorer.imaging import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    MAX_PIXELS,
    MAX_SIDE,
    Photo,
    cell_of_pixel,
    cell_to_box,
    center_crop_square,
    fit_size,
    normalise,
    open_photo,
    photo_size,
    pixel_to_cell,
    rescale_point,
    resize,
)

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (24, 36, 3), dtype=np.uint8)
# Four corners of four colours: any wrong turn or flip moves one.
CORNERS = np.zeros((32, 48, 3), np.uint8)
CORNERS[:16, :24], CORNERS[:16, 24:] = (255, 0, 0), (0, 255, 0)
CORNERS[16:, :24], CORNERS[16:, 24:] = (0, 0, 255), (255, 255, 0)


def encoded(image: Image.Image | np.ndarray, kind: str, **options: Any) -> bytes:
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_header(width: int, height: int, bits: int = 8, colour: int = 2) -> bytes:
    """A PNG that promises a size and holds almost no data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        seal = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", seal)

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def refused(source: Any, *words: str, name: str | None = None) -> str:
    """The one sentence with which a source is refused."""
    with pytest.raises(ImageError) as caught:
        open_photo(source, name)
    sentence = str(caught.value)
    assert "\n" not in sentence and len(sentence) < 300 and "Traceback" not in sentence
    for word in words:
        assert word in sentence, sentence
    return sentence


# --- what opens ---


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_files_keep_every_pixel(kind: str) -> None:
    assert np.array_equal(open_photo(encoded(NOISE, kind)).pixels, NOISE)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "JPEG2000", "AVIF", "GIF"])
def test_lossy_files_look_like_the_photo(kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    error = np.abs(open_photo(encoded(CORNERS, kind)).pixels.astype(int) - CORNERS).mean()
    assert error < 8


def test_every_kind_of_source_gives_the_same_photo(tmp_path: Path) -> None:
    data = encoded(NOISE, "PNG")
    path = tmp_path / "a photo.png"
    path.write_bytes(data)
    spent = io.BytesIO(data)
    spent.seek(0, os.SEEK_END)
    with path.open("rb") as opened, Image.open(path) as lazy:
        sources = (path, str(path), data, bytearray(data), memoryview(data), spent, opened)
        photos = [open_photo(source) for source in (*sources, lazy, NOISE)]
        assert not opened.closed
    assert {photo.digest for photo in photos} == {photos[0].digest}
    assert all(np.array_equal(photo.pixels, NOISE) for photo in photos)
    assert [photo.name for photo in photos[:2]] == ["a photo.png"] * 2
    assert photos[-3].name == photos[-2].name == "a photo.png"


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("/home/somebody/cat.jpg", "cat.jpg"),
        (r"C:\Users\somebody\cat.jpg", "cat.jpg"),
        ("a\nb\x1b[31m.png", "ab[31m.png"),
        ("", "array"),
        ("..", "photo"),
        ("x" * 500, "x" * 120),
    ],
)
def test_names_are_never_paths(given_name: str, shown: str) -> None:
    name = open_photo(NOISE, given_name).name
    assert "/" not in name and "\\" not in name
    assert name == shown or given_name == ".."


def test_photos_are_read_only_and_equal_by_digest() -> None:
    mine = NOISE.copy()
    photo, direct = open_photo(mine), Photo(mine)
    before = photo.digest
    mine[:] = 0
    assert np.array_equal(photo.pixels, NOISE) and np.array_equal(direct.pixels, NOISE)
    with pytest.raises(ValueError):
        photo.pixels[0, 0] = 0
    assert len(before) == 64 and int(before, 16) >= 0
    assert Photo(NOISE, "other name").digest == before
    assert Photo(NOISE.reshape(36, 24, 3)).digest != before
    changed = NOISE.copy()
    changed[-1, -1, -1] ^= 1
    assert Photo(changed).digest != before
    assert photo != open_photo(NOISE)  # by identity, as everything that holds pixels


def test_a_photo_of_wrong_pixels_is_refused() -> None:
    for pixels in (NOISE[..., 0], NOISE.astype(float), NOISE[:0]):
        with pytest.raises(ImageError, match="open_photo"):
            Photo(pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied_once(orientation: int, kind: str) -> None:
    stored = {  # how a camera stores the upright photo under each orientation
        1: CORNERS,
        2: CORNERS[:, ::-1],
        3: CORNERS[::-1, ::-1],
        4: CORNERS[::-1],
        5: CORNERS.swapaxes(0, 1),
        6: np.rot90(CORNERS),
        7: np.rot90(CORNERS, 2).swapaxes(0, 1),
        8: np.rot90(CORNERS, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if kind != "PNG" else {}
    photo = open_photo(encoded(np.ascontiguousarray(stored), kind, exif=exif, **options))
    assert photo.size == (32, 48)
    assert np.abs(photo.pixels.astype(int) - CORNERS).mean() < 8


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_size_in_the_header_is_that_of_the_photo(
    orientation: int, kind: str, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo"
    path.write_bytes(encoded(CORNERS, kind, exif=exif))
    assert photo_size(path) == open_photo(path).size
    refused_size = tmp_path / "text.jpg"
    refused_size.write_text("hello")
    with pytest.raises(ImageError, match="text.jpg is not a picture"):
        photo_size(refused_size)


def test_broken_exif_does_not_matter() -> None:
    data = encoded(CORNERS, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff\x12\x01\x03\0")
    assert open_photo(data).size == (32, 48)
    strange = Image.Exif()
    strange[0x0112] = 77
    assert open_photo(encoded(CORNERS, "JPEG", exif=strange)).size == (32, 48)


def over_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None].astype(float) / 255
    return colour * share + 255 * (1 - share)


def test_transparency_lies_over_white() -> None:
    alpha = RNG.integers(0, 256, (24, 36), dtype=np.uint8)
    alpha[0], alpha[1] = 0, 255
    rgba = np.dstack([NOISE, alpha])
    grey = NOISE[..., 0]
    for source in (encoded(rgba, "PNG"), Image.fromarray(rgba), rgba, rgba.astype(np.uint16) * 257):
        pixels = open_photo(source).pixels
        assert np.abs(pixels - over_white(NOISE, alpha)).max() <= 1
        assert (pixels[0] == 255).all() and np.array_equal(pixels[1], NOISE[1])
    grey_alpha = Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)])
    expected = over_white(np.dstack([grey] * 3), alpha)
    for source in (encoded(grey_alpha, "PNG"), encoded(grey_alpha, "TIFF"), grey_alpha):
        assert np.abs(open_photo(source).pixels - expected).max() <= 1
    premultiplied = Image.fromarray(rgba).convert("RGBa")
    assert np.abs(open_photo(premultiplied).pixels - over_white(NOISE, alpha)).max() <= 2


def test_palettes_with_and_without_transparency() -> None:
    indices = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    palette = Image.new("P", (3, 2))
    palette.putdata(indices.ravel().tolist())
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    for kind in ("PNG", "GIF", "BMP", "TIFF"):
        assert np.array_equal(open_photo(encoded(palette, kind)).pixels, colours[indices]), kind
    clear = colours.copy()
    clear[1] = 255
    for kind in ("PNG", "GIF"):
        pixels = open_photo(encoded(palette, kind, transparency=1)).pixels
        assert np.array_equal(pixels, clear[indices]), kind
    half = open_photo(encoded(palette, "PNG", transparency=bytes([255, 0, 128]))).pixels
    assert np.array_equal(half[0, 1], [255] * 3)
    assert np.abs(half[0, 2].astype(int) - [127, 127, 255]).max() <= 1
    with_alpha = palette.convert("RGBA").convert("PA")
    assert np.array_equal(open_photo(with_alpha).pixels, colours[indices])


def test_a_transparent_colour_of_an_rgb_png() -> None:
    photo = open_photo(encoded(CORNERS, "PNG", transparency=(0, 255, 0)))
    assert np.array_equal(photo.pixels[0, -1], [255] * 3)
    assert np.array_equal(photo.pixels[0, 0], [255, 0, 0])


def test_other_colour_spaces_become_rgb() -> None:
    photo = Image.fromarray(CORNERS)
    for source in (
        photo.convert("CMYK"),
        encoded(photo.convert("CMYK"), "TIFF"),
        encoded(photo.convert("CMYK"), "JPEG", quality=95),
        photo.convert("YCbCr"),
        photo.convert("HSV"),
        photo.convert("RGBX"),
    ):
        assert np.abs(open_photo(source).pixels.astype(int) - CORNERS).mean() < 3
    grey, bits = photo.convert("L"), photo.convert("1")
    for source in (grey, encoded(grey, "PNG"), encoded(grey, "JPEG", quality=100)):
        expected = np.dstack([np.asarray(grey)] * 3).astype(int)
        assert np.abs(open_photo(source).pixels - expected).max() <= 2
    for source in (bits, encoded(bits, "PNG"), encoded(bits, "TIFF")):
        assert np.array_equal(open_photo(source).pixels[..., 0], np.asarray(bits) * 255)


def test_a_kind_of_colours_that_cannot_be_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(self: Image.Image, mode: str) -> Image.Image:
        raise ValueError(f"conversion from {self.mode} to {mode} not supported")

    image = Image.new("LAB", (4, 4))
    monkeypatch.setattr(Image.Image, "convert", convert)
    refused(image, "LAB", "save it as RGB")


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_sixteen_bit_grey_maps_the_full_range(order: str) -> None:
    ramp = np.linspace(0, 65535, 36 * 24).round().astype(np.uint16).reshape(24, 36)
    expected = np.rint(ramp / 257).astype(np.uint8)
    mode = "I;16" if order == "<u2" else "I;16B"
    image = Image.frombytes(mode, (36, 24), ramp.astype(order).tobytes())
    sources = [image, ramp.astype(order), ramp[..., None], encoded(image, "TIFF")]
    if mode == "I;16":
        sources.append(encoded(image, "PNG"))
    sources.append(Image.fromarray(ramp.astype(np.int32)))
    for source in sources:
        pixels = open_photo(source).pixels
        assert all(np.array_equal(pixels[..., c], expected) for c in range(3))
    assert expected.min() == 0 and expected.max() == 255


def test_sixteen_bit_tiff_whose_zero_is_white() -> None:
    ramp = np.array([[0, 65535], [257, 2570]], np.uint16)
    image = Image.frombytes("I;16", (2, 2), ramp.astype("<u2").tobytes())
    photo = open_photo(encoded(image, "TIFF", tiffinfo={262: 0}))
    assert np.array_equal(photo.pixels[..., 0], [[255, 0], [254, 245]])


def test_sixteen_bit_colour_png() -> None:
    deep = NOISE.astype(np.uint16) * 257
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    plain = png_header(36, 24, 16)
    start, end = plain.index(b"IDAT") - 4, plain.index(b"IEND") - 4
    packed = zlib.compress(rows)
    seal = struct.pack(">I", zlib.crc32(b"IDAT" + packed))
    data = plain[:start] + struct.pack(">I", len(packed)) + b"IDAT" + packed + seal + plain[end:]
    assert np.abs(open_photo(data).pixels.astype(int) - NOISE).max() <= 1
    assert np.array_equal(open_photo(deep).pixels, NOISE)


def test_float_pictures_are_read_as_zero_to_one() -> None:
    for dtype in (np.float16, np.float32, np.float64):
        pixels = open_photo((NOISE / 255).astype(dtype)).pixels
        assert np.array_equal(pixels, NOISE)
    photo = open_photo(encoded(Image.fromarray((NOISE[..., 0] / 255).astype(np.float32)), "TIFF"))
    assert np.array_equal(photo.pixels[..., 1], NOISE[..., 0])
    rounding = np.array([[-1e-6, 1 + 1e-6]])
    assert np.array_equal(open_photo(rounding).pixels[0, :, 0], [0, 255])


def test_values_out_of_range_are_refused_not_stretched() -> None:
    refused(np.array([[0.0, 255.0]]), "255", "[0, 1]")
    refused(np.array([[-0.5, 0.5]]), "-0.5", "[0, 1]")
    for bad in (np.nan, np.inf):
        refused(np.array([[0.0, bad]]), "NaN or infinite")
    refused(Image.fromarray(np.array([[0, 70_000]], np.int32)), "70000", "65535")
    refused(Image.fromarray(np.array([[-5, 10]], np.int32)), "-5", "65535")
    refused(encoded(Image.fromarray(np.array([[0.0, 300.0]], np.float32)), "TIFF"), "300")


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP"])
def test_of_many_frames_the_first_is_used(kind: str) -> None:
    first, second = Image.new("RGB", (8, 6), (250, 0, 0)), Image.new("RGB", (8, 6), (0, 0, 250))
    stream = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    first.save(stream, kind, save_all=True, append_images=[second], **options)
    assert np.array_equal(open_photo(stream.getvalue()).pixels, np.asarray(first))


def test_arrays_of_every_shape() -> None:
    grey = NOISE[..., 0]
    for array in (grey, grey[..., None], grey[::-1][::-1], np.asfortranarray(grey)):
        assert np.array_equal(open_photo(array).pixels, np.dstack([grey] * 3))
    assert np.array_equal(open_photo(NOISE[..., ::-1]).pixels, NOISE[..., ::-1])


def test_a_single_pixel_is_a_photo() -> None:
    photo = open_photo(encoded(np.array([[[9, 99, 199]]], np.uint8), "PNG"))
    assert photo.size == (1, 1)
    image = photo.tensor((32, 48))
    assert image.shape == (1, 3, 32, 48)
    assert torch.allclose(image[0, :, 5, 7] * 255, torch.tensor([9.0, 99.0, 199.0]), atol=1e-3)


def test_the_example_photos_open(examples: Path) -> None:
    files = sorted(path for path in examples.iterdir() if path.is_file())
    table = (examples.parent / "README.md").read_text()
    assert len(files) >= 5
    for file in files:
        photo = open_photo(file)
        assert max(photo.size) >= 400 and f"`examples/{file.name}`" in table
        assert photo.pixels.std() > 20  # not a blank


# --- what is refused ---


@pytest.mark.parametrize(
    "content",
    [
        b"this is a text file",
        b"<html></html>",
        b"\x00" * 100,
        np.random.default_rng(2).bytes(2000),
        b"%PDF-1.4 ",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"PK\x03\x04",
        b"GIF89a",
        b"II*\x00\x08\x00\x00\x00",
    ],
    ids=lambda content: repr(content[:8]),
)
def test_what_is_not_a_photo_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(content)
    for source in (path, content, io.BytesIO(content)):
        refused(source, "holiday.jpg", "JPEG" if content[:3] != b"GIF" else "", name="holiday.jpg")


def test_drawings_and_heic_say_what_to_do() -> None:
    svg = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"></svg>'
    refused(svg, "SVG", "PNG", name="drawing.svg")
    refused(b"\0\0\0\x18ftypheic" + b"\0" * 100, "HEIC", "JPEG", name="phone.heic")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "JPEG2000"])
@pytest.mark.parametrize("share", [0.15, 0.5, 0.9])
def test_truncated_files_are_refused(kind: str, share: float, tmp_path: Path) -> None:
    noise = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(noise, kind)
    path = tmp_path / f"cut.{kind.lower()}"
    path.write_bytes(data[: int(len(data) * share)])
    refused(path, path.name)


def test_damaged_data_never_escapes_as_another_error() -> None:
    generator = np.random.default_rng(1)
    for kind in ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP"):
        data = encoded(NOISE, kind)
        for _ in range(60):
            broken = bytearray(data)
            for place in generator.integers(0, len(broken), 6):
                broken[place] = generator.integers(0, 256)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow warns about tags it cannot read
                try:
                    assert open_photo(bytes(broken)).pixels.size
                except ImageError:
                    pass


def test_missing_empty_and_odd_places(tmp_path: Path) -> None:
    refused(tmp_path / "absent.jpg", "no file", "absent.jpg")
    refused(tmp_path / "nowhere" / "absent.jpg", "no file")
    refused(tmp_path, "folder")
    (tmp_path / "empty.png").touch()
    refused(tmp_path / "empty.png", "empty.png is empty")
    refused(b"", "empty")
    refused("nul\0byte.jpg")
    refused("x" * 5000 + ".jpg")
    refused(tmp_path / "empty.png" / "below.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    refused(tmp_path / "pipe.jpg", "pipe")
    for sentence in (refused(tmp_path / "absent.jpg"), refused(tmp_path / "empty.png")):
        assert str(tmp_path) not in sentence


def test_other_objects_are_refused(tmp_path: Path) -> None:
    for source in (None, 7, [[1, 2]], torch.zeros(3, 4, 4)):
        refused(source, type(source).__name__)
    (tmp_path / "a.txt").write_text("hello")
    with (tmp_path / "a.txt").open() as text:
        refused(text, "binary mode")
    closed = io.BytesIO(b"x")
    closed.close()
    refused(closed)
    gone = Image.new("RGB", (4, 4))
    gone.close()
    refused(gone)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(4, np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((1, 3, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 0), np.float32),
        np.zeros((4, 4), np.int64),
        np.zeros((4, 4), np.int16),
        np.zeros((4, 4), bool),
        np.zeros((4, 4), complex),
        np.array([["a", "b"]]),
        np.array([[None, 1]], dtype=object),
    ],
    ids=lambda array: f"{array.shape} {array.dtype}",
)
def test_wrong_arrays_are_refused(array: np.ndarray) -> None:
    refused(array, "expected")


def test_huge_pictures_are_refused_from_their_header(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(self: Image.Image) -> None:
        raise AssertionError("the picture was decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", decode)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        refused(png_header(20_000, 20_000), "40 million")
        refused(png_header(10_000, 10_000), "10000 x 10000", "40 million")
        refused(png_header(2**31 - 1, 2**31 - 1))
    refused(png_header(8_000, 5_001), "8000 x 5001")
    refused(png_header(MAX_SIDE + 1, 10), str(MAX_SIDE + 1), str(MAX_SIDE))
    refused(png_header(10, MAX_SIDE + 1), str(MAX_SIDE))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refused(png_header(10_000, 10_000), "40 million")


def test_zero_sizes_and_huge_arrays() -> None:
    refused(png_header(0, 10))
    refused(png_header(10, 0))
    refused(Image.new("RGB", (0, 0)), "no pixels")
    refused(np.broadcast_to(np.uint8(0), (20_000, 20_000)), "40 million")
    assert MAX_PIXELS == 40_000_000


def test_an_empty_promise_of_a_size_is_refused() -> None:
    refused(png_header(100, 100), "cut short")


def open_descriptors() -> set[str]:
    found = set()
    for each in Path("/proc/self/fd").iterdir():
        try:
            found.add(os.readlink(each))
        except OSError:  # the listing's own descriptor
            pass
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files through /proc")
def test_no_file_stays_open(tmp_path: Path) -> None:
    good, bad, cut = tmp_path / "good.tif", tmp_path / "bad.jpg", tmp_path / "cut.jpg"
    good.write_bytes(encoded(NOISE, "TIFF"))
    bad.write_text("text")
    cut.write_bytes(encoded(NOISE, "JPEG")[:-300])
    gc.disable()  # what only the collector would close counts as open
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            open_photo(good)
            for path in (bad, cut):
                refused(path)
        assert not any(str(tmp_path) in target for target in open_descriptors())
    finally:
        gc.enable()


def test_global_settings_stay() -> None:
    def state() -> tuple[Any, ...]:
        limits = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
        return (*limits, list(warnings.filters))

    before = state()
    open_photo(encoded(NOISE, "PNG"))
    with warnings.catch_warnings(record=True):
        refused(png_header(20_000, 20_000))
    assert state() == before


# --- tensors ---


def test_the_tensor_is_rgb_in_zero_to_one() -> None:
    image = open_photo(NOISE).tensor()
    assert image.shape == (1, 3, 24, 36) and image.dtype == torch.float32
    assert image.is_contiguous() and 0 <= image.min() and image.max() <= 1
    assert torch.equal((image * 255).round().to(torch.uint8)[0].permute(1, 2, 0), pixels_of(NOISE))
    small = open_photo(NOISE).tensor((12, 7), "cpu")
    assert small.shape == (1, 3, 12, 7) and small.is_contiguous()
    assert torch.equal(small, resize(image, (12, 7)))


def pixels_of(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.copy())


def test_writing_to_a_tensor_leaves_the_photo_alone() -> None:
    photo = open_photo(NOISE)
    photo.tensor().zero_()
    assert np.array_equal(photo.pixels, NOISE)
    assert hashlib.sha256(photo.pixels).digest() == hashlib.sha256(NOISE.copy()).digest()


def test_normalise_takes_statistics_away_without_clamping() -> None:
    image = torch.rand(2, 3, 4, 5) * 4 - 1
    expected = torch.stack(
        [(image[:, c] - IMAGENET_MEAN[c]) / IMAGENET_STD[c] for c in range(3)], dim=1
    )
    assert torch.allclose(normalise(image, IMAGENET_MEAN, IMAGENET_STD), expected)
    assert torch.allclose(normalise(image, (0.5,) * 3, (0.5,) * 3), image * 2 - 1)
    assert normalise(image.double(), (0.5,) * 3, (0.5,) * 3).dtype == torch.float64


def test_resize_is_antialiased_clamped_and_differentiable() -> None:
    noise = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    assert resize(noise, (8, 8)).std() < 0.05  # picking pixels would keep a spread of 0.29
    step = torch.zeros(1, 3, 8, 8)
    step[..., 4:] = 1
    large = resize(step, (80, 60))
    assert large.shape == (1, 3, 80, 60)
    assert large.min() == 0 and large.max() == 1  # bicubic overshoot is cut off
    assert resize(step, (8, 8)) is step
    wild = step * 3
    assert torch.equal(resize(wild, (8, 8)), wild)
    image = torch.rand(1, 3, 6, 5, dtype=torch.float64, requires_grad=True) * 0.5 + 0.25
    image.retain_grad()
    resize(image, (4, 9)).sum().backward()
    assert image.grad.abs().sum() > 0


@pytest.mark.slow
@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.floats(0, 1)
)
def test_resizing_a_flat_image_keeps_it_flat(h: int, w: int, h2: int, w2: int, v: float) -> None:
    resized = resize(torch.full((1, 3, h, w), v), (h2, w2))
    assert resized.shape == (1, 3, h2, w2)
    assert torch.allclose(resized, torch.full_like(resized, v), atol=1e-5)


def test_resize_keeps_the_picture_in_place() -> None:
    # A linear ramp stays the same ramp over pixel centres: no half-pixel shift.
    ramp = ((torch.arange(64) + 0.5) / 64).expand(1, 3, 8, 64)
    for width in (16, 32, 160):
        expected = (torch.arange(width) + 0.5) / width
        inner = slice(width // 8, -width // 8)
        assert torch.allclose(resize(ramp, (8, width))[0, 0, 0, inner], expected[inner], atol=2e-3)


@pytest.mark.parametrize("call", [resize, lambda image, size: center_crop_square(image, size[0])])
def test_sizes_below_one_are_refused(call: Callable[..., Any]) -> None:
    with pytest.raises(SizeError, match="1 or more"):
        call(torch.rand(1, 3, 4, 4), (0, 4))


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 40))
def test_center_crop_gives_a_square(height: int, width: int, size: int) -> None:
    square = center_crop_square(torch.rand(2, 3, height, width), size)
    assert square.shape == (2, 3, size, size)
    assert square.min() >= 0 and square.max() <= 1


def test_center_crop_takes_the_middle() -> None:
    image = torch.zeros(1, 3, 20, 60)
    image[..., 20:40] = 1
    assert torch.equal(center_crop_square(image, 20), torch.ones(1, 3, 20, 20))
    tall = image.transpose(2, 3)
    assert torch.equal(center_crop_square(tall, 20), torch.ones(1, 3, 20, 20))
    half = center_crop_square(image, 10)
    assert half.shape == (1, 3, 10, 10) and half.mean() > 0.98
    strip = torch.rand(1, 3, 2, 16_000)
    assert center_crop_square(strip, 224).shape == (1, 3, 224, 224)
    assert center_crop_square(open_photo(NOISE), 16).shape == (1, 3, 16, 16)


# --- sizes ---


@pytest.mark.parametrize(
    ("size", "longest", "multiple", "expected"),
    [
        ((480, 640), 448, 16, (336, 448)),
        ((640, 480), 448, 14, (448, 336)),
        ((427, 640), 448, 16, (304, 448)),
        ((512, 512), 448, 16, (448, 448)),
        ((300, 451), 448, 1, (298, 448)),
        ((10, 1000), 448, 16, (32, 448)),
        ((1000, 1), 448, 14, (448, 28)),
        ((1, 1), 448, 16, (448, 448)),
        ((100, 200), 500, 16, (248 // 16 * 16 + 16, 496)),
        ((30, 40), 16, 16, (16, 16)),
        ((5, 5), 1, 16, (16, 16)),
    ],
)
def test_fit_size_by_example(size: Any, longest: int, multiple: int, expected: Any) -> None:
    assert fit_size(size, longest, multiple) == expected


SIDES = st.integers(1, 5000)


@given(SIDES, SIDES, st.integers(1, 2000), st.integers(1, 64), st.none() | st.integers(1, 300))
def test_fit_size_promises(
    height: int, width: int, longest: int, multiple: int, minimum: int | None
) -> None:
    got = fit_size((height, width), longest, multiple, minimum)
    least = max(multiple, minimum or 1)
    assert all(side % multiple == 0 and side >= least for side in got)
    if height != width:
        assert got[0] == got[1] or (got[0] > got[1]) == (height > width)
    else:
        assert got[0] == got[1]
    longer, shorter = max(got), min(got)
    if longer > math.ceil(least / multiple) * multiple:
        assert abs(longer - longest) <= multiple / 2
    if longest >= 2 * multiple and multiple > 1:
        assert shorter >= 2 * multiple
    floor = max(math.ceil(least / multiple), 2 if multiple > 1 else 1) * multiple
    if shorter > floor:  # nothing but rounding bends the aspect
        wanted = longer * min(height, width) / max(height, width)
        assert abs(shorter - wanted) <= multiple / 2 + 1e-9
    assert fit_size((width, height), longest, multiple, minimum) == got[::-1]


@pytest.mark.parametrize(
    "arguments", [((0, 5), 448), ((5, 5), 0), ((5, 5), 448, 0), ((5, 5), 448, 16, -1)]
)
def test_fit_size_refuses_what_is_not_a_size(arguments: Any) -> None:
    with pytest.raises(SizeError, match="1 or more"):
        fit_size(*arguments)


# --- points ---

SMALL = st.integers(1, 60)


@st.composite
def two_sizes_and_a_pixel(draw: Any) -> tuple[int, int, tuple[int, int], tuple[int, int]]:
    size, other = (draw(SMALL), draw(SMALL)), (draw(SMALL), draw(SMALL))
    return draw(st.integers(0, size[0] - 1)), draw(st.integers(0, size[1] - 1)), size, other


@given(two_sizes_and_a_pixel())
def test_cells_and_boxes_agree(case: Any) -> None:
    row, col, size, grid = case
    y, x = pixel_to_cell(row, col, size, grid)
    cell = cell_of_pixel(row, col, size, grid)
    assert 0 <= y < grid[0] and 0 <= x < grid[1]
    assert cell[0] <= y + 1e-9 and y - 1e-9 < cell[0] + 1
    assert cell[1] <= x + 1e-9 and x - 1e-9 < cell[1] + 1
    r0, r1, c0, c1 = cell_to_box(*cell, size, grid)
    assert r0 <= row < r1 and c0 <= col < c1


@given(SMALL, SMALL, SMALL, SMALL)
def test_boxes_tile_the_output(height: int, width: int, h: int, w: int) -> None:
    covered = np.zeros((height, width), int)
    for row in range(h):
        for col in range(w):
            r0, r1, c0, c1 = cell_to_box(row, col, (height, width), (h, w))
            assert 0 <= r0 <= r1 <= height and 0 <= c0 <= c1 <= width
            covered[r0:r1, c0:c1] += 1
    assert (covered == 1).all()


@given(two_sizes_and_a_pixel())
def test_rescaled_points(case: Any) -> None:
    row, col, size, other = case
    assert rescale_point(row, col, size, size) == (row, col)
    there = rescale_point(row, col, size, other)
    assert 0 <= there[0] < other[0] and 0 <= there[1] < other[1]
    for a, b, n, m in zip((row, col), there, size, other, strict=True):
        assert abs((a + 0.5) / n - (b + 0.5) / m) <= 0.5 / m + 1e-9  # the nearest centre
    if other[0] >= size[0] and other[1] >= size[1]:
        assert rescale_point(*there, other, size) == (row, col)


def test_points_match_nearest_interpolation() -> None:
    grid, size = (5, 7), (32, 50)
    labels = torch.arange(35.0).view(1, 1, *grid)
    picture = torch.nn.functional.interpolate(labels, size, mode="nearest-exact")[0, 0]
    for row in range(size[0]):
        for col in range(size[1]):
            r, c = cell_of_pixel(row, col, size, grid)
            assert picture[row, col] == labels[0, 0, r, c]
    assert pixel_to_cell(0, 0, (448, 448), (32, 32)) == (0.5 / 14, 0.5 / 14)
    assert cell_to_box(1, 2, (448, 448), (32, 32)) == (14, 28, 28, 42)


@pytest.mark.parametrize("point", [(-1, 0), (0, -1), (4, 0), (0, 6)])
def test_points_outside_are_refused(point: tuple[int, int]) -> None:
    for mapping in (cell_of_pixel, cell_to_box, rescale_point):
        sizes = ((8, 8), (4, 6)) if mapping is cell_to_box else ((4, 6), (8, 8))
        with pytest.raises(SizeError, match="outside"):
            mapping(*point, *sizes)
