"""All channels of a resampler, in bands of rows that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from explorer.resources.memory import tile_bytes
from explorer.resources.request_context import check_time
from explorer.upsamplers.resampler import Resampler
from explorer.upsamplers.windows import pooling_shares

BAND_BYTES = 128 * 2**20  # upsampled features held at once


def row_bands(resampler: Resampler) -> Iterator[tuple[int, int]]:
    """Yield the row ranges in which all channels can be read within BAND_BYTES, while there is
    time.
    """
    height, width = resampler.output_size
    batch, channels = resampler.values.shape[:2]
    band = max(1, tile_bytes(BAND_BYTES) // (batch * channels * width * 4))
    for start in range(0, height, band):
        check_time()
        yield start, min(start + band, height)


def averaged_back(resampler: Resampler) -> Tensor:
    """Return upsampled features averaged over each coarse cell, (B, C, h, w).

    The result of adaptive average pooling of all channels, of which only a band of rows exists at
    any time.
    """
    grid = resampler.grid
    total = torch.zeros_like(resampler.values)
    shares = pooling_shares(grid[0], resampler.output_size[0]).to(total)  # (h, H')
    for start, stop in row_bands(resampler):
        band = resampler.features((start, stop))
        band = F.adaptive_avg_pool2d(band, (stop - start, grid[1]))  # (B, C, rows, w)
        total += torch.einsum("ir,bcrj->bcij", shares[:, start:stop], band)
    return total
