"""What a probe is: a 1x1 convolution on upsampled features and a reading of its outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from explorer.core import Registry, SizeError, Upsampled

PROBES: Registry[Probe] = Registry("probe kind")

CLASS, SCALAR, DIRECTION = "class", "scalar", "direction"  # how a pixel's values are read

BAND_BYTES = 128 * 2**20  # features and outputs of one band of rows


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a probe reads at every pixel, and how sure it is (H, W) in 0..1, if it can tell.

    ``values``: class numbers (H, W), metres (H, W) or unit normals (3, H, W).
    """

    values: Tensor
    confidence: Tensor | None = None

    def nbytes(self) -> int:
        """Return what a cache must count."""
        kept = [t for t in (self.values, self.confidence) if t is not None]
        return sum(t.numel() * t.element_size() for t in kept)


class Probe(ABC):
    """A linear map from features to ``outputs`` channels, and how they are read.

    Args:
        weight: (K, C).
        bias: (K,).
        name: of the checkpoint.
        origin: "trained here", "published", ...
        digest: identifies the weights in caches and recipes.
        usual_confidence: what a photo's mean confidence rarely falls below on photos like those the
            probe learnt from; None if nobody measured it.
        aligned: whether it learnt from features aligned with their pixels.

    A kind declares how its ``Prediction`` is read, which decides how it is drawn: CLASS (class
    numbers, by subclasses of `SegmentationProbe`), SCALAR (``quantity`` in ``unit``) or DIRECTION
    (unit vectors: x right, y down, z forward).
    """

    kind: ClassVar[str]
    title: ClassVar[str]
    maps: ClassVar[str]  # the kind of dataset it learns from
    reading: ClassVar[str]
    quantity: ClassVar[str] = ""  # what a scalar is, "distance"
    unit: ClassVar[str] = ""  # of a scalar, "m"
    numbers: ClassVar[tuple[str, ...]] = ()  # names of what is read at one pixel, unless classes
    fixed_outputs: ClassVar[int | None] = None  # K, where the kind allows one only
    order: ClassVar[int] = 1000  # place in menus, lowest first; equal ones by name

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        *,
        name: str = "probe",
        origin: str = "trained here",
        digest: str = "",
        backbone: str = "any",
        stage: str | None = None,
        licence: str = "",
        notes: str = "",
        usual_confidence: float | None = None,
        aligned: bool = False,
    ):
        if weight.dim() != 2 or bias.shape != weight.shape[:1]:
            raise SizeError(
                f"a probe has a weight (K, C) and a bias (K,), not {tuple(weight.shape)} and "
                f"{tuple(bias.shape)}"
            )
        self.weight, self.bias = weight.float(), bias.float()
        self.name, self.origin, self.digest = name, origin, digest
        self.backbone, self.stage = backbone, stage
        self.licence, self.notes, self.usual_confidence = licence, notes, usual_confidence
        self.aligned = aligned
        self.fallback_for = ""  # the probe that comes first but could not be had
        self.fallback_since: float | None = None  # monotonic: since when

    @classmethod
    def arguments(cls, options: Mapping[str, Any], outputs: int) -> dict[str, Any]:
        """Return the constructor's further arguments from the options of a checkpoint's row."""
        return {}

    def options(self) -> dict[str, Any]:
        """Return what a card must say so that ``arguments`` makes the same probe again."""
        return {}

    def caption(self) -> str:
        """Name the probe, whose it is, and which better one it stands in for."""
        better = f", in place of {self.fallback_for}" if self.fallback_for else ""
        return f"probe {self.name} ({self.origin}){better}"

    def provenance(self) -> dict[str, str]:
        """Return what a recipe says of the probe."""
        found = {"name": self.name, "origin": self.origin, "sha256": self.digest}
        return found | ({"fallback_for": self.fallback_for} if self.fallback_for else {})

    @property
    def outputs(self) -> int:
        """K."""
        return self.weight.shape[0]

    @property
    def channels(self) -> int:
        """C, the features' channels."""
        return self.weight.shape[1]

    @abstractmethod
    def decode(self, logits: Tensor) -> Prediction:
        """Read outputs (K, ...) at any number of positions."""

    def predict(self, resampler: Upsampled) -> Prediction:
        """Read every output pixel of the first image of a resampler.

        Raises:
            SizeError: the features have another number of channels.
        """
        return predict_together([self], resampler)[0]

    def at(self, resampler: Upsampled, row: int, col: int) -> Tensor:
        """Return the outputs (K,) at output pixel (row, col) alone."""
        resampler.check_query(row, col)
        self.check(resampler)
        place = torch.tensor([row]), torch.tensor([col])
        features = resampler.sample(*(p.to(resampler.values.device) for p in place))[0, 0]
        return self.weight.to(features) @ features + self.bias.to(features)

    def check(self, resampler: Upsampled) -> None:
        """Raise SizeError unless the features have the probe's number of channels."""
        if resampler.values.shape[1] != self.channels:
            raise SizeError(
                f"the probe {self.name} reads {self.channels} channels, these features have "
                f"{resampler.values.shape[1]}; choose the backbone and stage it was made for"
            )


@torch.no_grad()
def predict_together(probes: list[Probe], resampler: Upsampled) -> list[Prediction]:
    """Return each probe's prediction for the first image, upsampling once for all of them.

    Few outputs are projected before upsampling; more outputs than the features have channels are
    computed after it, in bands of rows. Both are exact.
    """
    for probe in probes:
        probe.check(resampler)
    values = resampler.values
    weight = torch.cat([probe.weight for probe in probes]).to(values)
    bias = torch.cat([probe.bias for probe in probes]).to(values)
    sizes = [probe.outputs for probe in probes]
    if len(weight) <= values.shape[1]:
        logits = resampler.project(weight, bias)[0]
        return [p.decode(part) for p, part in zip(probes, logits.split(sizes), strict=True)]
    height, width = resampler.output_size
    row_bytes = values.shape[0] * (values.shape[1] + 2 * max(sizes)) * width * 4
    band = max(1, BAND_BYTES // row_bytes)
    parts: list[list[Prediction]] = [[] for _ in probes]
    for start in range(0, height, band):
        rows = resampler.features((start, min(start + band, height)))[0]
        first = 0
        for probe, found in zip(probes, parts, strict=True):
            span = slice(first, first + probe.outputs)
            logits = weight[span] @ rows.flatten(1) + bias[span, None]
            found.append(probe.decode(logits.unflatten(1, rows.shape[1:])))
            first += probe.outputs
    return [_joined(found) for found in parts]


def _joined(bands: list[Prediction]) -> Prediction:
    values = torch.cat([band.values for band in bands], dim=-2)
    if bands[0].confidence is None:
        return Prediction(values)
    return Prediction(values, torch.cat([band.confidence for band in bands], dim=-2))
