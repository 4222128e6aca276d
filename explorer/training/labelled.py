"""Photos with labels somebody has drawn: what one gives an upsampler to carry, and boxes of it to
learn from.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from explorer.core import ExplorerError
from explorer.datasets import IGNORE, Dataset, Example, nearest
from explorer.datasets.splits import GAP, subsample
from explorer.imaging import fit_size, resize
from explorer.resources.feature_cache import FeatureCache, cached_features
from explorer.training.boxes import Box
from explorer.training.recipe import ALIGN
from explorer.upsamplers import LinearResampler

SIDE = 448
WATCHED = 6  # photos per dataset that validation looks at and nothing is learned from


@dataclass(frozen=True)
class LabelCase:
    """A labelled photo as an upsampler sees it.

    ``guidance`` (1, 3, H, W); ``features`` (1, C, h, w); ``cells`` (1, K, h, w), the share of each
    label in every coarse cell; ``shares`` (1, K, H, W), the same of every pixel: one of them is 1,
    or none where nobody has drawn a label, but for boxes cut at fewer pixels per cell.
    """

    guidance: Tensor
    features: Tensor
    cells: Tensor
    shares: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return tuple(self.shares.shape[-2:])

    def kept(self, resampler: LinearResampler) -> float:
        """Return the share of labelled pixels whose label is the largest of the shares carried."""
        right = self.shares.gather(1, resampler.apply(self.cells).argmax(dim=1, keepdim=True))
        return (right.sum() / self.shares.sum()).item()

    def cut(self, box: Box, mirrored: bool = False) -> LabelCase:
        """Return a box of the cells alone, at its number of pixels per cell, mirrored or not.

        The photo must have as many pixels per cell as the stride says.
        """
        stride = self.size[0] // self.cells.shape[-2]
        photo, shares = (box.of(x, stride) for x in (self.guidance, self.shares))
        size = box.size
        if size != tuple(photo.shape[-2:]):
            photo, shares = resize(photo, size), F.adaptive_avg_pool2d(shares, size)
        found = LabelCase(photo, box.of(self.features), box.of(self.cells), shares)
        if not mirrored:
            return found
        return replace(found, **{name: x.flip(-1) for name, x in vars(found).items()})


@torch.no_grad()
def label_case(
    dataset: Dataset,
    example: Example,
    backbone,
    cache: FeatureCache,
    device: torch.device,
    whole_cells: bool = False,
) -> LabelCase:
    """Return a labelled photo, longer side 448, or with ``whole_cells`` the size of its grid."""
    classes = len(dataset.classes)
    photo = example.photo()
    grid = fit_size(photo.size, SIDE, backbone.stride)
    size = grid if whole_cells else fit_size(photo.size, SIDE)
    features = cached_features(
        cache, backbone, f"{photo.digest}:{grid}", lambda: photo.tensor(grid, device), ALIGN
    ).to(device)
    truth = nearest(dataset.read(example, photo), size).long().to(device)
    each = F.one_hot(truth.where(truth != IGNORE, classes), classes + 1)[..., :classes]
    shares = each.permute(2, 0, 1)[None].float()
    cells = F.adaptive_avg_pool2d(shares, features.shape[-2:])
    return LabelCase(photo.tensor(size, device), features, cells, shares)


class LabelledPhotos:
    """The training photos of labelled datasets, but for a few that validation looks at.

    A photo that any of the datasets tests teaches nothing, nor does one that validation looks at or
    a neighbour of it: neighbours show the same place.

    Raises:
        ExplorerError: nothing is left to learn from.
    """

    def __init__(self, datasets: Sequence[Dataset] = ()):
        self.learned: list[tuple[Dataset, Example]] = []
        self.watched: list[tuple[Dataset, Example]] = []
        self.skipped: dict[Path, str] = {}
        tested = {_place(example) for dataset in datasets for example in dataset.test}
        watched: set[Path] = set()
        near: set[Path] = set()
        for dataset in datasets:
            pool = [example for example in dataset.train if _place(example) not in tested]
            count = min(WATCHED, len(pool) // 5)
            for example in subsample(pool, count) if count else []:
                place = pool.index(example)
                gap = GAP if len(pool) > 4 * GAP * count else 0
                watched.add(_place(example))
                near |= {_place(e) for e in pool[max(0, place - gap) : place + gap + 1]}
        kept_out = near | tested
        for dataset in datasets:
            for example in dataset.train:
                place = _place(example)
                if place in watched:
                    self.watched.append((dataset, example))
                elif place not in kept_out:
                    self.learned.append((dataset, example))
            if not any(of is dataset for of, _ in self.learned):
                raise ExplorerError(f"{dataset.root} has no labelled photo to learn from")

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self.learned)

    def draw(
        self, rng: random.Random, backbone, cache: FeatureCache, device: torch.device
    ) -> LabelCase:
        """Return one to learn from, in whole cells; an unreadable one is skipped and counted.

        Raises:
            ExplorerError: none can be read.
        """
        left = list(self.learned)
        while left:
            dataset, example = rng.choice(left)
            case = self._read(dataset, example, backbone, cache, device, whole_cells=True)
            if case is not None:
                return case
            left.remove((dataset, example))
        raise ExplorerError(
            f"none of the {len(self.learned)} labelled photos can be read; the first: "
            f"{next(iter(self.skipped.values()))}"
        )

    def watch(self, backbone, cache: FeatureCache, device: torch.device) -> Iterator[LabelCase]:
        """Yield those that validation looks at."""
        for dataset, example in self.watched:
            case = self._read(dataset, example, backbone, cache, device)
            if case is not None:
                yield case

    def _read(self, dataset: Dataset, example: Example, *where, **how) -> LabelCase | None:
        if example.map_path in self.skipped:
            return None
        try:
            return label_case(dataset, example, *where, **how)
        except ExplorerError as error:
            self.skipped[example.map_path] = str(error)
            return None


def _place(example: Example) -> Path:
    """Return the photo's file, whichever maps it is listed with."""
    return example.photo_path.resolve()
