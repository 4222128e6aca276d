"""Labels: class numbers, 255 for none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from explorer.core import ExplorerError
from explorer.datasets.maps import (
    IGNORE,
    short_name,
    stored_values,
)
from explorer.datasets.readers.base import READERS, MapReader


@READERS.register("labels")
class Labels(MapReader):
    """Class numbers, (H, W) int64."""

    name = "labels"
    order = 10
    has_classes = True

    def read(self, path: Path) -> Tensor:
        """Return the numbers; see ``read_labels``."""
        return read_labels(path, self.classes)

    def useful(self, found: Tensor) -> Tensor:
        """Return which pixels are labelled."""
        return found != IGNORE


def read_labels(path: Path, classes: int | None = None) -> Tensor:
    """Return (H, W) int64 class numbers; 255 is ignored.

    Palette pictures give their indices, bilevel ones 0 and 1, grey of 2 or 4 bits what is stored.

    Raises:
        ExplorerError: unreadable, a colour picture, or a number beyond ``classes``.
    """
    labels = torch.from_numpy(stored_values(path, "class numbers").astype(np.int64))
    if classes is not None:
        wrong = (labels != IGNORE) & ((labels < 0) | (labels >= classes))
        if wrong.any():
            row, col = wrong.nonzero()[0].tolist()
            raise ExplorerError(
                f"{short_name(path)} has the label {labels[row, col].item()} at row {row}, column "
                f"{col} ({int(wrong.sum())} pixels in all); 0 to {classes - 1} are expected, and "
                f"{IGNORE} for unlabelled: correct the map, or name all classes with --classes"
            )
    return labels
