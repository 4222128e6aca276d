"""The one place where photos are opened, resized, normalised and matched with the coarse grid."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from explorer.core import ImageError, SizeError
from explorer.decoding import (
    MAX_PIXELS,
    MAX_SIDE,
    clean_name,
    decode_array,
    decode_image,
    decode_path,
    decode_reader,
    decode_stream,
    size_of_path,
)

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "MAX_PIXELS",
    "MAX_SIDE",
    "Photo",
    "cell_of_pixel",
    "cell_to_box",
    "center_crop_square",
    "fit_size",
    "normalise",
    "open_photo",
    "photo_size",
    "pixel_to_cell",
    "rescale_point",
    "resize",
]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

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
        seal = hashlib.sha256(f"{pixels.shape}".encode())
        seal.update(pixels.data)
        object.__setattr__(self, "pixels", pixels)
        object.__setattr__(self, "name", clean_name(self.name))
        object.__setattr__(self, "digest", seal.hexdigest())

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


def normalise(
    image: Tensor,
    mean: tuple[float, ...] = IMAGENET_MEAN,
    std: tuple[float, ...] = IMAGENET_STD,
) -> Tensor:
    """(image - mean) / std per channel, (B, 3, H, W) in and out, nothing clamped."""
    shift = torch.tensor(mean, dtype=image.dtype, device=image.device).view(1, -1, 1, 1)
    scale = torch.tensor(std, dtype=image.dtype, device=image.device).view(1, -1, 1, 1)
    return (image - shift) / scale


# --- sizes ---


def fit_size(size: Size, longest: int, multiple: int = 1, minimum: int | None = None) -> Size:
    """The (H, W) at which a photo of ``size`` is ``longest`` on its longer side.

    Both sides are multiples of ``multiple``: the longer one is rounded to the nearest first, then
    the shorter one follows the photo's aspect as closely as multiples allow. No side goes below
    ``max(multiple, minimum)``, nor, if ``multiple`` > 1 and ``longest`` leaves room, below two
    multiples, since many methods need a grid of at least 2 x 2 cells.

    Raises:
        SizeError: if any of the numbers is below 1.
    """
    if min(*size, longest, multiple, 1 if minimum is None else minimum) < 1:
        raise SizeError(
            f"a photo of {size} cannot be fitted to a longest side of {longest} in multiples of "
            f"{multiple} and at least {minimum}; all these numbers must be 1 or more"
        )
    least = -(-(minimum or 1) // multiple)
    longer = max(_nearest(longest, multiple), least, 1)
    if multiple > 1:
        least = max(least, min(2, longer))
    shorter = max(_nearest(longer * min(size), max(size)), least, 1)
    cells = (longer, shorter) if size[0] >= size[1] else (shorter, longer)
    return cells[0] * multiple, cells[1] * multiple


def _nearest(length: int, unit: int) -> int:
    """How many units lie nearest to a length, halves up, exact in integers."""
    return (2 * length + unit) // (2 * unit)


def resize(image: Tensor, size: Size) -> Tensor:
    """Resize an image in [0, 1] by antialiased bicubic interpolation, clamped to [0, 1].

    (B, 3, H, W) in, (B, 3, *size) out, differentiable; an image that has the size already comes
    back untouched.

    Raises:
        SizeError: if a side of ``size`` is below 1.
    """
    height, width = int(size[0]), int(size[1])
    if min(height, width) < 1:
        raise SizeError(f"an image cannot be resized to {size}; both sides must be 1 or more")
    if image.shape[-2:] == (height, width):
        return image
    resized = F.interpolate(image, (height, width), mode="bicubic", antialias=True)
    return resized.clamp(0, 1)


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


# --- points: (row, col), pixel p has its centre at p + 0.5 and cell i covers [i, i + 1) ---


def pixel_to_cell(row: float, col: float, output_size: Size, grid: Size) -> tuple[float, float]:
    """Where an output pixel's centre lies on the coarse grid, as fractional (row, col) in cells."""
    return (row + 0.5) * grid[0] / output_size[0], (col + 0.5) * grid[1] / output_size[1]


def cell_of_pixel(row: int, col: int, output_size: Size, grid: Size) -> tuple[int, int]:
    """The coarse cell (row, col) that holds an output pixel's centre.

    Raises:
        SizeError: if the pixel lies outside ``output_size``.
    """
    return rescale_point(row, col, output_size, grid)


def cell_to_box(row: int, col: int, output_size: Size, grid: Size) -> tuple[int, int, int, int]:
    """The half-open pixel box (row0, row1, col0, col1) whose centres a coarse cell holds.

    The boxes of all cells tile the output exactly; where the grid is finer, some are empty.

    Raises:
        SizeError: if the cell lies outside ``grid``.
    """
    _check_inside(row, col, grid, "cell")
    rows = [_first_pixel(i, output_size[0], grid[0]) for i in (row, row + 1)]
    cols = [_first_pixel(i, output_size[1], grid[1]) for i in (col, col + 1)]
    return rows[0], rows[1], cols[0], cols[1]


def _first_pixel(cell: int, pixels: int, cells: int) -> int:
    """ceil(cell * pixels / cells - 1/2), exact in integers."""
    return -((cells - 2 * cell * pixels) // (2 * cells))


def rescale_point(row: int, col: int, from_size: Size, to_size: Size) -> tuple[int, int]:
    """The pixel of a ``to_size`` image that holds the centre of a ``from_size`` image's pixel.

    Exact in integers: equal sizes give the same point back.

    Raises:
        SizeError: if the pixel lies outside ``from_size``.
    """
    _check_inside(row, col, from_size, "pixel")
    return (
        (2 * int(row) + 1) * to_size[0] // (2 * from_size[0]),
        (2 * int(col) + 1) * to_size[1] // (2 * from_size[1]),
    )


def _check_inside(row: int, col: int, size: Size, kind: str) -> None:
    if not (0 <= row < size[0] and 0 <= col < size[1]):
        raise SizeError(
            f"{kind} ({row}, {col}) lies outside {size[0]} rows and {size[1]} columns; (row, col) "
            "count from (0, 0)"
        )
