"""AnyUp: one set of weights for every backbone, attention inside a window (arXiv 2510.12764)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from explorer.core.bibtex import arxiv
from explorer.upsamplers.base import UPSAMPLERS
from explorer.upsamplers.guided import GuidedAttention
from explorer.upsamplers.layers import ResBlock, encoder

CHUNK_BYTES = 4 * 2**20  # filter responses held at once by the feature-agnostic layer


class FeatureAgnostic(nn.Module):
    """Describe features of any channel count by M learned filters: (B, C, h, w) -> (B, M, h, w).

    Every channel meets every filter (zero padding, divided by the taps that lie inside the map).
    ``reading="paper"``: softmax over the filters, mean over the channels; channel order does not
    matter. ``reading="released"``: the (C, M) responses, flattened channel-major, are read as (M,
    C) before softmax and mean, as the published weights expect. Cells are taken a few at a time:
    their C times M responses never exist together.
    """

    def __init__(self, filters: int, kernel_size: int = 5, reading: str = "released"):
        super().__init__()
        if reading not in ("released", "paper"):
            raise ValueError(f"feature_layer is 'released' or 'paper', not {reading!r}")
        self.basis = nn.Parameter(torch.randn(filters, 1, kernel_size, kernel_size))
        nn.init.kaiming_uniform_(self.basis, a=5**0.5)
        self.reading = reading

    def responses(self, x: Tensor, start: int, stop: int) -> Tensor:
        """Return the responses of channels [start, stop): (B, stop - start, M, h, w)."""
        patches, taps = self._patches(x[:, start:stop])
        return (self.basis.flatten(1) @ patches / taps).unflatten(-1, x.shape[2:])

    def forward(self, x: Tensor) -> Tensor:
        """Return the description (B, M, h, w), non-negative and summing to one over M."""
        basis, (patches, taps) = self.basis.flatten(1), self._patches(x)
        step = max(1, CHUNK_BYTES // (x.shape[1] * len(basis) * x.element_size()))
        whole = []
        for one in patches:
            cells = zip(one.split(step, dim=2), taps.split(step), strict=True)
            parts = [self._describe(basis @ seen / count) for seen, count in cells]
            whole.append(torch.cat(parts, dim=1))
        return torch.stack(whole).unflatten(2, x.shape[2:])

    def _describe(self, found: Tensor) -> Tensor:
        """Return (M, n) of the responses (C, M, n) at some cells."""
        # Cells stay last: the description differs so little from cell to cell that another order
        # of summing it than the published code's shows in the features.
        if self.reading == "paper":
            return found.softmax(dim=1).mean(dim=0)
        channels, filters, cells = found.shape
        return found.view(filters, channels, cells).softmax(dim=0).mean(dim=1)

    def _patches(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what every filter sees (B, C, k k, h w), and how many taps are inside (h w,)."""
        size = self.basis.shape[-1]
        ones = x.new_ones(1, 1, *x.shape[2:])
        taps = F.conv2d(ones, x.new_ones(1, 1, size, size), padding=size // 2)
        patches = F.unfold(x.flatten(0, 1)[:, None], size, padding=size // 2)
        return patches.unflatten(0, x.shape[:2]), taps.flatten()


@UPSAMPLERS.register("anyup")
class AnyUp(GuidedAttention):
    """Window attention whose keys describe features of any backbone.

    ``prepare``: image (B, 3, H, W) in [0, 1], features (B, C, h, w) with h, w >= 2 and any C -> (B,
    C, H', W'), each output a weighted mean of the cells within ``window_ratio`` (a half-width, as a
    share of the side) of its position. 0 means no window. Source: arXiv 2510.12764; windows are
    those of its experiments, not its NATTEN variant's.

    ``window_cells`` is ours: no window is narrower than so many cells to each side. The published 0
    leaves a grid of 7x7 cells two or three cells to mix, which bounds x4 from a 112-px image.
    ``bilinear_heads`` and ``sigma_cells``: see GuidedAttention.
    """

    name = "anyup"
    title = "AnyUp"
    paper = "2510.12764"
    citation = arxiv(
        "wimmer2025anyup",
        "AnyUp: Universal Feature Upsampling",
        "Wimmer, Thomas and Truong, Prune and Rakotosaona, Marie-Julie and Oechsle, Michael "
        "and Tombari, Federico and Schiele, Bernt and Lenssen, Jan Eric",
        2025,
        paper,
    )
    order = 70
    adjustable_window = True
    min_grid = 2
    other_options = GuidedAttention.other_options | {
        "kernel_size_lfu": 3,
        "window_ratio": 0.3,
        "lfu_dim": 24,
        "feature_layer": "paper",
    }

    def __init__(
        self,
        input_dim: int = 3,
        qk_dim: int = 128,
        kernel_size: int = 1,
        kernel_size_lfu: int = 5,
        window_ratio: float = 0.1,
        num_heads: int = 4,
        lfu_dim: int | None = None,
        feature_layer: str = "released",
        window_cells: float = 0.0,
        bilinear_heads: int = 0,
        sigma_cells: float = 0.0,
    ):
        super().__init__(
            input_dim,
            qk_dim,
            kernel_size,
            num_heads,
            ResBlock,
            bilinear_heads=bilinear_heads,
            sigma_cells=sigma_cells,
        )
        filters = qk_dim if lfu_dim is None else lfu_dim
        self.key_features_encoder = nn.Sequential(
            FeatureAgnostic(filters, kernel_size_lfu, feature_layer),
            ResBlock(filters, qk_dim),
            ResBlock(qk_dim, qk_dim),
        )
        self.aggregation = encoder(2 * qk_dim, qk_dim, 3)
        self.window_ratio, self.window_cells = window_ratio, window_cells

    def encode_keys(self, seen: Tensor, features: Tensor) -> Tensor:
        """Join the pooled image code with the features' description: (B, d, h, w)."""
        described = self.key_features_encoder(F.normalize(features, dim=1))
        return self.aggregation(torch.cat([seen, described], dim=1))

    def half_width(self, cells: int) -> float:
        """Return ``window_ratio``, or the share of the axis that ``window_cells`` are."""
        if self.window_ratio <= 0:
            return 0.0
        return max(self.window_ratio, self.window_cells / cells)

    def remark(self) -> str:
        """Name the window."""
        least = f", at least {self.window_cells:g} cells" if self.window_cells else ""
        window = f"window ±{self.window_ratio:g}{least}" if self.window_ratio > 0 else "no window"
        return ", ".join(part for part in (window, super().remark()) if part)
