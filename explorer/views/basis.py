"""The PCA basis and colour scale that all methods of a backbone share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from explorer.core import ExplorerError


@dataclass(frozen=True, eq=False)
class Basis:
    """Principal components of coarse features: ``weight`` (K, C), ``mean`` (C,), explained
    variance ratio (K,).

    Signs are fixed: the loading of largest magnitude in each component is positive.
    """

    weight: Tensor
    mean: Tensor
    explained: Tensor
    cells: int

    @property
    def bias(self) -> Tensor:
        """What is added after projecting: minus the projected mean, (K,)."""
        return -self.weight @ self.mean

    def nbytes(self) -> int:
        """Return the bytes held."""
        return 4 * (self.weight.numel() + self.mean.numel() + self.explained.numel())


def fit(maps: list[Tensor], components: int = 12) -> Basis:
    """Fit a basis on the cells of one or more (B, C, h, w) maps; exact and deterministic.

    Raises:
        ExplorerError: fewer than two cells.
    """
    cells = torch.cat([m.permute(0, 2, 3, 1).reshape(-1, m.shape[1]) for m in maps])
    if len(cells) < 2:
        raise ExplorerError("a PCA needs at least two coarse cells; use a larger input size")
    cells = cells.double().cpu()  # mps has no float64, and the coarse grid is small
    mean = cells.mean(dim=0)
    centred = cells - mean
    covariance = centred.T @ centred / (len(cells) - 1)
    values, vectors = torch.linalg.eigh(covariance)
    order = torch.arange(len(values) - 1, -1, -1)[:components]
    weight = vectors.T[order]
    largest = weight.gather(1, weight.abs().argmax(dim=1, keepdim=True))
    weight = weight * torch.where(largest < 0, -1.0, 1.0)
    total = values.clamp(min=0).sum()
    explained = values[order].clamp(min=0) / total if total > 0 else torch.zeros(len(order))
    device = maps[0].device
    return Basis(weight.float().to(device), mean.float().to(device), explained.float(), len(cells))


def project(basis: Basis, data: Tensor) -> Tensor:
    """Return the components of (B, C, h, w) cells, (B, K, h, w)."""
    return (basis.weight @ data.flatten(2) + basis.bias[:, None]).unflatten(2, data.shape[-2:])


@dataclass(frozen=True)
class Scale:
    """Lower and upper value per colour channel; what lies outside is clipped."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def robust(cls, projected: Tensor, percentile: float) -> Scale:
        """Take the given lower and upper percentile of (B, 3, h, w) per channel."""
        flat = projected.transpose(0, 1).flatten(1).float().cpu().numpy()
        low, high = np.percentile(flat, (percentile, 100 - percentile), axis=1)
        return cls(tuple(low.tolist()), tuple(high.tolist()))

    def paint(self, projected: Tensor) -> np.ndarray:
        """Return (H, W, 3) uint8 colours of a (3, H, W) map."""
        low = torch.tensor(self.low, device=projected.device)[:, None, None]
        high = torch.tensor(self.high, device=projected.device)[:, None, None]
        span = (high - low).clamp(min=1e-12)
        flat = high - low <= 1e-12
        colours = torch.where(flat, torch.full_like(projected, 0.5), (projected - low) / span)
        return colours.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
