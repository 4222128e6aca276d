"""Boundaries: where one thing ends and another begins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from explorer.datasets.maps import (
    stored_values,
)
from explorer.datasets.readers.base import READERS, MapReader


@READERS.register("boundaries")
class Boundaries(MapReader):
    """Which pixels are marked, (H, W) bool."""

    name = "boundaries"
    order = 40

    def read(self, path: Path) -> Tensor:
        """Return the marks; see ``read_boundaries``."""
        return read_boundaries(path)

    def useful(self, found: Tensor) -> Tensor:
        """Return the marked pixels."""
        return found


def read_boundaries(path: Path) -> Tensor:
    """Return where a map (H, W) marks a boundary: everything but 0."""
    return torch.from_numpy(stored_values(path, "boundaries").astype(np.float32)) > 0
