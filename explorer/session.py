"""What a visitor asked for, and everything computed for it, each thing once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from explorer.backbones import Backbone, load_backbone
from explorer.cache import Cache
from explorer.core import ExplorerError, FeatureMap, pick_device
from explorer.image import Photo, fit_size, resize
from explorer.loading import load_upsampler
from explorer.upsamplers import Resampler, Upsampler

T = TypeVar("T")

DEFAULT_BUDGET = 2 * 2**30
MODEL_BUDGET = 3 * 2**30
BAND_BYTES = 128 * 2**20  # upsampled features held at once where all channels are streamed
FEATURES = ("features",)  # the tag under which all channels of a pair are kept
TINY = 1e-12  # a feature shorter than this has no direction
MIN_SIZE, MAX_SIZE = 32, 4096


@dataclass(frozen=True, eq=False)
class Options:
    """Every setting of a screen or a figure; ``views`` read from it what concerns them.

    ``backbones`` are "name" or "name:stage". ``input_size`` and ``output_size`` are the longer side
    in pixels of what the backbone sees and of what comes out; the aspect is the photo's.
    ``checkpoints`` maps an upsampler to a checkpoint row, a path or "untrained". ``query`` is (row,
    col) on the output grid.
    """

    photo: Photo
    backbones: tuple[str, ...] = ("efficientnet_lite0",)
    upsamplers: tuple[str, ...] = ("bilinear", "jbu", "jafar", "anyup")
    input_size: int = 448
    output_size: int = 448
    checkpoints: dict[str, str] = field(default_factory=dict)
    query: tuple[int, int] | None = None
    view: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse sizes nobody can compute, before any work."""
        if not self.backbones or not self.upsamplers:
            raise ExplorerError("choose at least one backbone and at least one upsampler")
        for what in ("input_size", "output_size"):
            if not MIN_SIZE <= getattr(self, what) <= MAX_SIZE:
                raise ExplorerError(
                    f"{what.replace('_', ' ')} must be {MIN_SIZE} to {MAX_SIZE} pixels, "
                    f"not {getattr(self, what)}"
                )

    def with_photo(self, photo: Photo) -> Options:
        """Return the same settings for another photo."""
        return replace(self, photo=photo)

    def with_query(self, query: tuple[int, int]) -> Options:
        """Return the same settings for another query pixel."""
        return replace(self, query=query)

    def at(self, query: tuple[int, int] | None) -> Options:
        """Return the same settings for another query (row, col)."""
        return replace(self, query=query)

    @property
    def output(self) -> tuple[int, int]:
        """(H', W') of the output grid."""
        return fit_size(self.photo.size, self.output_size)

    def recipe(self) -> dict[str, Any]:
        """Return the settings as JSON-serialisable values; the photo as its digest, size and file
        name.
        """
        return {
            "photo": {
                "name": self.photo.name,
                "sha256": self.photo.digest,
                "size": list(self.photo.size),
            },
            "backbones": list(self.backbones),
            "upsamplers": list(self.upsamplers),
            "input_size": self.input_size,
            "output_size": self.output_size,
            "checkpoints": dict(self.checkpoints),
            "query": None if self.query is None else list(self.query),
            "view": dict(self.view),
        }


@dataclass(frozen=True, eq=False)
class Prepared:
    """A resampler, the upsampler it came from and the seconds ``prepare`` took."""

    resampler: Resampler
    upsampler: Upsampler
    seconds: float

    def nbytes(self) -> int:
        """Return what the cache must count."""
        return self.resampler.nbytes()


class Session:
    """Caches models and results; keys hold everything that changes a result, so visitors can share
    one.

    Args:
        device: "cuda", "mps", "cpu" or None for the best there is; features and queries stay there.
        budget_bytes: for results; models have a budget of their own.
    """

    def __init__(
        self,
        device: str | torch.device | None = None,
        budget_bytes: int = DEFAULT_BUDGET,
        allow_network: bool = True,
    ):
        self.device = pick_device(device)
        self.allow_network = allow_network
        self.models = Cache(MODEL_BUDGET)
        self.results = Cache(budget_bytes)

    def backbone(self, name: str) -> Backbone:
        """Return the backbone "name" or "name:stage"."""
        base, _, stage = name.partition(":")
        return self.models.get(
            ("backbone", name), lambda: load_backbone(base, stage or None, self.device)
        )

    def upsampler(self, name: str, backbone: str, options: Options) -> Upsampler:
        """Return the upsampler with the weights chosen for this backbone."""
        model = self.backbone(backbone)
        wanted = options.checkpoints.get(name)
        return self.models.get(
            ("upsampler", name, backbone, wanted),
            lambda: load_upsampler(
                name,
                model.name,
                wanted,
                self.device,
                stage=None if ":" not in backbone else model.stage,
                channels=model.dim,
                allow_network=self.allow_network,
            ),
        )

    def features(self, options: Options, backbone: str) -> FeatureMap:
        """Return the coarse features (1, C, h, w) of the photo at the input size."""
        model = self.backbone(backbone)
        size = fit_size(options.photo.size, options.input_size, model.stride)
        key = (options.photo.digest, model.name, model.stage, model.digest, size)
        return self.results.get(
            ("features", *key), lambda: model.extract(options.photo.tensor(size, self.device))
        )

    def guidance(self, options: Options, size: tuple[int, int] | None = None) -> Tensor:
        """Return the photo at the output size (or ``size``), (1, 3, H', W') in [0, 1]."""
        size = size or options.output
        return self.results.get(
            ("guidance", options.photo.digest, size),
            lambda: options.photo.tensor(size, self.device),
        )

    def key(self, options: Options, backbone: str, upsampler: str) -> tuple[Hashable, ...]:
        """Return everything that changes what a resampler computes."""
        model, method = self.backbone(backbone), self.upsampler(upsampler, backbone, options)
        return (
            options.photo.digest,
            (model.name, model.stage, model.digest),
            options.input_size,
            (method.name, method.checkpoint, method.digest, _settings(method)),
            options.output,
            str(self.device),
        )

    def resampler(self, options: Options, backbone: str, upsampler: str) -> Prepared:
        """Return the prepared resampler of a backbone x upsampler pair."""

        def make() -> Prepared:
            method = self.upsampler(upsampler, backbone, options)
            features = self.features(options, backbone)
            image = self.guidance(options)
            start = time.perf_counter()
            with torch.no_grad():
                made = method.prepare(image, features, options.output)
            _wait(self.device)
            return Prepared(made, method, time.perf_counter() - start)

        return self.results.get(("resampler", *self.key(options, backbone, upsampler)), make)

    def projected(
        self,
        options: Options,
        backbone: str,
        upsampler: str,
        weight: Tensor,
        bias: Tensor,
        tag: str,
    ) -> Tensor:
        """Return ``project(weight, bias)`` (1, K, H', W') of a pair, kept under ``tag``."""

        def make() -> Tensor:
            with torch.no_grad():
                return self.resampler(options, backbone, upsampler).resampler.project(weight, bias)

        return self.results.get(("projected", tag, *self.key(options, backbone, upsampler)), make)

    def kept(
        self,
        options: Options,
        backbone: str,
        upsampler: str,
        tag: tuple[Hashable, ...],
        make: Callable[[Resampler], T],
    ) -> T:
        """Return ``make(resampler)`` of a pair, kept under ``tag``: all else that it depends on."""

        def run() -> T:
            with torch.no_grad():
                return make(self.resampler(options, backbone, upsampler).resampler)

        return self.results.get(("kept", tag, *self.key(options, backbone, upsampler)), run)

    def norms(self, options: Options, backbone: str, upsampler: str) -> Tensor:
        """Return the length of every output pixel's features (1, H', W'), streamed once.

        Of a method that projects slowly the features are kept as well, for ``similar`` to read,
        unless they fill more than a sixth of the budget.
        """

        def stream(resampler: Resampler) -> Tensor:
            cells = resampler.values
            size = cells.element_size() * cells.shape[1] * math.prod(resampler.output_size)
            if resampler.slow and size <= self.results.budget // 6:
                made = self.kept(
                    options, backbone, upsampler, FEATURES, lambda found: found.features()
                )
                return made.norm(dim=1)
            bands = [resampler.features(rows).norm(dim=1) for rows in row_bands(resampler)]
            return torch.cat(bands, dim=1)

        return self.kept(options, backbone, upsampler, ("norms",), stream)

    def similar(self, options: Options, backbone: str, upsampler: str, feature: Tensor) -> Tensor:
        """Return the cosine (H', W') of every output pixel with ``feature`` (C,).

        The dot product is one projected channel, or read off the features if ``norms`` kept them.
        What has length 0 is like nothing.
        """
        norms = self.norms(options, backbone, upsampler)[0]
        unit = feature / feature.norm().clamp(min=TINY)
        kept = ("kept", FEATURES, *self.key(options, backbone, upsampler)) in self.results

        def dot(resampler: Resampler) -> Tensor:
            if not kept:
                return resampler.project(unit[None])[0, 0]
            whole = self.kept(options, backbone, upsampler, FEATURES, lambda r: r.features())
            return (unit @ whole[0].flatten(1)).unflatten(0, resampler.output_size)

        with torch.no_grad():
            found = dot(self.resampler(options, backbone, upsampler).resampler)
            return torch.where(norms > TINY, found / norms.clamp(min=TINY), 0).clamp(-1, 1)

    def preview(self, options: Options, backbone: str, upsampler: str, shrink: int) -> Resampler:
        """Return a resampler for an output ``shrink`` times smaller, guidance included; not
        kept.
        """
        size = tuple(max(1, n // shrink) for n in options.output)
        method = self.upsampler(upsampler, backbone, options)
        with torch.no_grad():
            image = resize(self.guidance(options), size)
            return method.prepare(image, self.features(options, backbone), size)


def row_bands(resampler: Resampler) -> list[tuple[int, int]]:
    """Return the row ranges in which all channels can be read within BAND_BYTES."""
    height, width = resampler.output_size
    batch, channels = resampler.values.shape[:2]
    band = max(1, BAND_BYTES // (batch * channels * width * 4))
    return [(start, min(start + band, height)) for start in range(0, height, band)]


def _settings(method: Upsampler) -> tuple[Hashable, ...]:
    names = ("window_ratio", "mean", "std", "radius", "sigma_spatial", "sigma_range")
    return tuple(getattr(method, name, None) for name in names)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
