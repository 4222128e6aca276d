"""Segments of a photo by colour and place, to stand in for labels nobody has drawn."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from explorer.oklab import rgb_to_oklab

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
