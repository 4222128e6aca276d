"""Segments of a photo by colour and place, and of its features: both stand in for labels nobody has
drawn.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from explorer.imaging.color import rgb_to_oklab

PLACE = 0.8  # OKLab distance that one whole image side counts for


def segments(photo: Tensor, count: int, seed: int) -> Tensor:
    """Return which of ``count`` segments each pixel belongs to: k-means over OKLab colour and
    position, as superpixels are made, but large enough to cross several cells.

    Args:
        photo: (3, H, W), sRGB in [0, 1].
        count: number of segments.
        seed: of the first centres.

    Returns:
        (H, W) integers from 0, on the photo's device.
    """
    from sklearn.cluster import MiniBatchKMeans  # slow to import

    height, width = photo.shape[-2:]
    colour = rgb_to_oklab(255 * photo.permute(1, 2, 0).cpu().double().numpy())
    rows, cols = np.mgrid[:height, :width] * (PLACE / max(height, width))
    points = np.concatenate([colour, rows[..., None], cols[..., None]], axis=2).reshape(-1, 5)
    fitted = MiniBatchKMeans(count, n_init=1, batch_size=2048, max_iter=5, random_state=seed)
    found = fitted.fit_predict(points).reshape(height, width)
    return torch.from_numpy(found).long().to(photo.device)


def clusters(features: Tensor, count: int, seed: int) -> Tensor:
    """Return which of ``count`` clusters each cell's direction belongs to: spherical k-means.

    Args:
        features: (C, h, w), at least ``count`` cells.
        count: the most clusters there may be.
        seed: of the first centres.

    Returns:
        (h, w) integers from 0, on the features' device.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    points = F.normalize(features.detach(), dim=0).flatten(1).T.cpu().double().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct cells than clusters
        found = KMeans(count, n_init=1, random_state=seed).fit_predict(points)
    return torch.from_numpy(found).long().view(features.shape[-2:]).to(features.device)


def interior(members: Tensor) -> Tensor:
    """Return where a one-hot map (B, K, h, w) agrees with the 3x3 around it: (B, h, w), 1 or 0.

    The border counts as continued outside.
    """
    padded = F.pad(members, (1, 1, 1, 1), mode="replicate")
    return -F.max_pool2d(-padded, 3, stride=1).amin(dim=1)
