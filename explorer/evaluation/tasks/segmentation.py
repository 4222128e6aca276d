"""Segmentation: classes of every pixel, by mIoU."""

from __future__ import annotations

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from explorer.datasets import Dataset, Example, nearest
from explorer.evaluation import metrics
from explorer.evaluation.tasks.base import TASKS, Column, Task, Truth
from explorer.imaging import Photo
from explorer.probes import Prediction, SegmentationProbe


@TASKS.register("segmentation")
class Segmentation(Task):
    """Cross-entropy over classes; mIoU over the whole split and near label edges."""

    name = "segmentation"
    order = 10
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


def _list(names: list[str]) -> str:
    return ", ".join(names)
