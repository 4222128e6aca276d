"""Depths in metres."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from explorer.datasets.maps import (
    DEPTH_MAX,
    stored_values,
)
from explorer.datasets.readers.base import READERS, MapReader


@READERS.register("depth")
class Depth(MapReader):
    """Metres and which pixels are valid, (H, W) both."""

    name = "depth"
    order = 20

    def read(self, path: Path) -> tuple[Tensor, Tensor]:
        """Return metres and validity; see ``read_depth``."""
        return read_depth(path, self.depth_max)

    def faults(self, found: tuple[Tensor, Tensor]) -> list[str]:
        """Say that depths lie beyond the largest one."""
        metres, valid = found
        if not valid.any() or metres[valid].max() <= 1.005 * self.depth_max:
            return []
        return [f"depths up to {metres[valid].max():.1f} m, beyond --depth-max {self.depth_max:g}"]


def read_depth(path: Path, depth_max: float = DEPTH_MAX) -> tuple[Tensor, Tensor]:
    """Return (H, W) metres and which pixels are valid.

    16-bit pictures are millimetres with 0 invalid; 8-bit ones hold (v + 0.5) / 255 of ``depth_max``
    and are valid everywhere, as are those of fewer bits, stretched to 255; ``.npy`` holds metres,
    invalid where not finite or not positive.

    Raises:
        ExplorerError: unreadable or a colour picture.
    """
    values = stored_values(path, "depths", stretched=True)
    if path.suffix == ".npy":
        metres = torch.from_numpy(values.astype(np.float32))
    elif values.dtype == np.uint8:
        metres = torch.from_numpy((values.astype(np.float32) + 0.5) * (depth_max / 255))
    else:
        metres = torch.from_numpy(values.astype(np.float32) / 1000)
    valid = metres.isfinite() & (metres > 0)
    return torch.where(valid, metres, 1.0), valid
