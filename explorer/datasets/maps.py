"""Files that say something about every pixel: labels, depths, normals, boundaries."""

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
        shape = _load(path, mmap=True).shape
        return shape[-2:] if len(shape) == 3 and shape[0] == 3 else shape[:2]
    with _picture(path) as picture:
        return picture.height, picture.width


def read_labels(path: Path, classes: int | None = None) -> Tensor:
    """Return (H, W) int64 class numbers; 255 is ignored.

    Palette pictures give their indices, bilevel ones 0 and 1, grey of 2 or 4 bits what is stored.

    Raises:
        ExplorerError: unreadable, a colour picture, or a number beyond ``classes``.
    """
    labels = torch.from_numpy(_values(path, "class numbers").astype(np.int64))
    if classes is not None:
        wrong = (labels != IGNORE) & ((labels < 0) | (labels >= classes))
        if wrong.any():
            row, col = wrong.nonzero()[0].tolist()
            raise ExplorerError(
                f"{_short(path)} has the label {labels[row, col].item()} at row {row}, column "
                f"{col} ({int(wrong.sum())} pixels in all); 0 to {classes - 1} are expected, and "
                f"{IGNORE} for unlabelled: correct the map, or name all classes with --classes"
            )
    return labels


def read_depth(path: Path, depth_max: float = DEPTH_MAX) -> tuple[Tensor, Tensor]:
    """Return (H, W) metres and which pixels are valid.

    16-bit pictures are millimetres with 0 invalid; 8-bit ones hold (v + 0.5) / 255 of ``depth_max``
    and are valid everywhere, as are those of fewer bits, stretched to 255; ``.npy`` holds metres,
    invalid where not finite or not positive.

    Raises:
        ExplorerError: unreadable or a colour picture.
    """
    values = _values(path, "depths", stretched=True)
    if path.suffix == ".npy":
        metres = torch.from_numpy(values.astype(np.float32))
    elif values.dtype == np.uint8:
        metres = torch.from_numpy((values.astype(np.float32) + 0.5) * (depth_max / 255))
    else:
        metres = torch.from_numpy(values.astype(np.float32) / 1000)
    valid = metres.isfinite() & (metres > 0)
    return torch.where(valid, metres, 1.0), valid


def read_normals(path: Path) -> tuple[Tensor, Tensor]:
    """Return (3, H, W) unit normals, camera frame x right, y down, z forward, and which are valid.

    Colour pictures hold v / 255 * 2 - 1 with (0, 0, 0) invalid; ``.npy`` holds the vectors,
    (H, W, 3) or (3, H, W), invalid where zero or not finite.

    Raises:
        ExplorerError: unreadable, not three channels, or vectors that are nowhere near unit length.
    """
    if path.suffix == ".npy":
        found = _load(path)
        if found.ndim == 3 and found.shape[0] != 3:
            found = found.transpose(2, 0, 1)
        if found.ndim != 3 or found.shape[0] != 3:
            raise ExplorerError(
                f"{_short(path)} is {found.shape}; normals are (H, W, 3) or (3, H, W)"
            )
        vectors = torch.from_numpy(found.astype(np.float32))
        valid = vectors.isfinite().all(dim=0) & (vectors.abs().sum(dim=0) > 0)
    else:
        with _picture(path) as picture:
            if picture.mode not in ("RGB", "RGBA"):
                raise ExplorerError(
                    f"{_short(path)} is a {picture.mode} picture; normals need three channels (RGB)"
                )
            colours = _decoded(path, lambda: np.array(formats.load(picture, _short(path))[0]))
            raw = torch.from_numpy(colours[..., :3].copy()).permute(2, 0, 1)
        valid = raw.sum(dim=0) > 0
        vectors = raw.float() / 255 * 2 - 1
    length = vectors.norm(dim=0)
    odd = valid & ((length < 0.8) | (length > 1.2))
    if odd.float().mean() > 0.01:
        raise ExplorerError(
            f"{_short(path)} does not hold unit normals: {100 * odd.float().mean():.0f}% of its "
            "vectors are shorter than 0.8 or longer than 1.2; n = v / 255 * 2 - 1 is expected"
        )
    unit = vectors / length.clamp(min=1e-6)
    return torch.where(valid, unit, torch.tensor([0.0, 0.0, -1.0])[:, None, None]), valid


def read_boundaries(path: Path) -> Tensor:
    """Return where a map (H, W) marks a boundary: everything but 0."""
    return torch.from_numpy(_values(path, "boundaries").astype(np.float32)) > 0


def nearest(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Return (..., H, W) values at ``size``, each pixel taking the one its centre falls into."""
    height, width = values.shape[-2:]
    rows = (2 * torch.arange(size[0]) + 1) * height // (2 * size[0])
    cols = (2 * torch.arange(size[1]) + 1) * width // (2 * size[1])
    return values[..., rows[:, None], cols[None, :]]


READERS: dict[str, Callable] = {
    "labels": read_labels,
    "depth": read_depth,
    "normals": read_normals,
    "boundaries": read_boundaries,
}


def same_size(map_path: Path, size: tuple[int, int], photo: Path, photo_size: tuple[int, int]):
    """Raise SizeError, naming both files, unless a map has its photo's size."""
    if tuple(size) != tuple(photo_size):
        raise SizeError(
            f"{_short(map_path)} is {size[1]}x{size[0]} (width x height), but {_short(photo)} is "
            f"{photo_size[1]}x{photo_size[0]}; a map needs its photo's size"
        )


def _values(path: Path, what: str, stretched: bool = False) -> np.ndarray:
    """Return the (H, W) numbers of a one-channel map; ``stretched``: of few bits as 0 to 255."""
    if path.suffix == ".npy":
        found = _load(path)
        if found.ndim != 2:
            raise ExplorerError(f"{_short(path)} is {found.shape}; {what} are one number per pixel")
        return found
    with _picture(path) as picture:
        if len(picture.getbands()) > 1:
            raise ExplorerError(
                f"{_short(path)} is a colour picture ({picture.mode}); {what} are expected as a "
                "picture of one channel"
            )
        return _decoded(path, lambda: formats.stored_numbers(picture, _short(path), stretched))


def _picture(path: Path) -> Image.Image:
    if path.exists() and not path.is_file():  # opening a pipe would wait without end
        raise ExplorerError(f"{_short(path)} is a folder, a pipe or a device, and no picture")
    try:
        return Image.open(path)
    except FileNotFoundError:
        raise ExplorerError(f"{_short(path)} does not exist") from None
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ExplorerError(f"{_short(path)} cannot be read: {error}") from None


def _decoded(path: Path, decode: Callable[[], np.ndarray]) -> np.ndarray:
    try:
        return decode()
    except ExplorerError:
        raise
    except Exception as error:  # damaged data can fail in a decoder in any way
        reason = str(error) or type(error).__name__
        raise ExplorerError(f"{_short(path)} cannot be read: {reason}") from None


def _load(path: Path, mmap: bool = False) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ExplorerError(f"{_short(path)} cannot be read: {error}") from None


def _short(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
