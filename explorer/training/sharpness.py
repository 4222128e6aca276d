"""Do an upsampler's weights stay on their side of edges? True label fractions, upsampled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch

from explorer.datasets import Dataset
from explorer.datasets.splits import subsample
from explorer.resources.feature_cache import FeatureCache
from explorer.training.labelled import LabelCase, label_case
from explorer.upsamplers import UPSAMPLERS


def label_cases(
    backbone, dataset: Dataset, photos: int, cache: FeatureCache, device: torch.device
) -> Iterator[LabelCase]:
    """Yield cases of the test split, longer side 448: ``photos`` of them, evenly spread."""
    for example in subsample(dataset.test, photos):
        yield label_case(dataset, example, backbone, cache, device)


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
    cases = label_cases(backbone, dataset, photos, cache, next(upsampler.parameters()).device)
    total = min(photos, len(dataset.test))
    found = label_retention(
        upsampler, cases, ("bilinear", "jbu"), lambda done: progress(done, total)
    )
    return {key: round(value, 4) for key, value in found.items()}


@torch.no_grad()
def label_retention(
    upsampler,
    cases: Iterable[LabelCase],
    beside: tuple[str, ...] = ("bilinear",),
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, float]:
    """Return the share of labels that an upsampler keeps and those kept by the methods ``beside``,
    averaged over ``labelled_photos``; nothing without photos. A map without a label does not count.
    """
    methods = {"labels": upsampler} | {f"labels_{n}": UPSAMPLERS.create(n) for n in beside}
    found: dict[str, list[float]] = {key: [] for key in methods}
    for number, case in enumerate(cases, 1):
        progress(number)
        if not case.shares.any():
            continue
        for key, method in methods.items():
            prepared = method.prepare(case.guidance, case.features, case.size)
            found[key].append(case.kept(prepared))
    seen = len(found["labels"])
    if not seen:
        return {}
    return {"labelled_photos": seen} | {key: sum(each) / seen for key, each in found.items()}
