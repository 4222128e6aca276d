"""Normals: surface normals, by angles."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from explorer.datasets import Dataset, Example, nearest
from explorer.evaluation import metrics
from explorer.evaluation.tasks.base import TASKS, Column, Task, Truth
from explorer.imaging import Photo
from explorer.probes import NormalsProbe, Prediction


@TASKS.register("normals")
class Normals(Task):
    """One minus the cosine; mean and RMSE angle, shares within 11.25, 22.5 and 30 degrees."""

    name = "normals"
    order = 30
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
