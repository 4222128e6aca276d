"""What reads one kind of map: a class per kind, one module each in this package."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from explorer.core import Registry
from explorer.datasets.maps import DEPTH_MAX

READERS: Registry[MapReader] = Registry("kind of map")


class MapReader(ABC):
    """Reads maps of one kind; by default they lie in a folder whose name starts with the kind's.

    Args:
        classes: how many classes label maps may have; None for any.
        depth_max: what 255 means in 8-bit depth maps, in metres.
    """

    name: ClassVar[str]
    order: ClassVar[int] = 1000  # place in lists, lowest first
    has_classes: ClassVar[bool] = False  # whether the data set names classes

    def __init__(self, classes: int | None = None, depth_max: float = DEPTH_MAX):
        self.classes, self.depth_max = classes, depth_max

    @abstractmethod
    def read(self, path: Path) -> Tensor | tuple[Tensor, Tensor]:
        """Return (..., H, W) values, and (H, W) bool where they are valid if not everywhere.

        Raises:
            ExplorerError: the file is unreadable or holds something else.
        """

    def useful(self, found: Any) -> Tensor:
        """Return where a map teaches something, (H, W) bool, given what ``read`` returned."""
        return found[1]

    def faults(self, found: Any) -> list[str]:
        """Return what a map "has" that cannot be right, given what ``read`` returned."""
        return []
