"""What is asked of a probe: its truth, its loss, its sums and its scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from explorer.datasets import Dataset, Example, nearest
from explorer.evaluation import metrics
from explorer.imaging import Photo
from explorer.probes import DepthProbe, NormalsProbe, Prediction, Probe, SegmentationProbe
from explorer.probes.dense import DEPTH_BINS, expected_depth


@dataclass(frozen=True, eq=False)
class Truth:
    """One photo's truth at the output size: ``values``, where it is ``valid`` and near an edge."""

    values: Tensor
    valid: Tensor
    band: Tensor


@dataclass(frozen=True)
class Column:
    """A score's key, its head in tables, how it is printed and which way is better."""

    key: str
    head: str
    scale: float = 1.0
    digits: int = 1
    higher: bool = True
    main: bool = False  # compared with the baseline, with an interval

    def show(self, value: float) -> str:
        """Print a value; "-" for one that could not be measured."""
        return "-" if np.isnan(value) else f"{self.scale * value:.{self.digits}f}"


class Task(ABC):
    """A kind of probe on a dataset."""

    name: ClassVar[str]
    columns: ClassVar[tuple[Column, ...]]
    outputs: int
    shape: tuple[int, ...]  # of one image's sums

    @abstractmethod
    def truth(self, data: Dataset, example: Example, photo: Photo, size: tuple[int, int]) -> Truth:
        """Read the truth of an example at the output size."""

    @abstractmethod
    def loss(self, outputs: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        """Return the weighted loss of outputs (n, K) at n pixels."""

    @abstractmethod
    def probe(self, weight: Tensor, bias: Tensor, **about) -> Probe:
        """Make the probe of trained weights."""

    @abstractmethod
    def sums(self, found: Prediction, truth: Truth) -> np.ndarray:
        """Return what one image adds to the metrics."""

    @abstractmethod
    def scores(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Return the scores of summed sums (..., *shape)."""

    def details(self, sums: np.ndarray) -> dict[str, object]:
        """Return what a report adds about the whole split, with sentences under "notes"."""
        return {"notes": []}


class Segmentation(Task):
    """Cross-entropy over classes; mIoU over the whole split and near label edges."""

    name = "segmentation"
    columns = (
        Column("miou", "mIoU", 100, 1, main=True),
        Column("boundary_miou", "boundary mIoU", 100, 1, main=True),
        Column("accuracy", "pixel acc.", 100, 1),
    )

    def __init__(self, data: Dataset):
        self.classes = data.classes
        self.outputs = len(data.classes)
        self.shape = (2, self.outputs, self.outputs)

    def truth(self, data: Dataset, example: Example, photo: Photo, size: tuple[int, int]) -> Truth:
        """Read labels."""
        labels = nearest(data.read(example, photo), size)
        return Truth(labels, labels != metrics.IGNORE, metrics.near(metrics.label_edges(labels)))

    def loss(self, outputs: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        """Cross-entropy."""
        return (F.cross_entropy(outputs, truth, reduction="none") * weights).mean()

    def probe(self, weight: Tensor, bias: Tensor, **about) -> SegmentationProbe:
        """Make a segmentation probe."""
        return SegmentationProbe(weight, bias, self.classes, **about)

    def sums(self, found: Prediction, truth: Truth) -> np.ndarray:
        """Count confusions everywhere and in the boundary band."""
        everywhere = metrics.confusion(found.values, truth.values, self.outputs)
        near = metrics.confusion(found.values, truth.values, self.outputs, truth.band)
        return np.stack([everywhere, near])

    def scores(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Return mIoU, boundary mIoU and pixel accuracy."""
        return {
            "miou": metrics.mean_iou(sums[..., 0, :, :]),
            "boundary_miou": metrics.mean_iou(sums[..., 1, :, :]),
            "accuracy": metrics.pixel_accuracy(sums[..., 0, :, :]),
        }

    def details(self, sums: np.ndarray) -> dict[str, object]:
        """Return IoU per class, and which classes the split lacks."""
        iou = metrics.class_iou(sums[0])
        names = self.classes.names
        absent = [n for n, v in zip(names, iou, strict=True) if np.isnan(v)]
        notes = []
        if absent:
            notes.append(f"absent from the tested photos and left out of the mean: {_list(absent)}")
        per_class = {
            n: None if np.isnan(v) else v for n, v in zip(names, iou.tolist(), strict=True)
        }
        return {"iou": per_class, "absent": absent, "notes": notes}


class Depth(Task):
    """The scale-invariant log loss over expected bins; RMSE, delta1, abs-rel, also at edges."""

    name = "depth"
    columns = (
        Column("rmse", "RMSE (m)", 1, 3, higher=False, main=True),
        Column("delta1", "δ1", 100, 1),
        Column("abs_rel", "abs-rel", 1, 3, higher=False),
        Column("edge_delta1", "δ1 at edges", 100, 1, main=True),
        Column("aligned_rmse", "aligned RMSE", 1, 3, higher=False),
        Column("aligned_delta1", "aligned δ1", 100, 1),
        Column("aligned_abs_rel", "aligned abs-rel", 1, 3, higher=False),
        Column("aligned_edge_delta1", "aligned δ1 at edges", 100, 1),
    )
    outputs = DEPTH_BINS
    shape = (len(metrics.DEPTH_GROUPS), len(metrics.DEPTH_FIELDS))

    def __init__(self, data: Dataset):
        self.span = (0.001, float(data.depth_max))

    def truth(self, data: Dataset, example: Example, photo: Photo, size: tuple[int, int]) -> Truth:
        """Read metres; beyond the bins nothing is valid."""
        depth, valid = (nearest(part, size) for part in data.read(example, photo))
        valid = valid & (depth >= self.span[0])
        depth = depth.clamp(max=self.span[1])
        return Truth(depth, valid, metrics.near(metrics.depth_edges(depth, valid)))

    def loss(self, outputs: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        """Root of the log error's variance plus 0.15 times its squared mean (arXiv 1406.2283)."""
        error = expected_depth(outputs.T, self.span).log() - truth.log()
        total = weights.sum()
        mean = (weights * error).sum() / total
        variance = (weights * (error - mean).square()).sum() / total
        return (variance + 0.15 * mean.square() + 1e-8).sqrt()

    def probe(self, weight: Tensor, bias: Tensor, **about) -> DepthProbe:
        """Make a depth probe."""
        return DepthProbe(weight, bias, self.span, **about)

    def sums(self, found: Prediction, truth: Truth) -> np.ndarray:
        """Sum errors in metres and ratios."""
        return metrics.depth_sums(found.values, truth.values, truth.valid, truth.band)

    def scores(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Return the depth scores."""
        return metrics.depth_scores(sums)

    def details(self, sums: np.ndarray) -> dict[str, object]:
        """Say how many pixels counted."""
        pixels, edges = sums[0, 0], sums[2, 0]
        share = edges / pixels if pixels else float("nan")
        note = f"{100 * share:.1f}% of the valid pixels lie within 3 px of a jump in depth (> 10%)"
        return {"pixels": int(pixels), "edge_pixels": int(edges), "notes": [note]}


class Normals(Task):
    """One minus the cosine; mean and RMSE angle, shares within 11.25, 22.5 and 30 degrees."""

    name = "normals"
    columns = (
        Column("mean_angle", "mean °", 1, 1, higher=False, main=True),
        Column("rmse_angle", "RMSE °", 1, 1, higher=False, main=True),
        Column("within_11.25", "< 11.25°", 100, 1),
        Column("within_22.5", "< 22.5°", 100, 1),
        Column("within_30", "< 30°", 100, 1),
    )
    outputs = 3
    shape = (3 + len(metrics.ANGLES),)

    def __init__(self, data: Dataset):
        del data

    def truth(self, data: Dataset, example: Example, photo: Photo, size: tuple[int, int]) -> Truth:
        """Read normals; the band is near invalid pixels and where they turn by over 30 degrees."""
        normals, valid = (nearest(part, size) for part in data.read(example, photo))
        edges = torch.zeros_like(valid)
        for axis in (0, 1):
            last = valid.shape[axis] - 1
            first, second = normals.narrow(axis + 1, 0, last), normals.narrow(axis + 1, 1, last)
            turn = (first * second).sum(dim=0) < np.cos(np.radians(30))
            edges.narrow(axis, 0, last).logical_or_(turn)
            edges.narrow(axis, 1, last).logical_or_(turn)
        return Truth(normals, valid, metrics.near(edges | ~valid))

    def loss(self, outputs: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        """One minus the cosine to the true normal (n, 3)."""
        return (weights * (1 - F.cosine_similarity(outputs, truth, dim=1))).mean()

    def probe(self, weight: Tensor, bias: Tensor, **about) -> NormalsProbe:
        """Make a normals probe."""
        return NormalsProbe(weight, bias, **about)

    def sums(self, found: Prediction, truth: Truth) -> np.ndarray:
        """Sum angles."""
        return metrics.normal_sums(found.values, truth.values, truth.valid)

    def scores(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Return the angular scores."""
        return metrics.normal_scores(sums)


def _list(names: list[str]) -> str:
    return ", ".join(names)


TASKS: dict[str, type[Task]] = {task.name: task for task in (Segmentation, Depth, Normals)}
