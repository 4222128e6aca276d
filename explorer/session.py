"""What a visitor asked for, and everything computed for it, each thing once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeVar
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from explorer import estimates
from explorer.access_policy import AccessPolicy
from explorer.backbones import Backbone, load_backbone, read
from explorer.core import ONCE, FeatureMap, Reading, pick_device, wait_for
from explorer.imaging import fit_size, resize
from explorer.loading import load_upsampler
from explorer.options import Options
from explorer.probes import Probe
from explorer.resources import memory
from explorer.resources.cache import Cache
from explorer.resources.request_context import check_between_layers, check_time
from explorer.upsamplers import ImageHalf, Resampler, Upsampler, half_precision
from explorer.upsamplers.streaming import row_bands

__all__ = ["Options", "Prepared", "Session"]

T = TypeVar("T")
M = TypeVar("M", Upsampler, Probe)

DEFAULT_BUDGET = 2 * 2**30
MODEL_BUDGET = 3 * 2**30
FEATURES = ("features",)  # the tag under which all channels of a pair are kept
STAND_IN_SECONDS = 300.0  # then weights that could not be had are asked for again
TINY = 1e-12  # a feature shorter than this has no direction


def identity(model: Backbone, options: Options) -> tuple[Hashable, ...]:
    """Return what of a backbone changes its features: weights, stage and alignment."""
    return model.name, model.stage, model.digest, *model.alignment(options.align)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A resampler, the upsampler it came from and the seconds ``prepare`` took, with those of the
    backbone if the method reads it in a way of its own.

    ``shared``: the image half, which resamplers of other features on the same photo hold, too.
    """

    resampler: Resampler
    upsampler: Upsampler
    seconds: float
    shared: ImageHalf | None = None

    def nbytes(self) -> int:
        """Return what the cache must count beside ``shared``."""
        queries = 0 if self.shared is None else self.shared.queries.nbytes
        return self.resampler.nbytes() - queries


class Session:
    """Caches models and results; keys hold everything that changes a result, so visitors can share
    one.

    Args:
        device: "cuda", "mps", "cpu" or None for the best there is; features and queries stay there.
        budget_bytes: for results; models have a budget of their own.
        allow_network: whether missing weights may be downloaded.
        limits: what may be asked for; by default everything.
        encoders: "float32", or "bfloat16" for the upsamplers' encoders (see `precision`).
        share: the part of that budget for the results of one visitor (see `Cache`).
    """

    def __init__(
        self,
        device: str | torch.device | None = None,
        budget_bytes: int = DEFAULT_BUDGET,
        allow_network: bool = True,
        limits: AccessPolicy = AccessPolicy(),  # noqa: B008  (frozen)
        encoders: str = half_precision.EXACT,
        share: float = 1.0,
    ):
        self.device = pick_device(device)
        self.allow_network = allow_network
        self.limits, self.encoders = limits, half_precision.checked(encoders)
        self.models = Cache(MODEL_BUDGET)
        self.results = Cache(budget_bytes, share)
        self._halves: WeakValueDictionary[Hashable, ImageHalf] = WeakValueDictionary()
        self._gate = Cache(0)  # keeps nothing; lets one thread at a time make a half

    def backbone(self, name: str) -> Backbone:
        """Return the backbone "name" or "name:stage"."""
        base, _, stage = name.partition(":")
        self.limits.check_backbone(name)
        check_time()

        def make() -> Backbone:
            model = load_backbone(base, stage or None, self.device)
            check_between_layers(model)
            return model

        return self.models.get(("backbone", name), make)

    def upsampler(self, name: str, backbone: str, options: Options) -> Upsampler:
        """Return the upsampler with the weights chosen for this backbone."""
        model = self.backbone(backbone)
        wanted = options.checkpoint_for(name, backbone)
        self.limits.check_checkpoint(name, wanted)
        check_time()
        key = ("upsampler", name, backbone, wanted)

        def make() -> Upsampler:
            method = load_upsampler(
                name,
                model.name,
                wanted,
                self.device,
                stage=None if ":" not in backbone else model.stage,
                channels=model.dim,
                allow_network=self.allow_network,
                warn=False,  # captions and recipes say it
            )
            check_between_layers(method)
            return method

        return self.with_weights(key, make)

    def with_weights(self, key: Hashable, make: Callable[[], M]) -> M:
        """Return the upsampler or probe for ``key``, kept among the models; one that stands in for
        better weights is loaded again after a while, as those may be there by then.
        """
        made = self.models.get(key, make)
        since = made.fallback_since
        if since is not None and time.monotonic() - since > STAND_IN_SECONDS:
            self.models.forget(key)
            made = self.models.get(key, make)
        return made

    def features(self, options: Options, backbone: str, reading: Reading = ONCE) -> FeatureMap:
        """Return the coarse features (1, C, h, w) of the photo at the input size."""
        model = self.backbone(backbone)
        size = fit_size(options.photo.size, options.input_size, model.stride)
        return self.features_at(options, backbone, size, reading)

    def features_at(
        self, options: Options, backbone: str, size: tuple[int, int], reading: Reading = ONCE
    ) -> FeatureMap:
        """Return the coarse features of the photo at an input of ``size`` (H, W)."""
        model = self.backbone(backbone)
        self.limits.check_sizes(options)
        key = (options.photo.digest, *identity(model, options), size, reading)

        def make() -> FeatureMap:
            seen = tuple(side * reading.factor for side in size)
            needed = estimates.encoding_bytes(seen)
            what = f"{model.title} on {seen[0]}x{seen[1]} pixels"
            return self._work(
                lambda: read(
                    model,
                    lambda size: options.photo.tensor(size, self.device),
                    size,
                    reading,
                    options.align,
                ),
                needed,
                what,
            )

        return self.results.get(("features", *key), make)

    def guidance(self, options: Options, size: tuple[int, int] | None = None) -> Tensor:
        """Return the photo at the output size (or ``size``), (1, 3, H', W') in [0, 1]."""
        self.limits.check_sizes(options)
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
            identity(model, options),
            options.input_size,
            (method.name, method.checkpoint, method.digest, method.settings_digest),
            options.output,
            str(self.device),
            self.encoders,
        )

    def resampler(self, options: Options, backbone: str, upsampler: str) -> Prepared:
        """Return the prepared resampler of a backbone x upsampler pair."""

        def make() -> Prepared:
            method = self.upsampler(upsampler, backbone, options)
            start = time.perf_counter()
            features = self.features(options, backbone, method.reading)
            read_in = 0.0 if method.reading == ONCE else time.perf_counter() - start
            image = self.guidance(options)
            size = options.output
            needed = estimates.upsampling_bytes(method, features.data.shape[1], features.grid, size)

            def prepare() -> Prepared:
                start, half = time.perf_counter(), None
                if method.has_image_half:
                    half = self._image_half(options, method, image, features.grid)
                    made = half_precision.prepare_features(method, half, features, self.encoders)
                else:
                    made = half_precision.prepare(method, image, features, size, self.encoders)
                wait_for(self.device)
                return Prepared(made, method, read_in + time.perf_counter() - start, half)

            return self._work(prepare, needed, f"{method.title} at {size[0]}x{size[1]}")

        return self.results.get(("resampler", *self.key(options, backbone, upsampler)), make)

    def is_prepared(self, options: Options, backbone: str, upsampler: str) -> bool:
        """Whether ``resampler`` is kept, so that asking for it costs nothing."""
        return ("resampler", *self.key(options, backbone, upsampler)) in self.results

    def _image_half(
        self, options: Options, method: Upsampler, image: Tensor, grid: tuple[int, int]
    ) -> ImageHalf:
        """Return the image half for a photo and a grid, whoever's features it is for; it lives as
        long as a kept resampler uses it.
        """
        size = options.output
        key = (options.photo.digest, method.image_half_digest(), size, grid, self.encoders)

        def find_or_make() -> ImageHalf:
            half = self._halves.get(key)
            if half is None:
                half = half_precision.prepare_image(method, image, size, grid, self.encoders)
                self._halves[key] = half
            return half

        return self._gate.get(key, find_or_make)

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
            resampler = self.resampler(options, backbone, upsampler).resampler
            needed = estimates.projecting_bytes(len(weight), options.output)
            return self._work(lambda: resampler.project(weight, bias), needed, f"{upsampler}'s map")

        return self.results.get(("projected", tag, *self.key(options, backbone, upsampler)), make)

    def memoize(
        self,
        options: Options,
        backbone: str,
        upsampler: str,
        tag: tuple[Hashable, ...],
        make: Callable[[Resampler], T],
    ) -> T:
        """Return ``make(resampler)`` of a pair, kept under ``tag``: all else that it depends on."""

        def run() -> T:
            resampler = self.resampler(options, backbone, upsampler).resampler
            needed = estimates.projecting_bytes(1, options.output)
            return self._work(lambda: make(resampler), needed, f"{upsampler}'s features")

        return self.results.get(("kept", tag, *self.key(options, backbone, upsampler)), run)

    def norms(self, options: Options, backbone: str, upsampler: str) -> Tensor:
        """Return the length of every output pixel's features (1, H', W'), streamed once.

        Of a method that projects slowly the features are kept as well, for ``similar`` to read,
        unless they fill more than a sixth of the budget.
        """

        def stream(resampler: Resampler) -> Tensor:
            cells = resampler.values
            size = cells.element_size() * cells.shape[1] * math.prod(resampler.output_size)
            if resampler.projection_costs_all_channels and size <= self.results.budget // 6:
                made = self.memoize(
                    options, backbone, upsampler, FEATURES, lambda found: found.features()
                )
                return made.norm(dim=1)
            bands = [resampler.features(rows).norm(dim=1) for rows in row_bands(resampler)]
            return torch.cat(bands, dim=1)

        return self.memoize(options, backbone, upsampler, ("norms",), stream)

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
            whole = self.memoize(options, backbone, upsampler, FEATURES, lambda r: r.features())
            return (unit @ whole[0].flatten(1)).unflatten(0, resampler.output_size)

        with torch.no_grad():
            found = dot(self.resampler(options, backbone, upsampler).resampler)
            return torch.where(norms > TINY, found / norms.clamp(min=TINY), 0).clamp(-1, 1)

    def _work(self, make: Callable[[], T], needed: int, what: str) -> T:
        """Return ``make()`` without gradients, if there is time and room for it; in smaller blocks
        if memory runs out all the same.
        """
        check_time()
        memory.require(needed, what, self.device, self.results.clear)
        with torch.no_grad():
            return memory.in_tiles(make, what, self.results.clear)

    def preview(self, options: Options, backbone: str, upsampler: str, shrink: int) -> Resampler:
        """Return a resampler for an output ``shrink`` times smaller, guidance included; not
        kept.
        """
        size = tuple(max(1, n // shrink) for n in options.output)
        method = self.upsampler(upsampler, backbone, options)
        with torch.no_grad():
            image = resize(self.guidance(options), size)
            return method.prepare(image, self.features(options, backbone, method.reading), size)
