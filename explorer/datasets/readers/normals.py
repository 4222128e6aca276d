"""Surface normals in the camera frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from explorer.core import ExplorerError
from explorer.datasets.maps import (
    decoded,
    load_array,
    open_map,
    short_name,
)
from explorer.datasets.readers.base import READERS, MapReader
from explorer.imaging import formats


@READERS.register("normals")
class Normals(MapReader):
    """Unit vectors (3, H, W) and which pixels are valid."""

    name = "normals"
    order = 30

    def read(self, path: Path) -> tuple[Tensor, Tensor]:
        """Return normals and validity; see ``read_normals``."""
        return read_normals(path)


def read_normals(path: Path) -> tuple[Tensor, Tensor]:
    """Return (3, H, W) unit normals, camera frame x right, y down, z forward, and which are valid.

    Colour pictures hold v / 255 * 2 - 1 with (0, 0, 0) invalid; ``.npy`` holds the vectors,
    (H, W, 3) or (3, H, W), invalid where zero or not finite.

    Raises:
        ExplorerError: unreadable, not three channels, or vectors that are nowhere near unit length.
    """
    if path.suffix == ".npy":
        found = load_array(path)
        if found.ndim == 3 and found.shape[0] != 3:
            found = found.transpose(2, 0, 1)
        if found.ndim != 3 or found.shape[0] != 3:
            raise ExplorerError(
                f"{short_name(path)} is {found.shape}; normals are (H, W, 3) or (3, H, W)"
            )
        vectors = torch.from_numpy(found.astype(np.float32))
        valid = vectors.isfinite().all(dim=0) & (vectors.abs().sum(dim=0) > 0)
    else:
        with open_map(path) as picture:
            if picture.mode not in ("RGB", "RGBA"):
                raise ExplorerError(
                    f"{short_name(path)} is a {picture.mode} picture; normals need three channels "
                    "(RGB)"
                )
            name = short_name(path)
            colours = decoded(path, lambda: np.array(formats.load(picture, name)[0]))
            raw = torch.from_numpy(colours[..., :3].copy()).permute(2, 0, 1)
        valid = raw.sum(dim=0) > 0
        vectors = raw.float() / 255 * 2 - 1
    length = vectors.norm(dim=0)
    odd = valid & ((length < 0.8) | (length > 1.2))
    if odd.float().mean() > 0.01:
        raise ExplorerError(
            f"{short_name(path)} does not hold unit normals: {100 * odd.float().mean():.0f}% of "
            "its vectors are shorter than 0.8 or longer than 1.2; n = v / 255 * 2 - 1 is expected"
        )
    unit = vectors / length.clamp(min=1e-6)
    return torch.where(valid, unit, torch.tensor([0.0, 0.0, -1.0])[:, None, None]), valid
