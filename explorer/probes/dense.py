"""The three readings: a class, a distance, a direction at every pixel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from explorer.core import ExplorerError, SizeError
from explorer.datasets import CLASS_SETS, ClassSet
from explorer.datasets.classes import numbered
from explorer.probes.base import CLASS, DIRECTION, PROBES, SCALAR, Prediction, Probe

DEPTH_BINS = 256
DEPTH_RANGE = (0.001, 10.0)
DEPTH_FLOOR = 0.1


@PROBES.register("segmentation")
class SegmentationProbe(Probe):
    """The class with the largest output; confidence is its softmax probability."""

    kind = "segmentation"
    title = "Segmentation"
    maps = "labels"
    reading = CLASS
    order = 10

    def __init__(self, weight: Tensor, bias: Tensor, classes: ClassSet, **about):
        super().__init__(weight, bias, **about)
        if len(classes) != self.outputs:
            raise SizeError(f"{len(classes)} class names do not fit {self.outputs} outputs")
        self.classes = classes

    @classmethod
    def arguments(cls, options: Mapping[str, Any], outputs: int) -> dict[str, Any]:
        """Return the classes: the row's own, those of its data set, or numbers."""
        if "classes" in options:
            colours = tuple(tuple(int(v) for v in one) for one in options.get("colours", ()))
            return {"classes": ClassSet(tuple(options["classes"]), colours)}
        dataset = str(options.get("dataset", "")).replace("voc2012", "voc")
        known = CLASS_SETS.get(f"{dataset}{outputs}")
        return {"classes": known if known is not None else numbered(outputs)}

    def options(self) -> dict[str, Any]:
        """Return the classes' names and colours."""
        colours = [list(colour) for colour in self.classes.colours]
        return {"classes": list(self.classes.names), "colours": colours}

    def decode(self, logits: Tensor) -> Prediction:
        """Read class numbers of outputs (K, ...)."""
        best, values = logits.max(dim=0)
        return Prediction(values, (best - logits.logsumexp(dim=0)).exp())

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return class probabilities (K, ...), summing to one."""
        return logits.softmax(dim=0)


@PROBES.register("depth")
class DepthProbe(Probe):
    """The expected distance over bins of equal width (relu, + 0.1, normalised).

    Sources: AdaBins (arXiv 2011.14141), DINOv2 (arXiv 2304.07193). Published heads also read the
    class token: ``class_weight`` (K, C) waits for `with_class_token`.
    """

    kind = "depth"
    title = "Depth"
    maps = "depth"
    reading = SCALAR
    quantity, unit, numbers = "distance", "m", ("metres",)
    order = 20

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        span: tuple[float, float] = DEPTH_RANGE,
        class_weight: Tensor | None = None,
        **about,
    ):
        super().__init__(weight, bias, **about)
        self.span, self.class_weight, self._about = tuple(span), class_weight, about

    @classmethod
    def arguments(cls, options: Mapping[str, Any], outputs: int) -> dict[str, Any]:
        """Return the span of the bins, if the row tells."""
        return {"span": tuple(options["span"])} if "span" in options else {}

    def options(self) -> dict[str, Any]:
        """Return the span of the bins."""
        return {"span": list(self.span)}

    def decode(self, logits: Tensor) -> Prediction:
        """Read metres of outputs (K, ...)."""
        if self.class_weight is not None:
            raise ExplorerError(
                f"{self.name} also reads the photo's class token, which has to be given first "
                "(with_class_token)"
            )
        return Prediction(expected_depth(logits, self.span))

    def with_class_token(self, token: Tensor) -> DepthProbe:
        """Return the probe for one photo, its class token (C,) folded into the bias."""
        if self.class_weight is None:
            return self
        bias = self.bias + self.class_weight @ token.to(self.bias)
        return DepthProbe(self.weight, bias, self.span, **self._about)


def expected_depth(logits: Tensor, span: tuple[float, float]) -> Tensor:
    """Return the expected distance (...) of outputs (K, ...) over K bins that fill ``span``; in
    float32, or float64 for such outputs.
    """
    # Hundreds of bins are closer together than half precision tells apart.
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    share = F.relu(logits) + DEPTH_FLOOR
    centres = torch.linspace(*span, len(logits), dtype=logits.dtype, device=logits.device)
    return torch.tensordot(centres, share, dims=1) / share.sum(dim=0)


@PROBES.register("normals")
class NormalsProbe(Probe):
    """The direction of three outputs: x right, y down, z forward, as a unit vector."""

    kind = "normals"
    title = "Normals"
    maps = "normals"
    reading = DIRECTION
    numbers = ("x right", "y down", "z forward")
    fixed_outputs = 3
    order = 30

    def decode(self, logits: Tensor) -> Prediction:
        """Read unit vectors (3, ...)."""
        if len(logits) != 3:
            raise SizeError(f"a normals probe has 3 outputs, not {len(logits)}")
        return Prediction(F.normalize(logits, dim=0))
