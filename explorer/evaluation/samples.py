"""One photo ready for every method: its coarse features, the guidance image, the output size."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from explorer.backbones import Backbone, read
from explorer.core import ALIGN, ONCE, ExplorerError, Reading, wait_for
from explorer.datasets import Example
from explorer.evaluation.methods import Method
from explorer.imaging import Photo, fit_size, resize
from explorer.resources.feature_cache import FeatureCache, cached_features


@dataclass(frozen=True)
class Sizes:
    """Longer sides in pixels of what the backbone sees and of the maps that are scored.

    ``output`` None scores at the maps' own size.
    """

    input: int = 448
    output: int | None = 448

    def __post_init__(self) -> None:
        """Refuse sizes nobody can compute."""
        for side in (self.input, self.output):
            if side is not None and not 32 <= side <= 4096:
                raise ExplorerError(f"sizes must be 32 to 4096 pixels, not {side}")

    def output_of(self, photo: Photo) -> tuple[int, int]:
        """Return (H, W) of the scored map."""
        return photo.size if self.output is None else fit_size(photo.size, self.output)


@dataclass(frozen=True, eq=False)
class Sample:
    """A photo with features (1, C, h, w) and guidance (1, 3, H', W') at the output size."""

    example: Example
    photo: Photo
    features: Tensor
    guidance: Tensor
    stage: EvalContext

    def features_for(self, method: Method, fresh: bool = False) -> Tensor:
        """Return the features a method upsamples; ``fresh`` runs the backbone for those that it
        reads in a way of its own, so that its time is measured.
        """
        reading = method.upsampler.reading
        stage = replace(self.stage, align=False) if method.plain else self.stage
        if reading == ONCE:
            return stage.features(self.photo) if method.plain else self.features
        return stage.features(self.photo, reading=reading, fresh=fresh)

    @property
    def size(self) -> tuple[int, int]:
        """(H', W') of the output."""
        return tuple(self.guidance.shape[-2:])


@dataclass(frozen=True, eq=False)
class EvalContext:
    """What all photos of a run share: backbone, cache, device and sizes."""

    backbone: Backbone
    cache: FeatureCache
    device: torch.device
    sizes: Sizes = Sizes()
    align: bool = ALIGN  # see `Backbone.extract`

    @property
    def identity(self) -> str:
        """Everything here that changes features, for cache keys."""
        model = self.backbone
        moves = "".join(f":{move}" for move in model.alignment(self.align))
        return f"{model.name}:{model.stage}:{model.digest}{moves}:{self.sizes.input}"

    def features(
        self,
        photo: Photo,
        size: tuple[int, int] | None = None,
        reading: Reading = ONCE,
        fresh: bool = False,
    ) -> Tensor:
        """Return the coarse features (1, C, h, w) of a photo, resized to ``size`` if given;
        ``fresh`` ones do not come from the cache.
        """
        size = size or fit_size(photo.size, self.sizes.input, self.backbone.stride)
        image = lambda size=size: photo.tensor(size, self.device)  # noqa: E731
        if reading != ONCE:
            make = lambda: read(self.backbone, image, size, reading, self.align).data  # noqa: E731
            key = f"{self.identity}:{photo.digest}:{size}:{reading}"
            found = make() if fresh else self.cache.get(key, make)
        else:
            key = f"{photo.digest}:{size}"
            found = cached_features(self.cache, self.backbone, key, image, self.align)
        return found.to(self.device)

    def scene(self, example: Example) -> Sample:
        """Open a photo and compute what every method needs."""
        photo = example.photo()
        guidance = resize(photo.tensor(), self.sizes.output_of(photo)).to(self.device)
        return Sample(example, photo, self.features(photo), guidance, self)


def wait(device: torch.device) -> float:
    """Return the time after everything queued on the device is done."""
    wait_for(device)
    return time.perf_counter()


def stamp(path: Path) -> str:
    """Return what changes when a file does."""
    state = path.stat()
    return f"{path.name}:{state.st_size}:{state.st_mtime_ns}"
