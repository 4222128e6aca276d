"""Files, bytes, PIL images and arrays become upright (H, W, 3) uint8 RGB, or one clear error."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypeVar

import numpy as np
from PIL import Image

from explorer.core import ImageError
from explorer.imaging import formats
from explorer.imaging.formats.samples import rounded_words, sixteen_bit

MAX_SIDE = 16_384
MAX_PIXELS = 40_000_000
# Only decoders of photos: Pillow's full list would also start Ghostscript for EPS.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")

Result = TypeVar("Result")
_EXPECTED = "a photo as JPEG, PNG, WebP, TIFF, BMP or GIF is expected"
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode_path(path: str | os.PathLike[str], title: str) -> np.ndarray:
    """The photo in a file, as (H, W, 3) uint8; the file is closed again."""
    return _from_path(path, title, decode_stream)


def size_of_path(path: str | os.PathLike[str], title: str) -> tuple[int, int]:
    """The (H, W) that a photo will have once it is upright, without decoding it if possible."""
    return _from_path(path, title, _size_of_stream)


def _from_path(
    path: str | os.PathLike[str], title: str, read: Callable[[BinaryIO, str], Result]
) -> Result:
    try:
        place = Path(path)
        if place.is_dir():
            raise ImageError(f"{title} is a folder; {_EXPECTED}")
        if place.exists() and not place.is_file():
            raise ImageError(f"{title} is a device or a pipe; {_EXPECTED}")
        with place.open("rb") as stream:
            return read(stream, title)
    except FileNotFoundError as error:
        raise ImageError(f"there is no file {title} at the path given; check the path") from error
    except ImageError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{title} could not be opened ({reason}); {_EXPECTED}") from error


def decode_reader(reader: BinaryIO, title: str) -> np.ndarray:
    """The photo in a binary file object, read from its start; the object stays open."""
    try:
        if getattr(reader, "seekable", bool)():
            reader.seek(0)
        data = reader.read()
    except (OSError, ValueError) as error:
        raise ImageError(f"{title} could not be read ({error}); {_EXPECTED}") from error
    if not isinstance(data, bytes):
        raise ImageError(f"{title} was opened as text; open it in binary mode ('rb')")
    return decode_stream(io.BytesIO(data), title)


def decode_stream(stream: BinaryIO, title: str) -> np.ndarray:
    """The photo in a seekable binary stream; its size is checked before anything is decoded."""
    with _opened(stream, title) as image:
        return decode_image(image, title)


def _size_of_stream(stream: BinaryIO, title: str) -> tuple[int, int]:
    with _opened(stream, title) as image:
        check_size(image.height, image.width, title)
        # Pillow swaps the sides of a TIFF itself.
        turned = image.format != "TIFF" and formats.orientation(image) in (5, 6, 7, 8)
        return (image.width, image.height) if turned else (image.height, image.width)


def _opened(stream: BinaryIO, title: str) -> Image.Image:
    head = stream.read(1024)
    stream.seek(0)
    if not head:
        raise ImageError(f"{title} is empty; {_EXPECTED}")
    Image.init()
    try:
        return Image.open(stream, formats=[each for each in FORMATS if each in Image.OPEN])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        millions = MAX_PIXELS // 10**6
        raise ImageError(
            f"{title} has more than {millions} million pixels; make it smaller first"
        ) from error
    except Exception as error:  # a damaged header can fail in a decoder in any way
        sentence = formats.why_unreadable(stream, head, title, _EXPECTED)
        raise ImageError(sentence) from error


def decode_image(image: Image.Image, title: str) -> np.ndarray:
    """The current frame of a PIL image, turned upright, as (H, W, 3) uint8."""
    check_size(image.height, image.width, title)
    try:
        picture, orientation = formats.load(image, title)
    except ImageError:
        raise
    except Exception as error:  # damaged files: OSError, SyntaxError, struct.error, EOFError ...
        raise ImageError(
            f"{title} is damaged or cut short and cannot be decoded; save or download it again"
        ) from error
    turn = _TURNS.get(orientation)
    try:
        upright = _as_rgb(picture, title)
    except ImageError:
        raise
    except (ValueError, OSError) as error:
        raise ImageError(
            f"{title} has colours of the kind {image.mode}, which cannot be shown; save it as RGB"
        ) from error
    return np.asarray(upright if turn is None else upright.transpose(turn))


def decode_array(array: np.ndarray, title: str) -> np.ndarray:
    """An array (H, W) or (H, W, 1, 3 or 4), uint8, uint16 or float in [0, 1], as (H, W, 3)
    uint8.
    """
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(
            f"{title} has the shape {array.shape}; (height, width) or (height, width, channels) "
            "with 1, 3 or 4 channels is expected"
        )
    check_size(array.shape[0], array.shape[1], title)
    values = _eight_bit(array, title)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    return np.asarray(_as_rgb(Image.fromarray(np.ascontiguousarray(values)), title))


def check_size(height: int, width: int, title: str) -> None:
    """Raise ImageError for a picture without pixels or with too many."""
    shape = f"{width} x {height} pixels"
    if height < 1 or width < 1:
        raise ImageError(f"{title} has no pixels ({shape}); {_EXPECTED}")
    if height * width > MAX_PIXELS:
        millions = MAX_PIXELS // 10**6
        raise ImageError(
            f"{title} has {shape}, more than {millions} million; make it smaller first"
        )
    if max(height, width) > MAX_SIDE:
        raise ImageError(f"{title} has {shape}, but no side may exceed {MAX_SIDE}; crop it first")


def clean_name(name: str | os.PathLike[str]) -> str:
    """A file name to show: no folders (of either system), nothing unprintable, not too long."""
    last = PurePosixPath(os.fspath(name).replace("\\", "/")).name
    return "".join(character for character in last if character.isprintable())[:120] or "photo"


def _as_rgb(image: Image.Image, title: str) -> Image.Image:
    if image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        if image.mode == "I":
            values = sixteen_bit(values, title)
        image = Image.fromarray(_eight_bit(values, title))
    elif image.mode in ("RGBa", "La"):
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _eight_bit(values: np.ndarray, title: str) -> np.ndarray:
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:  # of either byte order
        return rounded_words(values)
    if values.dtype.kind != "f":
        raise ImageError(
            f"{title} has values of type {values.dtype}; uint8, uint16 or float in [0, 1] is "
            "expected"
        )
    if not np.isfinite(values).all():
        raise ImageError(f"{title} has NaN or infinite values; float in [0, 1] is expected")
    low, high = float(values.min()), float(values.max())
    if low < -1e-3 or high > 1 + 1e-3:  # a resampling may overshoot by rounding
        raise ImageError(
            f"{title} has float values from {low:.3g} to {high:.3g}; [0, 1] is expected, rescale "
            "them"
        )
    return np.rint(values.astype(np.float32).clip(0, 1) * 255).astype(np.uint8)
