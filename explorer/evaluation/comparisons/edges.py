"""Edges: gradients of upsampled features against annotated boundaries."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from explorer.datasets import Dataset, nearest
from explorer.evaluation import metrics
from explorer.evaluation.comparisons.base import COMPARISONS, Comparison
from explorer.evaluation.methods import Method
from explorer.evaluation.samples import EvalContext, Sample
from explorer.evaluation.tasks import Column

EDGE_COMPONENTS = 32
EDGE_TOLERANCE = 1


@COMPARISONS.register("edges")
class Edges(Comparison):
    """Average precision of the upsampled features' gradient against annotated boundaries.

    A pixel within 1 px of a boundary is a hit; unlabelled pixels are left out. The gradient is that
    of the first 32 principal components of the coarse features.
    """

    name = "edges"
    order = 20
    columns = (Column("average_precision", "AP", 100, 1, main=True),)

    @classmethod
    def maps(cls, folder: str | None) -> str:
        """Boundaries from a folder that is called so, else labels, whose edges count."""
        return "boundaries" if (folder or "").startswith("boundaries") else "labels"

    def truth(self, data: Dataset, scene: Sample) -> tuple[np.ndarray, np.ndarray]:
        """Return which pixels count and which of them lie on a boundary, both flat."""
        values = nearest(data.read(scene.example, scene.photo), scene.size)
        if data.kind == "labels":
            counted = values != metrics.IGNORE
            edges = metrics.label_edges(values)
        else:
            counted, edges = torch.ones_like(values, dtype=torch.bool), values
        near = metrics.near(edges, EDGE_TOLERANCE)
        return counted.flatten().numpy(), near.flatten().numpy()

    @torch.no_grad()
    def measure(self, stage: EvalContext, scene: Sample, method: Method, truth) -> dict[str, float]:
        """Return the average precision of the method's gradient."""
        made = method.upsampler.prepare(scene.guidance, scene.features_for(method), scene.size)
        weight = components(made.values, EDGE_COMPONENTS)
        return {"average_precision": precision(gradient(made.project(weight)[0]), truth)}

    def reference(self, scene: Sample, truth) -> dict[str, float]:
        """Return the average precision of the photo's own gradient."""
        return {"average_precision": precision(gradient(scene.guidance[0]), truth)}


def components(values: Tensor, count: int) -> Tensor:
    """Return the first principal directions (count, C) of the cells of (1, C, h, w)."""
    cells = values[0].flatten(1).double().cpu()
    centred = cells - cells.mean(dim=1, keepdim=True)
    _, vectors = torch.linalg.eigh(centred @ centred.T)
    return vectors.T.flip(0)[:count].float().to(values)


def gradient(image: Tensor) -> Tensor:
    """Return the length of the central difference over all channels of (C, H, W), (H, W)."""
    padded = F.pad(image[None], (1, 1, 1, 1), mode="replicate")[0]
    across = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    down = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    return (across.square() + down.square()).sum(dim=0).sqrt() / 2


def precision(score: Tensor, truth: tuple[np.ndarray, np.ndarray]) -> float:
    """Return the average precision of a score (H, W); NaN where nothing is a boundary."""
    from sklearn.metrics import average_precision_score

    counted, edge = truth
    if not edge[counted].any():
        return float("nan")
    return float(average_precision_score(edge[counted], score.flatten().cpu().numpy()[counted]))
