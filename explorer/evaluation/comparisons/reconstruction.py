"""Reconstruction: features of a finer photo, recovered from those of a coarser one."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from explorer.evaluation.comparisons.base import COMPARISONS, Comparison
from explorer.evaluation.methods import Method
from explorer.evaluation.samples import EvalContext, Sample
from explorer.evaluation.tasks import Column
from explorer.imaging import fit_size
from explorer.upsamplers.streaming import averaged_back

FACTORS = (2, 4)


@COMPARISONS.register("reconstruction")
class Reconstruction(Comparison):
    """Features of a small photo, upsampled, against the backbone's of the large one; consistency.

    The small photo is the large one shrunk by 2 and by 4; the guidance is the large one. Cosine per
    cell, averaged; L2 as a share of the mean norm. Consistency: the large photo's features
    upsampled to the output size and averaged back to their grid.
    """

    name = "reconstruction"
    reads_once = True  # at the target's size nothing is left to reconstruct
    order = 10
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
