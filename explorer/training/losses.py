"""What the published recipes minimise."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def feature_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Return cosine distance plus range-scaled MSE of two (B, C, h, w) maps (2506.11136,
    2510.12764).

    Both vectors of a position are scaled by the *target vector's* minimum and maximum over
    channels.
    """
    cosine = 1 - F.cosine_similarity(predicted, target, dim=1)
    low = target.amin(dim=1, keepdim=True)
    span = target.amax(dim=1, keepdim=True) - low + 1e-6
    scaled = ((predicted - low) / span - (target - low) / span).square()
    return cosine.mean() + scaled.mean()


def uncertain_loss(predicted: Tensor, target: Tensor, log_scale: Tensor) -> Tensor:
    """Return the squared error scaled by a predicted uncertainty, (B, 1, h, w) of log scales
    (2403.10516).
    """
    squared = (predicted - target).square().mean(dim=1, keepdim=True)
    return (squared / (2 * log_scale.exp()) + 0.5 * log_scale).mean()


def lead_loss(carried: Tensor, shares: Tensor, lead: float = 0.05, sharpness: float = 20) -> Tensor:
    """Return by how much the right label's carried share falls short of leading the others.

    Args:
        carried: (B, K, H, W) shares of labels that an upsampler's weights brought to the pixels.
        shares: (B, K, H, W) of what is there. Only pixels of which one label holds more than half
            count.
        lead: how far the right label should be ahead.
        sharpness: of the bend from no loss to one that grows with what is missing.
    """
    sure = shares > 0.5
    right = (carried * sure).sum(dim=1)
    known = sure.any(dim=1)
    other = carried.masked_fill(sure, float("-inf")).amax(dim=1)
    missing = F.softplus((other - right + lead) * sharpness) / sharpness
    return (missing * known).sum() / known.sum().clamp_min(1)


class CRFLoss(torch.nn.Module):
    """Contrastive pairwise energy of sampled positions: alike and near pixels should have like
    features.

    As FeatUp uses it (2403.10516): weight = w1 exp(-|x|^2/2a - |c|^2/2b) + w2 exp(-|x|^2/2g) -
    shift, with positions in [-1, 1], colours as given, times minus the cosine similarity of the
    features.
    """

    def __init__(
        self,
        samples: int = 1000,
        alpha: float = 0.1,
        beta: float = 0.15,
        gamma: float = 0.005,
        w1: float = 10.0,
        w2: float = 3.0,
        shift: float = 0.0,
    ):
        super().__init__()
        self.samples, self.alpha, self.beta, self.gamma = samples, alpha, beta, gamma
        self.w1, self.w2, self.shift = w1, w2, shift

    def forward(self, guidance: Tensor, features: Tensor, generator: torch.Generator) -> Tensor:
        """Return the energy of ``samples`` random positions of (B, 3, H, W) and (B, K, H, W)."""
        height, width = guidance.shape[-2:]
        rows = torch.randint(height, (self.samples,), generator=generator)
        cols = torch.randint(width, (self.samples,), generator=generator)
        place = torch.stack([rows / height, cols / width]).to(guidance) * 2 - 1  # (2, n)
        far = (place[:, :, None] - place[:, None, :]).square().sum(dim=0)
        colour = guidance[:, :, rows, cols]
        differ = (colour[..., :, None] - colour[..., None, :]).square().sum(dim=1)
        near = self.w1 * torch.exp(-far / (2 * self.alpha) - differ / (2 * self.beta))
        near = near + self.w2 * torch.exp(-far / (2 * self.gamma)) - self.shift
        unit = F.normalize(features[:, :, rows, cols], dim=1)
        alike = torch.einsum("bkm,bkn->bmn", unit, unit)
        return -(alike * near).mean()
