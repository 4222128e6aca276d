"""The metrics, each a function of sums that add up over images: splits, processes and bootstrap
samples can be put together.

Sums are float64 or int64 arrays whose last axes hold what one image contributes; scores take any
leading axes. A score that nothing was measured for is NaN, never 0.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

IGNORE = 255
BOUNDARY_RADIUS = 3
DEPTH_JUMP = 1.1  # neighbours whose depths differ by more than this factor are an edge
ANGLES = (11.25, 22.5, 30.0)
DEPTH_FIELDS = ("pixels", "squared", "relative", "close")
DEPTH_GROUPS = ("absolute", "aligned", "edges", "aligned_edges")


def label_edges(labels: Tensor) -> Tensor:
    """Return where the value of a map (H, W) differs from one of its four neighbours, (H, W) bool.

    A change to the ignored value counts: unlabelled pixels are often the gap between two objects.
    """
    edges = torch.zeros_like(labels, dtype=torch.bool)
    rows, cols = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edges[1:] |= rows
    edges[:-1] |= rows
    edges[:, 1:] |= cols
    edges[:, :-1] |= cols
    return edges


def depth_edges(depth: Tensor, valid: Tensor) -> Tensor:
    """Return where valid depths (H, W) jump by more than DEPTH_JUMP between neighbours."""
    log = depth.clamp(min=1e-6).log()
    edges = torch.zeros_like(valid)
    for axis in (0, 1):
        last = log.shape[axis] - 1
        far = (log.narrow(axis, 0, last) - log.narrow(axis, 1, last)).abs() > np.log(DEPTH_JUMP)
        jump = far & valid.narrow(axis, 0, last) & valid.narrow(axis, 1, last)
        edges.narrow(axis, 0, last).logical_or_(jump)
        edges.narrow(axis, 1, last).logical_or_(jump)
    return edges


def near(mask: Tensor, radius: int = BOUNDARY_RADIUS) -> Tensor:
    """Return the pixels at most ``radius`` (Euclidean) from a true pixel of ``mask`` (H, W)."""
    axis = torch.arange(-radius, radius + 1, device=mask.device)
    disc = (axis[:, None] ** 2 + axis[None, :] ** 2 <= radius**2).float()[None, None]
    found = torch.nn.functional.conv2d(mask[None, None].float(), disc, padding=radius)
    return found[0, 0] > 0.5


# --- segmentation ---


def confusion(
    predicted: Tensor, target: Tensor, classes: int, mask: Tensor | None = None
) -> np.ndarray:
    """Count (target, predicted) pairs over labelled pixels: (classes, classes) int64.

    Args:
        predicted: (H, W) class numbers.
        target: (H, W) class numbers; IGNORE is left out.
        classes: how many classes there are.
        mask: (H, W) bool; only these pixels count.
    """
    counted = target != IGNORE if mask is None else mask & (target != IGNORE)
    pairs = target[counted].long() * classes + predicted[counted].long()
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes).cpu().numpy()


def class_iou(counts: np.ndarray) -> np.ndarray:
    """Return the intersection over union per class (..., K) of confusions (..., K, K) in 0..1.

    A class that the ground truth lacks is NaN, even if it was predicted; those predictions still
    count against the classes they cover.
    """
    hit = np.diagonal(counts, axis1=-2, axis2=-1).astype(float)
    truth, found = counts.sum(axis=-1), counts.sum(axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(truth > 0, hit / (truth + found - hit), np.nan)


def mean_iou(counts: np.ndarray) -> np.ndarray:
    """Return the mean of `class_iou` over the classes that the ground truth has."""
    found = class_iou(counts)
    present = ~np.isnan(found)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(present, found, 0).sum(axis=-1) / present.sum(axis=-1)


def pixel_accuracy(counts: np.ndarray) -> np.ndarray:
    """Return the share of labelled pixels that are right."""
    return _ratio(np.trace(counts, axis1=-2, axis2=-1), counts.sum(axis=(-2, -1)))


# --- depth ---


def depth_sums(predicted: Tensor, target: Tensor, valid: Tensor, edge: Tensor) -> np.ndarray:
    """Return one image's depth sums, (groups, fields): DEPTH_GROUPS by DEPTH_FIELDS.

    ``predicted`` and ``target`` are (H, W) metres; only ``valid`` pixels count, in the "edges"
    groups only those that are in ``edge`` too. Aligned means multiplied by the ratio of the medians
    over the valid pixels. ``close`` counts pixels whose ratio to the truth, either way, is below
    1.25 (delta1).
    """
    sums = np.zeros((len(DEPTH_GROUPS), len(DEPTH_FIELDS)))
    if not valid.any():
        return sums
    guess, truth = predicted[valid].double(), target[valid].double()
    at_edge = edge[valid]
    scale = np.median(truth.cpu().numpy()) / np.median(guess.cpu().numpy())
    for group, found in ((0, guess), (1, guess * scale)):
        error = found - truth
        ratio = torch.maximum(found / truth, truth / found)
        fields = (torch.ones_like(error), error.square(), error.abs() / truth, ratio < 1.25)
        for field, values in enumerate(fields):
            sums[group, field] = values.double().sum().item()
            sums[group + 2, field] = values[at_edge].double().sum().item()
    return sums


def depth_scores(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Return RMSE in metres, abs-rel and delta1 (0..1) of all pixels, absolute, aligned, at edges.

    Published tables often average per-image RMSE instead, which is lower.
    """
    count, squared, relative, close = np.moveaxis(sums, -1, 0)
    rmse, rel, delta = (
        np.sqrt(_ratio(squared, count)),
        _ratio(relative, count),
        _ratio(close, count),
    )
    return {
        "rmse": rmse[..., 0],
        "abs_rel": rel[..., 0],
        "delta1": delta[..., 0],
        "edge_delta1": delta[..., 2],
        "aligned_rmse": rmse[..., 1],
        "aligned_abs_rel": rel[..., 1],
        "aligned_delta1": delta[..., 1],
        "aligned_edge_delta1": delta[..., 3],
    }


# --- normals ---


def angles(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the angle between unit vectors (3, ...) in degrees, (...)."""
    one, other = predicted.double(), target.double()
    cross = torch.linalg.cross(one, other, dim=0).norm(dim=0)
    return torch.rad2deg(torch.atan2(cross, (one * other).sum(dim=0)))


def normal_sums(predicted: Tensor, target: Tensor, valid: Tensor) -> np.ndarray:
    """Return one image's (6,) sums: pixels, degrees, their squares, pixels within each ANGLE."""
    found = angles(predicted[:, valid], target[:, valid])
    within = [(found < limit).sum().item() for limit in ANGLES]
    return np.array(
        [found.numel(), found.sum().item(), found.square().sum().item(), *within], float
    )


def normal_scores(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Return mean and RMSE angle in degrees and the shares (0..1) within each of ANGLES degrees."""
    count = sums[..., 0]
    scores = {
        "mean_angle": _ratio(sums[..., 1], count),
        "rmse_angle": np.sqrt(_ratio(sums[..., 2], count)),
    }
    for place, limit in enumerate(ANGLES, 3):
        scores[f"within_{limit:g}"] = _ratio(sums[..., place], count)
    return scores


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    top, bottom = np.asarray(top, float), np.asarray(bottom, float)
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)
