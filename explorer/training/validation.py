"""How close upsampled features come to the backbone's own features of the larger image, on
held-out photos.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from explorer.core import ImageError
from explorer.imaging import center_crop_square, open_photo, resize
from explorer.resources.feature_cache import FeatureCache, cached_features
from explorer.training.recipe import ALIGN

SIDE = 448
FACTORS = (2, 4)


@dataclass(frozen=True)
class Case:
    """One held-out photo: guidance (1, 3, G, G), target and the inputs by factor."""

    guidance: Tensor
    target: Tensor
    inputs: dict[int, Tensor]


def cases(
    paths: list[Path],
    backbone,
    cache: FeatureCache,
    device: torch.device,
    guidance: int = SIDE,
):
    """Yield a Case per readable photo: centre-cropped, 448-px target, 224- and 112-px inputs.

    ``guidance`` is the side of the guidance image in pixels.
    """
    for path in paths:
        try:
            photo = open_photo(path)
        except ImageError:
            continue
        square = center_crop_square(photo, SIDE).to(device)

        def features(side: int, photo=photo):
            return cached_features(
                cache,
                backbone,
                f"{photo.digest}:validation:{side}",
                lambda: center_crop_square(photo, side).to(device),
                ALIGN,
            ).to(device)

        yield Case(
            square if guidance == SIDE else resize(square, (guidance, guidance)),
            features(SIDE),
            {f: features(SIDE // f) for f in FACTORS},
        )


@torch.no_grad()
def score(upsampler, case: Case) -> dict[int, float]:
    """Return the mean cosine of upsampled and own features, by factor."""
    size = tuple(case.target.shape[-2:])
    return {
        factor: cosine(upsampler(case.guidance, given, size), case.target)
        for factor, given in case.inputs.items()
    }


def cosine(made: Tensor, target: Tensor) -> float:
    """Return the cosine of two maps (B, C, H, W), averaged over positions."""
    return F.cosine_similarity(made, target, dim=1).mean().item()


@torch.enable_grad()
def ceiling(case: Case, factor: int, reach: int = 5, steps: int = 60) -> float:
    """Return the cosine of the best convex combination of the nearest ``reach`` x ``reach`` cells,
    per position.

    Found by gradient ascent on softmax weights: what no convex method with that reach can exceed
    (up to the optimiser's remainder). The cosine of a mix needs only the cells' products with the
    target and with each other, so channels are summed once.
    """
    values, target = case.inputs[factor], case.target
    height, width = target.shape[-2:]
    grid = values.shape[-2:]
    rows = _near(height, grid[0], reach, values.device)  # (H, n)
    cols = _near(width, grid[1], reach, values.device)
    cells = values[0][:, rows[:, None, :, None], cols[None, :, None, :]].flatten(3)
    unit = F.normalize(target[0], dim=0)
    toward = torch.einsum("chwn,chw->hwn", cells, unit)
    gram = torch.einsum("chwn,chwm->hwnm", cells, cells)
    weights = (toward / gram.diagonal(dim1=2, dim2=3).sqrt() * 20).detach().requires_grad_()
    optimiser = torch.optim.Adam([weights], lr=0.3)
    best = -1.0
    for _ in range(steps):
        mix = weights.softmax(dim=-1)
        length = torch.einsum("hwn,hwnm,hwm->hw", mix, gram, mix).clamp(min=1e-12).sqrt()
        found = ((mix * toward).sum(dim=-1) / length).mean()
        best = max(best, found.item())
        optimiser.zero_grad()
        (-found * height * width).backward()
        optimiser.step()
    return best


def _near(outputs: int, cells: int, reach: int, device: torch.device) -> Tensor:
    """Return the ``reach`` cells nearest to each output position along one axis, shifted inwards
    at borders.
    """
    centre = ((torch.arange(outputs, device=device) + 0.5) * cells / outputs).floor().long()
    start = (centre - reach // 2).clamp(0, max(0, cells - reach))
    return start[:, None] + torch.arange(min(reach, cells), device=device)


def summary(found: list[dict[int, float]], baseline: list[dict[int, float]]) -> dict[str, float]:
    """Return means, gains over the baseline and the share of photos won, by factor."""
    out = {}
    for factor in FACTORS:
        mine = torch.tensor([row[factor] for row in found])
        theirs = torch.tensor([row[factor] for row in baseline])
        out[f"cosine_x{factor}"] = mine.mean().item()
        out[f"bilinear_x{factor}"] = theirs.mean().item()
        out[f"gain_x{factor}"] = (mine - theirs).mean().item()
        out[f"wins_x{factor}"] = (mine > theirs).float().mean().item()
    return out
