"""Files that say something about every pixel: opened, decoded and compared with their photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from explorer.core import ExplorerError, SizeError
from explorer.imaging import formats

IGNORE = 255
DEPTH_MAX = 10.0
MAP_SUFFIXES = (".png", ".npy", ".tif", ".tiff", ".bmp")


def map_size(path: Path) -> tuple[int, int]:
    """Return (H, W) of a map from its header.

    Raises:
        ExplorerError: the file cannot be read.
    """
    if path.suffix == ".npy":
        shape = load_array(path, mmap=True).shape
        return shape[-2:] if len(shape) == 3 and shape[0] == 3 else shape[:2]
    with open_map(path) as picture:
        return picture.height, picture.width


def nearest(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Return (..., H, W) values at ``size``, each pixel taking the one its centre falls into."""
    height, width = values.shape[-2:]
    rows = (2 * torch.arange(size[0]) + 1) * height // (2 * size[0])
    cols = (2 * torch.arange(size[1]) + 1) * width // (2 * size[1])
    return values[..., rows[:, None], cols[None, :]]


def same_size(map_path: Path, size: tuple[int, int], photo: Path, photo_size: tuple[int, int]):
    """Raise SizeError, naming both files, unless a map has its photo's size."""
    if tuple(size) != tuple(photo_size):
        raise SizeError(
            f"{short_name(map_path)} is {size[1]}x{size[0]} (width x height), but "
            f"{short_name(photo)} is {photo_size[1]}x{photo_size[0]}; a map needs its photo's size"
        )


def stored_values(path: Path, what: str, stretched: bool = False) -> np.ndarray:
    """Return the (H, W) numbers of a one-channel map; ``stretched``: of few bits as 0 to 255."""
    if path.suffix == ".npy":
        found = load_array(path)
        if found.ndim != 2:
            raise ExplorerError(
                f"{short_name(path)} is {found.shape}; {what} are one number per pixel"
            )
        return found
    with open_map(path) as picture:
        if len(picture.getbands()) > 1:
            raise ExplorerError(
                f"{short_name(path)} is a colour picture ({picture.mode}); {what} are expected as "
                "a picture of one channel"
            )
        name = short_name(path)
        return decoded(path, lambda: formats.stored_numbers(picture, name, stretched))


def open_map(path: Path) -> Image.Image:
    """Open a map as a picture; raises ExplorerError."""
    if path.exists() and not path.is_file():  # opening a pipe would wait without end
        raise ExplorerError(f"{short_name(path)} is a folder, a pipe or a device, and no picture")
    try:
        return Image.open(path)
    except FileNotFoundError:
        raise ExplorerError(f"{short_name(path)} does not exist") from None
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ExplorerError(f"{short_name(path)} cannot be read: {error}") from None


def decoded(path: Path, decode: Callable[[], np.ndarray]) -> np.ndarray:
    """Return ``decode()``; raises ExplorerError, whatever a decoder raises."""
    try:
        return decode()
    except ExplorerError:
        raise
    except Exception as error:  # damaged data can fail in a decoder in any way
        reason = str(error) or type(error).__name__
        raise ExplorerError(f"{short_name(path)} cannot be read: {reason}") from None


def load_array(path: Path, mmap: bool = False) -> np.ndarray:
    """Load an ``.npy`` file without pickles; raises ExplorerError."""
    try:
        return np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ExplorerError(f"{short_name(path)} cannot be read: {error}") from None


def short_name(path: Path) -> str:
    """Return a path as messages show it: its folder and name."""
    return f"{path.parent.name}/{path.name}"
