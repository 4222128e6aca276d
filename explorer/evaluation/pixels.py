"""Which pixels a probe learns from: few enough to keep, weighted so that they stand for all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

BOUNDARY_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class Pixels:
    """``rows``, ``cols`` (N,) int64 and ``weights`` (N,) whose mean is 1 in expectation."""

    rows: Tensor
    cols: Tensor
    weights: Tensor

    @property
    def digest(self) -> str:
        """Identifies the choice in cache keys."""
        joined = torch.stack([self.rows, self.cols]).numpy().tobytes()
        return hashlib.sha256(joined).hexdigest()[:24]


def choose_pixels(
    valid: Tensor, band: Tensor, count: int, seed: str, boundary_share: float = BOUNDARY_SHARE
) -> Pixels | None:
    """Draw ``count`` valid pixels with replacement, ``boundary_share`` of them from the edge band.

    Each pixel's weight is the inverse of how much likelier it was drawn than by chance, so the
    weighted mean of a loss over the drawn pixels estimates its mean over all valid ones without
    bias, with less noise at the boundaries.

    Args:
        valid: (H, W) bool, pixels whose truth is known.
        band: (H, W) bool, pixels near an edge.
        count: how many.
        seed: the same text gives the same pixels.
        boundary_share: 0..1; 0 draws uniformly.

    Returns:
        None if no pixel is valid.
    """
    places = valid.flatten().nonzero().flatten()
    if not len(places):
        return None
    at_edge = (band & valid).flatten()[places]
    edge_places = places[at_edge]
    share = boundary_share if len(edge_places) else 0.0
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big") >> 1
    draw = torch.Generator().manual_seed(number)
    near = torch.rand(count, generator=draw) < share
    anywhere = places[torch.randint(len(places), (count,), generator=draw)]
    edges = edge_places if len(edge_places) else places
    beside = edges[torch.randint(len(edges), (count,), generator=draw)]
    chosen = torch.where(near, beside, anywhere)
    uniform = 1 / len(places)
    likelihood = torch.full((count,), (1 - share) * uniform)
    if share:
        likelihood += at_edge[torch.searchsorted(places, chosen)] * share / len(edge_places)
    width = valid.shape[1]
    return Pixels(chosen // width, chosen % width, (uniform / likelihood).float())
