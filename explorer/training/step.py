"""One step's data: which photos, which views, and the coarse features every term of the loss
shares.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from explorer.imaging import resize
from explorer.resources.feature_cache import FeatureCache, cached_features
from explorer.training.boxes import Box
from explorer.training.labelled import LabelCase, LabelledPhotos
from explorer.training.photos import PhotoFolder, View, stacked
from explorer.training.recipe import ALIGN, Recipe


class Sampler:
    """Photo numbers of every step: shuffled rounds, fixed by the seed, so that a run can resume
    anywhere.
    """

    def __init__(self, photos: int, batch: int, seed: int, ranks: int = 1, rank: int = 0):
        self.photos, self.batch, self.seed, self.ranks, self.rank = photos, batch, seed, ranks, rank

    def __call__(self, step: int) -> list[tuple[int, int]]:
        """Return (photo number, round) pairs of ``step`` for this process."""
        first = (step * self.ranks + self.rank) * self.batch
        return [self._at(n) for n in range(first, first + self.batch)]

    def _at(self, n: int) -> tuple[int, int]:
        turn, place = divmod(n, self.photos)
        order = list(range(self.photos))
        random.Random(f"{self.seed}:order:{turn}").shuffle(order)
        return order[place], turn


class Step:
    """The data of one training step on one backbone; everything is made when first asked for.

    All random choices come from the seed and the step's number, so a resumed run sees what an
    uninterrupted one would have seen.
    """

    def __init__(
        self,
        recipe: Recipe,
        backbone,
        folder: PhotoFolder,
        cache: FeatureCache,
        chosen: list[tuple[int, int]],
        number: int,
        device: torch.device,
        labelled: LabelledPhotos | None = None,
    ):
        self.recipe, self.backbone, self.cache, self.device = recipe, backbone, cache, device
        self.labelled = labelled or LabelledPhotos()
        self.number = number
        self.rng = random.Random(f"{recipe.seed}:step:{number}")
        self.side = self.rng.choice(recipe.guidance)
        low, high = recipe.shrink
        cells = recipe.image * self.rng.uniform(low, high) / backbone.stride
        self.low_side = max(2, round(cells)) * backbone.stride
        self.photos, self.views, self.keys = [], [], []
        for index, turn in chosen:
            variant = turn % recipe.variants
            number, photo = folder.open(index)
            self.photos.append(photo)
            self.views.append(View.draw(number, variant, recipe.seed, *recipe.crop))
            self.keys.append(f"{photo.digest}:{recipe.seed}:{number}:{variant}:{recipe.crop}")

    @cached_property
    def images(self) -> Tensor:
        """The views, (B, 3, S, S) in [0, 1]."""
        cuts = [v.cut(p, self.recipe.image) for v, p in zip(self.views, self.photos, strict=True)]
        return stacked(cuts).to(self.device)

    @cached_property
    def guidance(self) -> Tensor:
        """The views at this step's guidance size."""
        return resize(self.images, (self.side, self.side))

    @cached_property
    def target(self) -> Tensor:
        """The backbone's own features of the full-size views."""
        return self.features(self.recipe.image)

    def features(self, side: int) -> Tensor:
        """Return the features of the views shrunk to ``side`` pixels, (B, C, side/stride,
        side/stride).
        """

        def image(b: int):
            return lambda: resize(self.images[b : b + 1], (side, side))

        return self.collect(f"{self.recipe.image}:{side}", image)

    def collect(self, tag: str, image) -> Tensor:
        """Return cached features of ``image(b)()`` for every photo of the batch."""
        found = [
            cached_features(self.cache, self.backbone, f"{key}:{tag}", image(b), ALIGN)
            for b, key in enumerate(self.keys)
        ]
        return torch.cat(found).to(self.device)

    def fine_box(self) -> Box:
        """Return the cells that the terms at the density of use see."""
        rng = random.Random(f"{self.recipe.seed}:box:{self.number}")
        return Box.draw(self.recipe, tuple(self.target.shape[-2:]), rng)

    def labelled_boxes(self) -> Iterator[LabelCase]:
        """Yield boxes of labelled photos, as many as ``fine_photos``."""
        for place in range(self.recipe.fine_photos):
            rng = random.Random(f"{self.recipe.seed}:labels:{self.number}:{place}:{self.keys}")
            case = self.labelled.draw(rng, self.backbone, self.cache, self.device)
            box = Box.draw(self.recipe, tuple(case.cells.shape[-2:]), rng)
            yield case.cut(box, mirrored=rng.random() < 0.5)

    def generator(self, purpose: str) -> torch.Generator:
        """Return a CPU generator seeded by the run, the step and ``purpose``."""
        seed = random.Random(f"{self.recipe.seed}:{self.number}:{purpose}").getrandbits(63)
        return torch.Generator().manual_seed(seed)

    def crops(self) -> list[list[tuple[int, int]]]:
        """Return, per photo, the (row, column) cells of the stride-aligned half-size crops."""
        cells = self.recipe.image // self.backbone.stride
        free = cells - cells // 2
        boxes = []
        for key in self.keys:
            rng = random.Random(f"crops:{key}")
            boxes.append(
                [(rng.randint(0, free), rng.randint(0, free)) for _ in range(self.recipe.crops)]
            )
        return boxes


def jittered(
    image: Tensor, top: float, left: float, zoom: float, mirrored: bool, pad: int
) -> Tensor:
    """Cut a zoomed window out of a reflect-padded square (B, C, S, S), back at its own size,
    mirrored or not.

    ``top`` and ``left`` in [0, 1] place the window within what it can reach; ``zoom`` in [1, 2].
    """
    side = image.shape[-1]
    padded = F.pad(image, [pad] * 4, mode="reflect")
    whole = side + 2 * pad
    window = whole / zoom
    axis = (torch.arange(side, device=image.device) + 0.5) / side * window
    free = whole - window
    rows = (top * free + axis) / whole * 2 - 1
    cols = (left * free + axis) / whole * 2 - 1
    if mirrored:
        cols = cols.flip(0)
    grid = torch.stack(torch.meshgrid(cols, rows, indexing="xy"), dim=-1)
    grid = grid[None].expand(image.shape[0], -1, -1, -1)
    return F.grid_sample(padded, grid, mode="bilinear", align_corners=False)
