"""What one photo says in numbers about a backbone x upsampler pair: fidelity, time, memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from explorer import precision
from explorer.core import ExplorerError
from explorer.image import fit_size
from explorer.memory import Peak, peak_memory
from explorer.session import Options, Session, row_bands
from explorer.upsamplers import Resampler, Upsampler
from explorer.views.base import method_title
from explorer.views.rows import row_label
from explorer.visit import check_time

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
class Trouble:
    """A pair that could not be measured, and the sentence why."""

    backbone: str
    label: str
    method: str
    title: str
    sentence: str = field(default="")


def stream(session: Session, options: Options) -> Iterator[Measures | Trouble]:
    """Yield the measures of every backbone x upsampler pair as they become ready.

    Each pair is measured once per photo, settings and weights and then kept by the session.
    """
    for backbone in options.backbones:
        for method in options.upsamplers:
            try:
                label = row_label(session, backbone)
            except ExplorerError as error:
                yield Trouble(backbone, backbone, method, method_title(method), str(error))
                continue
            try:
                yield measure(session, options, backbone, method)
            except ExplorerError as error:
                yield Trouble(backbone, label, method, method_title(method), str(error))


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
            upsampler.checkpoint,
            sum(parameter.numel() for parameter in upsampler.parameters()),
            reconstruction(session, options, backbone, upsampler),
            cosine(back, resampler.values),
            relative_l2(back, resampler.values),
            cost(session, options, backbone, upsampler),
        )

    return session.kept(options, backbone, method, ("measures",), make)


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
    stride = session.backbone(backbone).stride
    size = fit_size(options.photo.size, options.input_size, max(FACTORS) * stride)
    target = features_at(session, options, backbone, size)
    guidance, grid = session.guidance(options, size), tuple(target.shape[-2:])
    found: dict[int, float | str] = {}
    for factor in FACTORS:
        small = features_at(session, options, backbone, (size[0] // factor, size[1] // factor))
        try:
            made = precision.prepare(upsampler, guidance, small, grid, session.encoders)
        except ExplorerError as error:  # a grid too small for this method
            found[factor] = str(error)
            continue
        found[factor] = cosine(made.features(), target)
    return found


def features_at(session: Session, options: Options, backbone: str, size: tuple[int, int]) -> Tensor:
    """Return the photo's coarse features (1, C, h, w) at an input of ``size`` (H, W), kept."""
    check_time()
    model = session.backbone(backbone)
    key = ("features", options.photo.digest, model.name, model.stage, model.digest, size)
    return session.results.get(
        key, lambda: model.extract(options.photo.tensor(size, session.device))
    ).data


def averaged_back(resampler: Resampler) -> Tensor:
    """Return upsampled features averaged over each coarse cell, (B, C, h, w).

    The result of adaptive average pooling of all channels, of which only a band of rows exists at
    any time.
    """
    grid = resampler.grid
    total = torch.zeros_like(resampler.values)
    shares = _row_shares(grid[0], resampler.output_size[0]).to(total)  # (h, H')
    for start, stop in row_bands(resampler):
        band = resampler.features((start, stop))
        band = F.adaptive_avg_pool2d(band, (stop - start, grid[1]))  # (B, C, rows, w)
        total += torch.einsum("ir,bcrj->bcij", shares[:, start:stop], band)
    return total


def cosine(made: Tensor, target: Tensor) -> float:
    """Return the cosine over channels of two (B, C, h, w) maps, averaged over positions."""
    return F.cosine_similarity(made, target, dim=1).mean().item()


def relative_l2(made: Tensor, target: Tensor) -> float:
    """Return the mean distance of two (B, C, h, w) maps' vectors over the target's mean length."""
    return ((made - target).norm(dim=1).mean() / target.norm(dim=1).mean()).item()


def cost(session: Session, options: Options, backbone: str, upsampler: Upsampler) -> Cost:
    """Measure one fresh ``prepare`` and its first ``project`` to three channels.

    Models, features and photo are there already; a first projection includes what a method puts
    off until it is asked.
    """
    features = session.features(options, backbone).data
    image = session.guidance(options)
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(CHANNELS, features.shape[1], generator=generator).to(features)
    with torch.no_grad(), peak_memory(session.device) as peak:
        start = time.perf_counter()
        made = precision.prepare(upsampler, image, features, options.output, session.encoders)
        _wait(session.device)
        prepared = time.perf_counter()
        made.project(weight)
        _wait(session.device)
        done = time.perf_counter()
    return Cost(prepared - start, done - prepared, made.nbytes(), peak)


def _row_shares(cells: int, rows: int) -> Tensor:
    """Return the (cells, rows) weights of adaptive average pooling along one axis."""
    cell = torch.arange(cells)
    first, last = cell * rows // cells, -(-(cell + 1) * rows // cells)
    row = torch.arange(rows)
    inside = (row >= first[:, None]) & (row < last[:, None])
    return inside / inside.sum(dim=1, keepdim=True)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
