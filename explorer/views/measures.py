"""What one photo says in numbers about a backbone x upsampler pair: fidelity, time, memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from explorer.backbones import read
from explorer.core import ONCE, ExplorerError, wait_for
from explorer.imaging import fit_size
from explorer.resources.peak_memory import Peak, peak_memory
from explorer.session import Options, Session
from explorer.upsamplers import Resampler, Upsampler, half_precision
from explorer.upsamplers.streaming import averaged_back
from explorer.views.base import method_title
from explorer.views.rows import row_label

FACTORS = (2, 4)
CHANNELS = 3  # of the projection that is timed: a picture's
BACKBONE_SPACE = "backbone"


@dataclass(frozen=True)
class Cost:
    """What one fresh preparation and the first projection to three channels took.

    ``held_bytes`` are the tensors the prepared resampler keeps, ``peak`` the most that was in use
    meanwhile beyond what was held before.
    """

    prepare_seconds: float
    project_seconds: float
    held_bytes: int
    peak: Peak


@dataclass(frozen=True)
class Measures:
    """The numbers of one pair.

    ``reconstruction`` maps 2 and 4 to a cosine in [-1, 1], or to the sentence why there is none.
    ``consistency`` is a mean cosine, ``consistency_l2`` a share of the mean length.
    """

    backbone: str
    label: str  # the backbone, as papers write it
    method: str
    title: str
    origin: str
    checkpoint: str
    parameters: int
    reconstruction: dict[int, float | str]
    consistency: float
    consistency_l2: float
    cost: Cost


@dataclass(frozen=True)
class MeasureError:
    """A pair that could not be measured, and the sentence why."""

    backbone: str
    label: str
    method: str
    title: str
    sentence: str = field(default="")


def stream(session: Session, options: Options) -> Iterator[Measures | MeasureError]:
    """Yield the measures of every backbone x upsampler pair as they become ready.

    Each pair is measured once per photo, settings and weights and then kept by the session.
    """
    for backbone in options.backbones:
        for method in options.upsamplers:
            try:
                label = row_label(session, backbone)
            except ExplorerError as error:
                yield MeasureError(backbone, backbone, method, method_title(method), str(error))
                continue
            try:
                yield measure(session, options, backbone, method)
            except ExplorerError as error:
                yield MeasureError(backbone, label, method, method_title(method), str(error))


def measure(session: Session, options: Options, backbone: str, method: str) -> Measures:
    """Return the measures of one pair.

    Raises:
        ExplorerError: the backbone, the weights or the sizes cannot be had.
    """

    def make(resampler: Resampler) -> Measures:
        upsampler = session.upsampler(method, backbone, options)
        back = averaged_back(resampler)
        return Measures(
            backbone,
            row_label(session, backbone),
            method,
            method_title(method),
            upsampler.origin,
            upsampler.weights_caption() or upsampler.checkpoint,
            sum(parameter.numel() for parameter in upsampler.parameters()),
            reconstruction(session, options, backbone, upsampler),
            cosine(back, resampler.values),
            relative_l2(back, resampler.values),
            cost(session, options, backbone, upsampler),
        )

    return session.memoize(options, backbone, method, ("measures",), make)


def reconstruction(
    session: Session, options: Options, backbone: str, upsampler: Upsampler
) -> dict[int, float | str]:
    """Return the mean cosine of features upsampled from the shrunken photo with the backbone's own.

    The photo is shrunk by 2 and by 4, its features are upsampled to the grid of the unshrunken
    photo, guided by that. Both have sides that every factor divides, so that all sizes show the
    same picture. The same numbers as ``evaluate reconstruction`` gives for one photo.
    """
    if upsampler.space != BACKBONE_SPACE:
        reason = "its features live in a normalised space: the backbone's are no target for them"
        return {factor: reason for factor in FACTORS}
    if upsampler.reading != ONCE:
        reason = "it reads the backbone again, so that there is nothing to reconstruct"
        return {factor: reason for factor in FACTORS}
    stride = session.backbone(backbone).stride
    size = fit_size(options.photo.size, options.input_size, max(FACTORS) * stride)
    target = session.features_at(options, backbone, size).data
    guidance, grid = session.guidance(options, size), tuple(target.shape[-2:])
    found: dict[int, float | str] = {}
    for factor in FACTORS:
        shrunk = (size[0] // factor, size[1] // factor)
        small = session.features_at(options, backbone, shrunk).data
        try:
            made = half_precision.prepare(upsampler, guidance, small, grid, session.encoders)
        except ExplorerError as error:  # a grid too small for this method
            found[factor] = str(error)
            continue
        found[factor] = cosine(made.features(), target)
    return found


def cosine(made: Tensor, target: Tensor) -> float:
    """Return the cosine over channels of two (B, C, h, w) maps, averaged over positions."""
    return F.cosine_similarity(made, target, dim=1).mean().item()


def relative_l2(made: Tensor, target: Tensor) -> float:
    """Return the mean distance of two (B, C, h, w) maps' vectors over the target's mean length."""
    return ((made - target).norm(dim=1).mean() / target.norm(dim=1).mean()).item()


def cost(session: Session, options: Options, backbone: str, upsampler: Upsampler) -> Cost:
    """Measure one fresh ``prepare`` and its first ``project`` to three channels.

    Models, features and photo are there already, but for a method that reads the backbone in a way
    of its own; a first projection includes what a method puts off until it is asked.
    """
    features = session.features(options, backbone).data
    model, reading = session.backbone(backbone), upsampler.reading
    side = fit_size(options.photo.size, options.input_size, model.stride)
    image = session.guidance(options)
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(CHANNELS, features.shape[1], generator=generator).to(features)
    with torch.no_grad(), peak_memory(session.device) as peak:
        start = time.perf_counter()
        if reading != ONCE:
            photo = lambda size: options.photo.tensor(size, session.device)  # noqa: E731
            features = read(model, photo, side, reading, options.align).data
        made = half_precision.prepare(upsampler, image, features, options.output, session.encoders)
        wait_for(session.device)
        prepared = time.perf_counter()
        made.project(weight)
        wait_for(session.device)
        done = time.perf_counter()
    return Cost(prepared - start, done - prepared, made.nbytes(), peak)
