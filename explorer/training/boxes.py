"""Boxes of coarse cells, seen at the pixel density of use: few enough to afford."""

from __future__ import annotations

import random
from typing import NamedTuple

from torch import Tensor

from explorer.training.recipe import Recipe


class Box(NamedTuple):
    """Rows and columns of cells, and how many pixels to show of each cell's side."""

    rows: range
    cols: range
    density: float

    @classmethod
    def draw(cls, recipe: Recipe, grid: tuple[int, int], rng: random.Random) -> Box:
        """Draw a box of a (h, w) grid as the recipe's ``fine_`` settings say."""
        cells = max(grid)
        density = rng.choice(recipe.fine_density) if recipe.fine_density else 0
        side = min(cells, recipe.fine_size // density) if density else cells
        sides = [side, max(2, round(side * rng.uniform(*recipe.fine_aspect)))]
        rng.shuffle(sides)
        sides = [min(kept, whole) for kept, whole in zip(sides, grid, strict=True)]
        starts = [rng.randint(0, whole - kept) for kept, whole in zip(sides, grid, strict=True)]
        rows, cols = (range(a, a + kept) for a, kept in zip(starts, sides, strict=True))
        return cls(rows, cols, density or recipe.fine_size / cells)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return round(len(self.rows) * self.density), round(len(self.cols) * self.density)

    def of(self, x: Tensor, scale: int = 1) -> Tensor:
        """Return the box of a (B, K, h, w) map with ``scale`` pixels per cell."""
        down, across = (slice(s.start * scale, s.stop * scale) for s in (self.rows, self.cols))
        return x[:, :, down, across].contiguous()
