"""Depth: metres of every pixel, by RMSE and shares."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from explorer.datasets import Dataset, Example, nearest
from explorer.evaluation import metrics
from explorer.evaluation.tasks.base import TASKS, Column, Task, Truth
from explorer.imaging import Photo
from explorer.probes import DepthProbe, Prediction
from explorer.probes.dense import DEPTH_BINS, expected_depth


@TASKS.register("depth")
class Depth(Task):
    """The scale-invariant log loss over expected bins; RMSE, delta1, abs-rel, also at edges."""

    name = "depth"
    order = 20
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
