"""What is asked of a probe: its truth, its loss, its sums and its scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from explorer.core import Registry
from explorer.datasets import Dataset, Example
from explorer.imaging import Photo
from explorer.probes import Prediction, Probe

TASKS: Registry[Task] = Registry("task")


@dataclass(frozen=True, eq=False)
class Truth:
    """One photo's truth at the output size: ``values``, where it is ``valid`` and near an edge."""

    values: Tensor
    valid: Tensor
    band: Tensor


@dataclass(frozen=True)
class Column:
    """A score's key, its head in tables, how it is printed and which way is better."""

    key: str
    head: str
    scale: float = 1.0
    digits: int = 1
    higher: bool = True
    main: bool = False  # compared with the baseline, with an interval

    def show(self, value: float) -> str:
        """Print a value; "-" for one that could not be measured."""
        return "-" if np.isnan(value) else f"{self.scale * value:.{self.digits}f}"


class Task(ABC):
    """A kind of probe on a dataset: one module of its name in this package.

    ``PROBES`` has a kind of the same name, which says what maps the probe learns from.
    """

    name: ClassVar[str]
    order: ClassVar[int] = 1000  # place in lists, lowest first
    columns: ClassVar[tuple[Column, ...]]
    outputs: int
    shape: tuple[int, ...]  # of one image's sums

    @abstractmethod
    def truth(self, data: Dataset, example: Example, photo: Photo, size: tuple[int, int]) -> Truth:
        """Read the truth of an example at the output size."""

    @abstractmethod
    def loss(self, outputs: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        """Return the weighted loss of outputs (n, K) at n pixels."""

    @abstractmethod
    def probe(self, weight: Tensor, bias: Tensor, **about) -> Probe:
        """Make the probe of trained weights."""

    @abstractmethod
    def sums(self, found: Prediction, truth: Truth) -> np.ndarray:
        """Return what one image adds to the metrics."""

    @abstractmethod
    def scores(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Return the scores of summed sums (..., *shape)."""

    def details(self, sums: np.ndarray) -> dict[str, object]:
        """Return what a report adds about the whole split, with sentences under "notes"."""
        return {"notes": []}
