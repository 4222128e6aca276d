"""Measures without a probe: reconstruction of finer features, consistency, edges."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor
from torch.nn import functional as F

from explorer.cli.progress import progress_bar
from explorer.datasets import Dataset, Example, nearest
from explorer.evaluation import metrics
from explorer.evaluation.methods import Method
from explorer.evaluation.result_store import Ledger
from explorer.evaluation.samples import EvalContext, Sample, stamp, wait
from explorer.evaluation.tasks import Column
from explorer.imaging import fit_size
from explorer.upsamplers.streaming import averaged_back

FACTORS = (2, 4)
EDGE_COMPONENTS = 32
EDGE_TOLERANCE = 1
PHOTO = "photo"


class Comparison(ABC):
    """Numbers for one photo and one method."""

    name: ClassVar[str]
    columns: ClassVar[tuple[Column, ...]]
    needs_maps: ClassVar[bool] = False

    @abstractmethod
    def measure(self, stage: EvalContext, scene: Sample, method: Method, truth) -> dict[str, float]:
        """Return the numbers of one photo."""

    def truth(self, data: Dataset, scene: Sample):
        """Read what a photo is compared with."""
        return None

    def reference(self, scene: Sample, truth) -> dict[str, float]:
        """Return numbers that need no features ({} if there are none)."""
        return {}


class Reconstruction(Comparison):
    """Features of a small photo, upsampled, against the backbone's of the large one; consistency.

    The small photo is the large one shrunk by 2 and by 4; the guidance is the large one. Cosine per
    cell, averaged; L2 as a share of the mean norm. Consistency: the large photo's features
    upsampled to the output size and averaged back to their grid.
    """

    name = "reconstruction"
    columns = (
        Column("cosine_x2", "cosine x2", 1, 4, main=True),
        Column("l2_x2", "L2 x2", 1, 3, higher=False),
        Column("cosine_x4", "cosine x4", 1, 4, main=True),
        Column("l2_x4", "L2 x4", 1, 3, higher=False),
        Column("consistency", "consistency", 1, 4),
    )

    @torch.no_grad()
    def measure(self, stage: EvalContext, scene: Sample, method: Method, truth) -> dict[str, float]:
        """Return cosines and L2 for both factors, and the consistency."""
        # Sides that both factors divide, so that every size shows the same picture.
        unit = max(FACTORS) * stage.backbone.stride
        size = fit_size(scene.photo.size, stage.sizes.input, unit)
        target = stage.features(scene.photo, size)
        guidance = scene.photo.tensor(size, stage.device)
        found = {}
        for factor in FACTORS:
            small = stage.features(scene.photo, (size[0] // factor, size[1] // factor))
            grid = tuple(target.shape[-2:])
            made = method.upsampler.prepare(guidance, small, grid).features()
            found[f"cosine_x{factor}"] = F.cosine_similarity(made, target, dim=1).mean().item()
            error = (made - target).norm(dim=1).mean() / target.norm(dim=1).mean()
            found[f"l2_x{factor}"] = error.item()
        large = method.upsampler.prepare(scene.guidance, scene.features, scene.size)
        back = averaged_back(large)
        found["consistency"] = F.cosine_similarity(back, scene.features, dim=1).mean().item()
        return found


class Edges(Comparison):
    """Average precision of the upsampled features' gradient against annotated boundaries.

    A pixel within 1 px of a boundary is a hit; unlabelled pixels are left out. The gradient is that
    of the first 32 principal components of the coarse features.
    """

    name = "edges"
    columns = (Column("average_precision", "AP", 100, 1, main=True),)
    needs_maps = True

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
        made = method.upsampler.prepare(scene.guidance, scene.features, scene.size)
        weight = components(made.values, EDGE_COMPONENTS)
        return {"average_precision": precision(gradient(made.project(weight)[0]), truth)}

    def reference(self, scene: Sample, truth) -> dict[str, float]:
        """Return the average precision of the photo's own gradient."""
        return {"average_precision": precision(gradient(scene.guidance[0]), truth)}


COMPARISONS: dict[str, type[Comparison]] = {c.name: c for c in (Reconstruction, Edges)}


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


@dataclass(frozen=True, eq=False)
class Measured:
    """One row: per-photo values (images,) by column, median seconds; ``method`` None: the photo."""

    method: Method | None
    values: dict[str, np.ndarray]
    seconds: float = float("nan")


class CompareRun:
    """One comparison on a set of photos for several methods."""

    def __init__(
        self,
        comparison: Comparison,
        data: Dataset,
        examples: list[Example],
        methods: list[Method],
        stage: EvalContext,
        ledger: Ledger,
        accelerator: Accelerator,
        quiet: bool = False,
    ):
        self.comparison, self.data, self.examples = comparison, data, examples
        self.methods = [method for method in methods if method.shares]
        self.stage, self.ledger, self.accelerator = stage, ledger, accelerator
        self.quiet = quiet or not accelerator.is_main_process

    def run(self) -> list[Measured]:
        """Measure what is missing and return all rows."""
        share = self.examples[self.accelerator.process_index :: self.accelerator.num_processes]
        found = []
        for example in progress_bar("photos", items=share, quiet=self.quiet):
            found += self._photo(example)
        if self.accelerator.num_processes > 1:
            found = gather_object(found)
        return self._rows(found)

    def _photo(self, example: Example) -> list[dict]:
        keys = {method.key: self._key(method.identity, example) for method in self.methods}
        keys[PHOTO] = self._key(PHOTO, example)
        entries = {name: self.ledger.get(key) for name, key in keys.items()}
        if None in entries.values():
            scene = self.stage.scene(example)
            truth = self.comparison.truth(self.data, scene)
            for method in self.methods:
                if entries[method.key] is None:
                    start = wait(self.stage.device)
                    values = self.comparison.measure(self.stage, scene, method, truth)
                    seconds = round(wait(self.stage.device) - start, 4)
                    entries[method.key] = self.ledger.put(
                        keys[method.key], values=values, seconds=seconds
                    )
            if entries[PHOTO] is None:
                values = self.comparison.reference(scene, truth)
                entries[PHOTO] = self.ledger.put(keys[PHOTO], values=values)
        return [{"example": example.name, "row": name, **e} for name, e in entries.items()]

    def _rows(self, found: list[dict]) -> list[Measured]:
        rank = {example.name: i for i, example in enumerate(self.examples)}
        rows = []
        for name, method in [*((m.key, m) for m in self.methods), (PHOTO, None)]:
            mine = sorted((f for f in found if f["row"] == name), key=lambda f: rank[f["example"]])
            if not mine or not mine[0]["values"]:
                continue
            values = {k: np.array([f["values"][k] for f in mine]) for k in mine[0]["values"]}
            rows.append(
                Measured(method, values, float(np.median([f.get("seconds", 0) for f in mine])))
            )
        return rows

    def _key(self, identity: str, example: Example) -> str:
        files = [stamp(p) for p in (example.photo_path, example.map_path) if p is not None]
        parts = (self.comparison.name, files, self.stage.identity, self.stage.sizes, identity)
        return "compare:" + hashlib.sha256(repr(parts).encode()).hexdigest()
