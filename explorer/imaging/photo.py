"""Photos: opened once, upright, in RGB, known by their pixels."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from explorer.core import ImageError, SizeError
from explorer.imaging.decode import (
    clean_name,
    decode_array,
    decode_image,
    decode_path,
    decode_reader,
    decode_stream,
    size_of_path,
)
from explorer.imaging.resize import resize

Size = tuple[int, int]  # (H, W)


@dataclass(frozen=True, eq=False)
class Photo:
    """An opened photo, upright and in RGB.

    ``pixels`` is (H, W, 3) uint8 and read-only; ``name`` is a file name without its folders;
    ``digest`` is the sha256 (hex) of the shape and the pixels, so that equal pictures share cached
    results whatever they are called.
    """

    pixels: np.ndarray
    name: str = "photo"
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        """Freeze the pixels and compute the digest."""
        pixels = self.pixels
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
            raise ImageError(
                f"photo pixels are (height, width, 3) uint8, not {pixels.shape} {pixels.dtype}; "
                "open_photo converts them"
            )
        if pixels.flags.writeable:
            pixels = pixels.copy()
        pixels = np.ascontiguousarray(pixels)
        pixels.setflags(write=False)
        digest = hashlib.sha256(f"{pixels.shape}".encode())
        digest.update(pixels.data)
        object.__setattr__(self, "pixels", pixels)
        object.__setattr__(self, "name", clean_name(self.name))
        object.__setattr__(self, "digest", digest.hexdigest())

    @property
    def size(self) -> Size:
        """(H, W) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def nbytes(self) -> int:
        """Return the bytes held."""
        return self.pixels.nbytes

    def tensor(self, size: Size | None = None, device: torch.device | str | None = None) -> Tensor:
        """The photo as (1, 3, H, W) float32 RGB in [0, 1], resized if ``size`` = (H, W) is given.

        Resizing comes before the move to ``device``, so that every device sees the same numbers.
        """
        image = torch.from_numpy(self.pixels.copy()).float().div_(255).permute(2, 0, 1)[None]
        image = (image if size is None else resize(image, size)).contiguous()
        return image if device is None else image.to(device)


def open_photo(
    source: str | os.PathLike[str] | bytes | BinaryIO | Image.Image | np.ndarray,
    name: str | None = None,
) -> Photo:
    """Open a path, bytes, a binary file object, a PIL image or an array as an upright RGB photo.

    EXIF rotation is applied. Transparency (alpha, transparent palette entries) is laid over white.
    Palettes, CMYK and greyscale become RGB; colour profiles are ignored. 16-bit values map their
    full range to 8 bit, ``round(value / 257)``, in grey and in colours, whatever part of it a photo
    uses: a 12-bit scan in 16 bits stays dark, but a TIFF that says 12 bits has its white at 4095.
    32-bit integer pictures are read as 16-bit ones and float pictures as [0, 1]; values beyond are
    refused, never stretched. So are TIFFs of signed integers, whose white nobody defines. Of a file
    with several frames or pages the first is used, of a PIL image the current one.

    Arrays are (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA; uint8, uint16 or float in [0, 1].

    Raises:
        ImageError: for anything but a readable photo of at most MAX_PIXELS pixels and MAX_SIDE on
            a side, both checked in the header, before the picture is decoded.
    """
    title = clean_name(name or _name_of(source))
    if isinstance(source, np.ndarray):
        pixels = decode_array(source, title)
    elif isinstance(source, Image.Image):
        pixels = decode_image(source, title)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        pixels = decode_stream(io.BytesIO(source), title)
    elif isinstance(source, (str, os.PathLike)):
        pixels = decode_path(source, title)
    elif hasattr(source, "read"):
        pixels = decode_reader(source, title)
    else:
        raise ImageError(
            f"a {type(source).__name__} is not a photo; a path, bytes, a binary file, a PIL image "
            "or a numpy array is expected"
        )
    return Photo(pixels, title)


def photo_size(path: str | os.PathLike[str]) -> Size:
    """The (H, W) of a photo file once it is upright, from its header.

    Raises:
        ImageError: as ``open_photo``, as far as the header tells.
    """
    return size_of_path(path, clean_name(os.fsdecode(path)))


def _name_of(source: object) -> str:
    if isinstance(source, (str, os.PathLike)):
        return os.fsdecode(source)
    if isinstance(source, np.ndarray):
        return "array"
    known = getattr(source, "filename", None) or getattr(source, "name", None)
    return known if isinstance(known, str) else "photo"


def center_crop_square(photo_or_tensor: Photo | Tensor, size: int) -> Tensor:
    """Resize the shorter side to ``size`` and cut out the middle: (B, 3, size, size) in [0, 1].

    Raises:
        SizeError: if ``size`` is below 1.
    """
    if size < 1:
        raise SizeError(f"a square of {size} pixels cannot be cut out; its side must be 1 or more")
    image = photo_or_tensor.tensor() if isinstance(photo_or_tensor, Photo) else photo_or_tensor
    height, width = image.shape[-2:]
    short = min(height, width)
    # A long strip would grow enormous before it is cut; its far ends never reach the square.
    image = _middle(image, (min(height, 8 * short), min(width, 8 * short)))
    height, width = image.shape[-2:]
    image = resize(image, (round(height * size / short), round(width * size / short)))
    return _middle(image, (size, size))


def _middle(image: Tensor, size: Size) -> Tensor:
    top, left = (image.shape[-2] - size[0]) // 2, (image.shape[-1] - size[1]) // 2
    return image[..., top : top + size[0], left : left + size[1]]
