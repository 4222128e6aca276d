"""Do an upsampler's weights stay on their side of edges? True label fractions, upsampled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from explorer.datasets import Dataset
from explorer.datasets.maps import IGNORE, nearest
from explorer.datasets.splits import thin
from explorer.feature_cache import FeatureCache, cached_features
from explorer.image import fit_size
from explorer.upsamplers import UPSAMPLERS, LinearResampler

SIDE = 448


@dataclass(frozen=True)
class LabelCase:
    """A labelled photo as an upsampler sees it.

    ``guidance`` (1, 3, H, W); ``features`` (1, C, h, w); ``cells`` (1, K, h, w), the share of each
    label in every coarse cell; ``truth`` (H, W) label ids, of which ``known`` (H, W) are labelled.
    """

    guidance: Tensor
    features: Tensor
    cells: Tensor
    truth: Tensor
    known: Tensor

    def kept(self, resampler: LinearResampler) -> float:
        """Return the share of known pixels whose label is the largest of the shares carried."""
        carried = resampler.apply(self.cells)[0].argmax(dim=0)
        return (carried == self.truth)[self.known].float().mean().item()


@torch.no_grad()
def label_cases(
    backbone, dataset: Dataset, photos: int, cache: FeatureCache, device: torch.device
) -> Iterator[LabelCase]:
    """Yield cases of the test split, longer side 448: ``photos`` of them, evenly spread."""
    classes = len(dataset.classes)
    for example in thin(dataset.test, photos):
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
        yield LabelCase(photo.tensor(size, device), features, cells, truth, known)


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
    methods = {"labels": upsampler}
    methods |= {f"labels_{name}": UPSAMPLERS.create(name) for name in ("bilinear", "jbu")}
    found: dict[str, list[float]] = {key: [] for key in methods}
    device = next(upsampler.parameters()).device
    for case in label_cases(backbone, dataset, photos, cache, device):
        size = tuple(case.truth.shape)
        for key, method in methods.items():
            found[key].append(case.kept(method.prepare(case.guidance, case.features, size)))
        progress(len(found["labels"]), min(photos, len(dataset.test)))
    means = {key: round(sum(each) / len(each), 4) for key, each in found.items()}
    return {"labelled_photos": len(found["labels"])} | means
