"""Do an upsampler's weights stay on their side of edges? True label fractions, upsampled."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F

from explorer.datasets import Dataset
from explorer.datasets.maps import IGNORE, nearest
from explorer.datasets.splits import thin
from explorer.feature_cache import FeatureCache, cached_features
from explorer.image import fit_size
from explorer.upsamplers import UPSAMPLERS

SIDE = 448


@torch.no_grad()
def label_scores(
    upsampler,
    backbone,
    dataset: Dataset,
    photos: int,
    cache: FeatureCache,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, float]:
    """Return the share of pixels whose label survives: the method's, bilinear's, and the joint
    bilateral filter's, which shows what sharpening by colour alone costs.

    Every coarse cell gets the share of each label inside it; the method's weights carry these to
    the pixels of the photo (longer side 448), where the largest share must be the true label. A
    method that smooths more than bilinear does loses here, whatever features it was trained on.
    ``photos`` of the test split are taken, evenly spread; each counts alike.
    """
    device = next(upsampler.parameters()).device
    classes = len(dataset.classes)
    methods = {"labels": upsampler}
    methods |= {f"labels_{name}": UPSAMPLERS.create(name) for name in ("bilinear", "jbu")}
    examples = thin(dataset.test, photos)
    found = dict.fromkeys(methods, 0.0)
    for number, example in enumerate(examples):
        photo = example.photo()
        size = fit_size(photo.size, SIDE)
        grid = fit_size(photo.size, SIDE, backbone.stride)
        features = cached_features(
            cache,
            backbone,
            f"{photo.digest}:{grid}",
            lambda photo=photo, grid=grid: photo.tensor(grid, device),
        ).to(device)
        truth = nearest(dataset.read(example, photo), size).long().to(device)
        known = truth != IGNORE
        shares = F.one_hot(truth.where(known, classes), classes + 1)[..., :classes]
        cells = F.adaptive_avg_pool2d(shares.permute(2, 0, 1)[None].float(), features.shape[-2:])
        guidance = photo.tensor(size, device)
        for key, method in methods.items():
            carried = method.prepare(guidance, features, size).apply(cells)[0].argmax(dim=0)
            found[key] += (carried == truth)[known].float().mean().item() / len(examples)
        progress(number + 1, len(examples))
    return {"labelled_photos": len(examples)} | {k: round(v, 4) for k, v in found.items()}
