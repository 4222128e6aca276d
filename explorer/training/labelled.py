"""Photos with labels somebody has drawn: what one gives an upsampler to carry, and boxes of it to
learn from.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from explorer.core import ExplorerError
from explorer.datasets import IGNORE, Dataset, Example, nearest
from explorer.datasets.splits import thin
from explorer.feature_cache import FeatureCache, cached_features
from explorer.image import fit_size, resize
from explorer.training.boxes import Box
from explorer.upsamplers import LinearResampler

SIDE = 448
WATCHED = 6  # photos per dataset that validation looks at and nothing is learned from


@dataclass(frozen=True)
class LabelCase:
    """A labelled photo as an upsampler sees it.

    ``guidance`` (1, 3, H, W); ``features`` (1, C, h, w); ``cells`` (1, K, h, w), the share of each
    label in every coarse cell; ``shares`` (1, K, H, W), the same of every pixel: one of them is 1,
    or none where nobody has drawn a label.
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
    backbone,
    dataset: Dataset,
    example: Example,
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
        cache, backbone, f"{photo.digest}:{grid}", lambda: photo.tensor(grid, device)
    ).to(device)
    truth = nearest(dataset.read(example, photo), size).long().to(device)
    each = F.one_hot(truth.where(truth != IGNORE, classes), classes + 1)[..., :classes]
    shares = each.permute(2, 0, 1)[None].float()
    cells = F.adaptive_avg_pool2d(shares, features.shape[-2:])
    return LabelCase(photo.tensor(size, device), features, cells, shares)


class LabelledPhotos:
    """The training photos of labelled datasets, but for a few that validation looks at.

    Raises:
        ExplorerError: nothing is left to learn from.
    """

    def __init__(self, datasets: Sequence[Dataset] = ()):
        self.learned: list[tuple[Dataset, Example]] = []
        self.watched: list[tuple[Dataset, Example]] = []
        for dataset in datasets:
            watched = thin(dataset.train, min(WATCHED, len(dataset.train) // 5))
            names = {example.name for example in watched}
            rest = [example for example in dataset.train if example.name not in names]
            if not rest:
                raise ExplorerError(f"{dataset.root} has no labelled photo to learn from")
            self.watched += [(dataset, example) for example in watched]
            self.learned += [(dataset, example) for example in rest]

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self.learned)

    def draw(self, rng: random.Random) -> tuple[Dataset, Example]:
        """Return one to learn from."""
        return rng.choice(self.learned)

    def watch(self, backbone, cache: FeatureCache, device: torch.device) -> Iterator[LabelCase]:
        """Yield those that validation looks at."""
        for dataset, example in self.watched:
            yield label_case(backbone, dataset, example, cache, device)
