"""Common files keep the pixels that Pillow alone gives them, and the plain formats are right."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image, ImageCms

from explorer.core import ImageError
from explorer.imaging import open_photo

RNG = np.random.default_rng(5)
NOISE = Image.fromarray(RNG.integers(0, 256, (40, 56, 4), dtype=np.uint8))
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LOSSY = {"quality": 80}


def pillow_alone(data: bytes) -> np.ndarray:
    """What Pillow's own conversions make of a file, over white."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.asarray(image.convert("RGB"))


COMMON = {
    "PNG": ("1", "L", "P", "RGB", "RGBA", "LA"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "TIFF": ("1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "LAB"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "GIF": ("L", "P", "RGB", "RGBA"),
    "JPEG2000": ("L", "RGB", "RGBA"),
}


@pytest.mark.parametrize(("kind", "mode"), [(k, m) for k, modes in COMMON.items() for m in modes])
def test_common_files_keep_their_pixels(kind: str, mode: str) -> None:
    image = (
        NOISE.convert("RGB").convert(mode) if mode in ("CMYK", "LAB", "P") else NOISE.convert(mode)
    )
    for options in ({}, {"icc_profile": PROFILE}, LOSSY, {"transparency": 3}):
        if "transparency" in options and not (kind in ("PNG", "GIF") and mode in ("L", "P")):
            continue
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        data = stream.getvalue()
        assert np.array_equal(open_photo(data).pixels, pillow_alone(data)), options


@pytest.mark.parametrize(
    ("compression", "mode"),
    [
        *itertools.product(
            ("tiff_lzw", "tiff_adobe_deflate", "packbits"), ("L", "P", "RGB", "RGBA")
        ),
        *itertools.product(("jpeg",), ("L", "RGB", "CMYK")),
        *itertools.product(("group3", "group4", "tiff_ccitt"), ("1",)),
    ],
)
def test_compressed_tiffs_keep_their_pixels(compression: str, mode: str) -> None:
    stream = io.BytesIO()
    NOISE.convert("RGB").convert(mode).save(stream, "TIFF", compression=compression)
    data = stream.getvalue()
    assert np.array_equal(open_photo(data).pixels, pillow_alone(data))


@pytest.mark.parametrize("top", [1, 3, 100, 255, 256, 1023, 4095, 65535])
@pytest.mark.parametrize(("magic", "channels"), [(b"P5", 1), (b"P6", 3), (b"P2", 1), (b"P3", 3)])
def test_portable_maps(top: int, magic: bytes, channels: int) -> None:
    values = RNG.integers(0, top + 1, (5, 9, channels))
    body = values.astype(">u2" if top > 255 else "u1").tobytes()
    if magic in (b"P2", b"P3"):
        body = b" ".join(b"%d" % value for value in values.ravel()) + b"\n"
    pixels = open_photo(magic + b"\n# made here\n9 5\n%d\n" % top + body).pixels
    assert np.abs(pixels - values / top * 255).max() <= 0.51


@pytest.mark.parametrize(("order", "scale"), [("<", b"-1.0"), (">", b"1.0")])
def test_portable_float_maps(order: str, scale: bytes) -> None:
    values = RNG.random((5, 9)).astype(np.float32)
    data = b"Pf\n9 5\n" + scale + b"\n" + values[::-1].astype(order + "f4").tobytes()
    assert np.abs(open_photo(data).pixels - values[..., None] * 255).max() <= 0.5001


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"PF\n9 5\n-1.0\n", "colour PFM"),
        (b"P7\nWIDTH 9\n", "PAM"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff\xc3", "JPEG"),
        (b"RIFF\0\0\0\0WEBP", "WebP"),
        (b"GIF87a", "GIF"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
    ],
)
def test_a_format_that_is_known_is_not_told_that_it_is_expected(start: bytes, name: str) -> None:
    with pytest.raises(ImageError) as caught:
        open_photo(start + bytes(200), "odd")
    assert f"odd is a {name} file that is damaged or of a kind" in str(caught.value)
    assert "is expected" not in str(caught.value)
