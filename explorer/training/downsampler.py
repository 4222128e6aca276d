"""FeatUp's learned attention downsampler, on projected features (arXiv 2403.10516)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import gaussian_blur


class AttentionDownsampler(nn.Module):
    """Bring high-resolution features to the grid: a softmax over each k x k patch, after a blur.

    The attention logit of a pixel is a 1x1 projection of its features, so it is carried as one more
    channel (the last) through whatever linear map made them.
    """

    def __init__(self, channels: int, kernel_size: int, dropout: float = 0.2):
        super().__init__()
        self.kernel_size, self.dropout = kernel_size, dropout
        self.score = nn.Conv2d(channels, 1, 1)
        self.scale = nn.Parameter(1 + 0.01 * torch.randn(kernel_size, kernel_size))
        self.shift = nn.Parameter(0.01 * torch.randn(kernel_size, kernel_size))

    def logits(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the (1, C) projection and (1,) bias of the logit, with dropped channels while
        training.
        """
        weight = self.score.weight[:, :, 0, 0]
        if self.training:
            keep = torch.rand(weight.shape, generator=generator) > self.dropout
            weight = weight * keep.to(weight) / (1 - self.dropout)
        return weight, self.score.bias

    def forward(self, carried: Tensor) -> Tensor:
        """Return (B, K, H/k, W/k) from (B, K + 1, H, W), whose last channel is the logit."""
        k = self.kernel_size
        blurred = gaussian_blur(carried, [5, 5], [1.0, 1.0])
        tiles = blurred.unflatten(3, (-1, k)).unflatten(2, (-1, k))  # (B, K+1, h, k, w, k)
        tiles = tiles.permute(0, 1, 2, 4, 3, 5)  # (B, K+1, h, w, k, k)
        scores = tiles[:, -1] * self.scale + self.shift
        weights = scores.flatten(3).softmax(dim=3).view_as(scores)
        return (tiles[:, :-1] * weights[:, None]).sum(dim=(4, 5))
