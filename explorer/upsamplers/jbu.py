"""Joint bilateral upsampling with fixed sigmas (Kopf et al. 2007): the training-free guided
baseline.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from explorer.core.bibtex import entry
from explorer.resources.memory import tile_bytes
from explorer.upsamplers.base import UPSAMPLERS, LinearResampler, Rows, Upsampler
from explorer.upsamplers.cost import MethodCost

BAND_BYTES = 48 * 2**20


class BilateralResampler(LinearResampler):
    """Normalised spatial times range weights of the (2r+1)^2 cells around each output pixel."""

    def __init__(
        self,
        values: Tensor,
        guidance: Tensor,
        coarse: Tensor,
        radius: int,
        sigma_spatial: float,
        sigma_range: float,
    ):
        self.values, self.guidance, self.coarse = values, guidance, coarse
        self.output_size = tuple(guidance.shape[-2:])
        self.radius, self.sigma_spatial, self.sigma_range = radius, sigma_spatial, sigma_range

    def apply(self, values: Tensor, rows: Rows = None) -> Tensor:
        """Carry (B, K, h, w) through the filter in bands of rows."""
        start, stop = self.check_rows(rows)
        batch, channels = values.shape[:2]
        taps = (2 * self.radius + 1) ** 2
        width = self.output_size[1]
        band = max(1, tile_bytes(BAND_BYTES) // (batch * width * (taps + 2 * channels) * 4))
        parts = []
        for first in range(start, stop, band):
            span = (first, min(first + band, stop))
            weights, row_cells, col_cells = self._weights(span)
            total = None
            for tap, (i, j) in enumerate(self._offsets()):
                picked = values[:, :, row_cells[i]][:, :, :, col_cells[j]]
                part = picked * weights[:, tap : tap + 1]
                total = part if total is None else total + part
            parts.append(total)
        return torch.cat(parts, dim=2)

    def sample(self, rows: Tensor, cols: Tensor) -> Tensor:
        """Return all channels at single output pixels, (B, N, C)."""
        row_cells, row_far = (part[:, rows] for part in self._axis(0, 0, self.output_size[0]))
        col_cells, col_far = (part[:, cols] for part in self._axis(1, 0, self.output_size[1]))
        pixels = self.guidance[:, :, rows, cols]  # (B, 3, N)
        scores = []
        for i, j in self._offsets():
            cell = self.coarse[:, :, row_cells[i], col_cells[j]]
            colour = (pixels - cell).square().sum(dim=1)
            scores.append(self._score(colour, row_far[i] ** 2 + col_far[j] ** 2))
        weights = torch.stack(scores, dim=1).softmax(dim=1)  # (B, taps, N)
        total = self.values.new_zeros(*self.values.shape[:2], len(rows))
        for tap, (i, j) in enumerate(self._offsets()):
            total += self.values[:, :, row_cells[i], col_cells[j]] * weights[:, tap, None]
        return total.transpose(1, 2)

    def stencil(self, row: int, col: int, batch: int = 0) -> Tensor:
        """Return the filter's weights on the grid, (h, w); cells met twice at a border add up."""
        self.check_query(row, col, batch)
        weights, row_cells, col_cells = self._weights((row, row + 1))
        out = self.values.new_zeros(self.grid)
        places = row_cells[:, :1], col_cells[None, :, col]
        side = len(row_cells)
        return out.index_put_(places, weights[batch, :, 0, col].view(side, side), accumulate=True)

    def _offsets(self) -> list[tuple[int, int]]:
        size = 2 * self.radius + 1
        return [(i, j) for i in range(size) for j in range(size)]

    def _axis(self, axis: int, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Return, per offset, the cell index and the distance in cells: (2r+1, n) each."""
        cells, outputs = self.grid[axis], self.output_size[axis]
        device = self.values.device
        position = (torch.arange(start, stop, device=device) + 0.5) * cells / outputs
        offsets = torch.arange(-self.radius, self.radius + 1, device=device)
        index = position.floor().long()[None] + offsets[:, None]
        distance = index + 0.5 - position[None]
        return index.clamp(0, cells - 1), distance

    def _weights(self, rows: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """Return weights (B, taps, n, W') of output rows and the cell indices per axis."""
        row_cells, row_far = self._axis(0, *rows)
        col_cells, col_far = self._axis(1, 0, self.output_size[1])
        pixels = self.guidance[:, :, rows[0] : rows[1]]
        scores = []
        for i, j in self._offsets():
            cell = self.coarse[:, :, row_cells[i]][:, :, :, col_cells[j]]
            colour = (pixels - cell).square().sum(dim=1)
            space = row_far[i][:, None] ** 2 + col_far[j][None, :] ** 2
            scores.append(self._score(colour, space))
        return torch.stack(scores, dim=1).softmax(dim=1), row_cells, col_cells

    def _score(self, colour: Tensor, space: Tensor) -> Tensor:
        """Return the log weight of squared distances in colour and in cells."""
        return -colour / (2 * self.sigma_range**2) - space / (2 * self.sigma_spatial**2)


@UPSAMPLERS.register("jbu")
class JointBilateral(Upsampler):
    """Joint bilateral upsampling with fixed sigmas, no training.

    Each output pixel is the mean of the cells within ``radius``, weighted by a Gaussian of the
    distance (``sigma_spatial``, in cells) and of the colour difference (``sigma_range``, RGB in [0,
    1]) between the pixel and the image shrunk to the grid. Source: Kopf et al., SIGGRAPH 2007.
    """

    name = "jbu"
    title = "Joint bilateral"
    citation = entry(
        "article",
        "kopf2007joint",
        {
            "title": "{Joint Bilateral Upsampling}",
            "author": "Kopf, Johannes and Cohen, Michael F. and Lischinski, Dani and "
            "Uyttendaele, Matt",
            "journal": "ACM Transactions on Graphics",
            "volume": "26",
            "number": "3",
            "pages": "96",
            "year": "2007",
        },
    )
    order = 40
    convex = True
    cost = MethodCost(output_pixel=300)

    def __init__(self, radius: int = 2, sigma_spatial: float = 0.8, sigma_range: float = 0.15):
        super().__init__()
        self.mean, self.std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)  # sigma_range is in RGB units
        self.radius, self.sigma_spatial, self.sigma_range = radius, sigma_spatial, sigma_range

    def _prepare(
        self, guidance: Tensor, values: Tensor, output_size: tuple[int, int]
    ) -> BilateralResampler:
        grid = tuple(values.shape[-2:])
        size = {"mode": "bilinear", "align_corners": False, "antialias": True}
        fine = guidance
        if tuple(guidance.shape[-2:]) != tuple(output_size):
            fine = F.interpolate(guidance, output_size, **size)
        coarse = F.interpolate(guidance, grid, **size)
        return BilateralResampler(
            values, fine, coarse, self.radius, self.sigma_spatial, self.sigma_range
        )
