"""The photos a run learns from: listing, holding out, views that depend on nothing but their
seed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from explorer.core import ExplorerError, ImageError
from explorer.imaging import Photo, center_crop_square, open_photo, resize

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
HELD_OUT = 80
SPLIT_SEED = 0


def photo_paths(folder: str | Path) -> list[Path]:
    """Return the photos of a folder (or of its ``images`` folder), sorted by name.

    Raises:
        ExplorerError: the folder does not exist or holds no photo.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ExplorerError(f"{folder} is not a folder of photos")
    inner = folder / "images"
    root = inner if inner.is_dir() else folder
    found = sorted(p for p in root.iterdir() if p.suffix.lower() in SUFFIXES)
    if not found:
        raise ExplorerError(f"{root} holds no photo ({', '.join(sorted(SUFFIXES))})")
    return found


def split(
    paths: list[Path], held_out: int = HELD_OUT, seed: int = SPLIT_SEED
) -> tuple[list[Path], list[Path]]:
    """Return (training, held-out) photos; the same folder, count and seed give the same split."""
    held_out = min(held_out, len(paths) // 5)
    chosen = set(random.Random(seed).sample(range(len(paths)), held_out))
    train = [p for i, p in enumerate(paths) if i not in chosen]
    return train, [paths[i] for i in sorted(chosen)]


@dataclass(frozen=True)
class View:
    """One seeded view of a photo: a square crop (fractions of the short side), mirrored or not."""

    scale: float
    top: float
    left: float
    mirrored: bool

    @classmethod
    def draw(cls, photo: int, variant: int, seed: int, low: float, high: float = 1.0) -> View:
        """Draw the view of photo number ``photo`` in round ``variant``, crop scale in [low,
        high].
        """
        rng = random.Random(f"{seed}:{photo}:{variant}")
        return cls(rng.uniform(low, high), rng.random(), rng.random(), rng.random() < 0.5)

    def cut(self, photo: Photo, size: int) -> Tensor:
        """Return the view as (1, 3, size, size) in [0, 1]."""
        image = photo.tensor()
        height, width = image.shape[-2:]
        side = max(1, round(min(height, width) * self.scale))
        top, left = round((height - side) * self.top), round((width - side) * self.left)
        image = resize(image[..., top : top + side, left : left + side], (size, size))
        return image.flip(-1) if self.mirrored else image


class PhotoFolder:
    """Photos by number; an unreadable one is skipped once and for all and counted."""

    def __init__(self, paths: list[Path]):
        self.paths = list(paths)
        self.skipped: dict[Path, str] = {}

    def __len__(self) -> int:
        """Return how many photos were listed."""
        return len(self.paths)

    def open(self, index: int) -> tuple[int, Photo]:
        """Open photo ``index``, or the next readable one after it; return the number that was used.

        Raises:
            ExplorerError: no photo of the folder can be read.
        """
        for step in range(len(self.paths)):
            number = (index + step) % len(self.paths)
            path = self.paths[number]
            if path in self.skipped:
                continue
            try:
                return number, open_photo(path)
            except ImageError as error:
                self.skipped[path] = str(error)
        reason = next(iter(self.skipped.values()))
        raise ExplorerError(
            f"none of the {len(self.paths)} photos can be read; the first: {reason}"
        )


def stacked(images: list[Tensor]) -> Tensor:
    """Join (1, 3, S, S) images into a batch."""
    return torch.cat(images, dim=0)


def squares(photos: list[Photo], size: int) -> Tensor:
    """Return the centre squares of photos, (B, 3, size, size)."""
    return stacked([center_crop_square(photo, size) for photo in photos])
