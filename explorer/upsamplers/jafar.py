"""JAFAR: global attention with feature-modulated keys, one set of weights per backbone (arXiv
2506.11136).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from explorer.core import SizeError
from explorer.core.bibtex import arxiv
from explorer.upsamplers.base import UPSAMPLERS
from explorer.upsamplers.guided import GuidedAttention
from explorer.upsamplers.layers import NamedResBlock, encoder


class FeatureModulation(nn.Module):
    """Spatial feature transform: scale and shift the normalised keys by what the features say at
    each cell.
    """

    def __init__(self, dim: int, groups: int = 8):
        super().__init__()
        self.gamma = nn.Conv2d(dim, dim, 1, bias=False)
        self.beta = nn.Conv2d(dim, dim, 1, bias=False)
        self.norm = nn.GroupNorm(groups, dim, affine=False)

    def forward(self, keys: Tensor, described: Tensor) -> Tensor:
        """Return gamma * norm(keys) + beta, all (B, d, h, w)."""
        return self.gamma(described) * self.norm(keys) + self.beta(described)


@UPSAMPLERS.register("jafar")
class JAFAR(GuidedAttention):
    """Global attention from every pixel to every coarse cell, keys modulated by the features.

    ``prepare``: image (B, 3, H, W) in [0, 1], features (B, v_dim, h, w) -> (B, v_dim, H', W'), each
    output a weighted mean of all cells. Source: arXiv 2506.11136. Published weights expect the
    backbone's image statistics. ``bilinear_heads`` and ``sigma_cells``: see GuidedAttention.
    """

    name = "jafar"
    title = "JAFAR"
    paper = "2506.11136"
    citation = arxiv(
        "couairon2025jafar",
        "JAFAR: Jack up Any Feature at Any Resolution",
        "Couairon, Paul and Chambon, Loick and Serrano, Louis and Haugeard, Jean-Emmanuel and "
        "Cord, Matthieu and Thome, Nicolas",
        2025,
        paper,
        "Advances in Neural Information Processing Systems (NeurIPS)",
    )
    order = 60
    agnostic = False

    def __init__(
        self,
        input_dim: int = 3,
        qk_dim: int = 128,
        v_dim: int = 384,
        feature_dim: int | None = None,
        kernel_size: int = 1,
        num_heads: int = 4,
        bilinear_heads: int = 0,
        sigma_cells: float = 0.0,
    ):
        # torch's attention keeps separate projections if the value width differs, as checkpoints do
        super().__init__(
            input_dim,
            qk_dim,
            kernel_size,
            num_heads,
            NamedResBlock,
            v_dim,
            bilinear_heads,
            sigma_cells,
        )
        self.v_dim = v_dim
        self.key_features_encoder = encoder(
            v_dim if feature_dim is None else feature_dim, qk_dim, 1, NamedResBlock
        )
        self.sft_key = FeatureModulation(qk_dim)
        self.norm_query = nn.GroupNorm(8, qk_dim, affine=False)

    @classmethod
    def options_for(cls, channels: int) -> dict[str, Any]:
        """JAFAR is built for one channel count."""
        return {"v_dim": channels}

    def query_norm(self) -> nn.GroupNorm:
        """Normalise the pooled query code."""
        return self.norm_query

    def encode_keys(self, seen: Tensor, features: Tensor) -> Tensor:
        """Modulate the pooled image code by the features: (B, d, h, w)."""
        return self.sft_key(seen, self.key_features_encoder(F.normalize(features, dim=1)))

    def _check_features(self, values: Tensor) -> None:
        super()._check_features(values)
        if values.shape[1] != self.v_dim:
            raise SizeError(
                f"this JAFAR was built for {self.v_dim} channels, the features have "
                f"{values.shape[1]}; "
                "load the weights of that backbone and stage"
            )
