"""Measures without a probe: numbers for one photo and one method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from explorer.core import Registry
from explorer.datasets import Dataset
from explorer.evaluation.methods import Method
from explorer.evaluation.samples import EvalContext, Sample
from explorer.evaluation.tasks import Column

COMPARISONS: Registry[Comparison] = Registry("comparison")


class Comparison(ABC):
    """Numbers for one photo and one method: one module of its name in this package."""

    name: ClassVar[str]
    order: ClassVar[int] = 1000  # place in lists, lowest first
    columns: ClassVar[tuple[Column, ...]]
    reads_once: ClassVar[bool] = False  # whether methods that read the backbone again stay out

    @classmethod
    def maps(cls, folder: str | None) -> str | None:
        """Return the kind of maps that are read from a data set's ``folder``, None if none are."""
        return None

    @abstractmethod
    def measure(self, stage: EvalContext, scene: Sample, method: Method, truth) -> dict[str, float]:
        """Return the numbers of one photo."""

    def truth(self, data: Dataset, scene: Sample):
        """Read what a photo is compared with."""
        return None

    def reference(self, scene: Sample, truth) -> dict[str, float]:
        """Return numbers that need no features ({} if there are none)."""
        return {}
