"""The plain types that everything else uses: feature maps, windows, attention, panels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from torch import Tensor

Role = Literal["photo", "coarse", "method", "key"]


Weights = Literal["published", "trained", "untrained", "other"]


_WEIGHTS: Mapping[str, Weights] = {
    "published": "published",
    "converted": "published",
    "trained here": "trained",
    "untrained": "untrained",
}


ALIGN = True  # whether features are aligned with their pixels unless somebody says so


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Coarse features of a batch of images: ``data`` is (B, C, h, w) float32."""

    data: Tensor
    backbone: str
    image_size: tuple[int, int]  # (H, W) the backbone saw

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w), the coarse grid."""
        return self.data.shape[-2], self.data.shape[-1]


@dataclass(frozen=True)
class Window:
    """A half-open rectangle of coarse cells: rows [row0, row1), columns [col0, col1)."""

    row0: int
    row1: int
    col0: int
    col1: int

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.row1 - self.row0, self.col1 - self.col0


@dataclass(frozen=True, eq=False)
class Attention:
    """What one output pixel reads: ``weights`` (h, w) is the head mean, sums to one, 0 outside the
    window.
    """

    weights: Tensor
    heads: Tensor  # (heads, h, w)
    window: Window
    query: tuple[int, int]  # (row, col) on the output grid


@dataclass(frozen=True)
class Colorbar:
    """A scale that explains a panel's colours: ``colors`` (N, 3) uint8 from ``low`` to ``high``."""

    low: float
    high: float
    label: str
    colors: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture of the grid, the same for the screen and for the paper.

    ``image`` is (H, W, 3) uint8 RGB. ``rectangle`` (row0, row1, col0, col1) and ``marker`` (row,
    col) are fractions of the picture's height and width, so that they survive any scaling.
    ``queried`` is False if the query is a point of another photo.
    ``cells`` (h, w) are numbers of the coarse grid, such as weights, to read off under a pointer.
    ``origin`` says whose weights made it ("published", "trained here", "untrained",
    "training-free", ...). ``recipe`` is JSON-serialisable and names what is needed to make the same
    picture again. A panel with ``error`` has no picture worth showing.

    ``row``, ``column``, ``caption`` and ``origin`` are words for people. Programs read the fields
    after ``error``: ``role`` says what the picture is ("key" explains colours), ``backbone`` and
    ``method`` are the names that options take, "" for none, ``against`` is the method it is
    compared with. ``weights`` is the kind of the origin, by default that of its usual words;
    "untrained" is said in every figure. ``grid`` is the (h, w) of the coarse features. A
    ``preview`` is a smaller picture that a later panel replaces; a ``provisional`` one is drawn
    again once its row shares a colour scale. ``seconds`` is the time to prepare and project.
    """

    row: str
    column: str
    image: np.ndarray
    caption: str = ""
    origin: str = ""
    metrics: tuple[tuple[str, str], ...] = ()
    legend: tuple[tuple[str, tuple[int, int, int]], ...] = ()
    colorbar: Colorbar | None = None
    rectangle: tuple[float, float, float, float] | None = None
    marker: tuple[float, float] | None = None
    queried: bool = True
    cells: np.ndarray | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    role: Role = "method"
    backbone: str = ""
    method: str = ""
    against: str = ""
    weights: Weights | None = None
    grid: tuple[int, int] | None = None
    preview: bool = False
    provisional: bool = False
    seconds: float | None = None

    def __post_init__(self) -> None:
        """Fill in the kind of weights."""
        if self.weights is None:
            object.__setattr__(self, "weights", _WEIGHTS.get(self.origin, "other"))


class Upsampled(Protocol):
    """What probes ask of a resampler: the cells it carries, its size, pixels and projections."""

    values: Tensor  # (B, C, h, w)
    output_size: tuple[int, int]

    def features(self, rows: tuple[int, int] | None = None) -> Tensor:
        """Return (B, C, H', W'), or only rows [r0, r1)."""

    def project(self, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return the 1x1 convolution with (K, C) and (K,): (B, K, H', W')."""

    def sample(self, rows: Tensor, cols: Tensor) -> Tensor:
        """Return all channels of single pixels, (B, N, C)."""

    def check_query(self, row: int, col: int, batch: int = 0) -> None:
        """Raise SizeError unless (row, col) is an output pixel."""
