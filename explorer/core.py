"""The plain types everything else speaks: feature maps, windows, attention, panels, registries,
errors.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from explorer.messages import one_line, shown, suggestion

T = TypeVar("T")
Role = Literal["photo", "coarse", "method", "key"]
Weights = Literal["published", "trained", "untrained", "other"]
_WEIGHTS: Mapping[str, Weights] = {
    "published": "published",
    "converted": "published",
    "trained here": "trained",
    "untrained": "untrained",
}
ALIGN = False  # whether features are aligned with their pixels unless somebody says so


class ExplorerError(ValueError):
    """Something a user can read and act on: what was wrong, what was expected, what to do."""

    def __str__(self) -> str:
        """Return the sentence on one line, whatever a file or a visitor put into it."""
        return one_line(str(self.args[0])) if self.args else ""


class ImageError(ExplorerError):
    """A file or array that cannot be used as a photo."""


class SizeError(ExplorerError):
    """A combination of sizes that a method cannot compute."""


class WeightsError(ExplorerError):
    """Weights that are missing, unreachable, damaged or do not fit."""


class WeightsWarning(UserWarning):
    """Weights that are used and are not what a user would expect: others are known to fit better,
    or their settings are assumed.
    """


class NoAttentionError(ExplorerError, NotImplementedError):
    """Attention was asked of a method that has none; its ``stencil`` still answers."""


class PluginError(ExplorerError, ImportError):
    """A module of plug-ins that cannot be imported."""


class UnknownNameError(ExplorerError, KeyError):
    """A name that no registry entry carries."""


def unknown_name(kind: str, name: Any, choices: Iterable[str]) -> UnknownNameError:
    """Return the error for a name that is none of ``choices``; it suggests the nearest one."""
    return UnknownNameError(
        f"there is no {kind} called {shown(name, 60)}; {suggestion(name, choices)}"
    )


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


class Registry(Mapping[str, Callable[..., T]], Generic[T]):
    """Names and what they make; a duplicate name raises, an unknown one lists the choices.

    Names come by their entries' attribute ``order``, lowest first, equal ones by name; entries
    without one come last, as they were registered.
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._entries: dict[str, Callable[..., T]] = {}

    def discover(self, package: str, path: Iterable[str]) -> None:
        """Import every module of ``package``, so that each registers what it defines.

        Args:
            package: the package's dotted name.
            path: the folders of its modules, its ``__path__``.

        Raises:
            PluginError: a module that cannot be imported, named.
        """
        for module in pkgutil.iter_modules(path, f"{package}."):
            try:
                importlib.import_module(module.name)
            except PluginError:
                raise
            except Exception as error:
                what = f"{type(error).__name__}: {error}"
                raise PluginError(f"the module {module.name} cannot be imported: {what}") from error

    def register(self, name: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
        """Return a decorator that files a class or factory under ``name``."""
        if name in self._entries:
            raise ExplorerError(f"the {self.kind} {name!r} is registered twice")

        def file(entry: Callable[..., T]) -> Callable[..., T]:
            self._entries[name] = entry
            return entry

        return file

    def get(self, name: str) -> Callable[..., T]:
        """Return the entry called ``name``, or raise UnknownNameError naming the choices."""
        with suppress(KeyError, TypeError):  # what cannot be hashed is no name either
            return self._entries[self.resolve(name)]
        raise unknown_name(self.kind, name, self.names())

    def resolve(self, name: str) -> str:
        """Return ``name``, or the present name for one of the old ones in ``aliases``."""
        return self._renamed(name) or name

    def _renamed(self, name: object) -> str | None:
        """Return the name of the entry that declares ``name`` among its old ones."""
        known = (key for key, e in self._entries.items() if name in getattr(e, "aliases", ()))
        return None if name in self._entries else next(known, None)

    __getitem__ = get

    def create(self, name: str, **options: Any) -> T:
        """Make the entry called ``name`` with its own constructor's arguments."""
        return self.get(name)(**options)

    def names(self) -> list[str]:
        """Every registered name, in the order of menus."""

        def place(name: str) -> tuple[float, str]:
            order = getattr(self._entries[name], "order", None)
            return (float("inf"), "") if order is None else (order, name)

        return sorted(self._entries, key=place)

    def describe(self, name: str) -> str:
        """The first sentence of the entry's docstring: what menus and tables show."""
        text = (self.get(name).__doc__ or "").strip()
        return " ".join(text.split("\n\n")[0].split())

    def __contains__(self, name: object) -> bool:
        """Whether ``name`` is registered."""
        return name in self._entries or self._renamed(name) is not None

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self.names())

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self._entries)


def pick_device(name: str | torch.device | None = None) -> torch.device:
    """Return the device called ``name``, or the best there is: cuda, else mps, else cpu."""
    if name is not None and str(name) != "auto":
        try:
            device = torch.device(name)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise ExplorerError(f"the device {str(name)!r} cannot be used here: {reason}") from None
        return device
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def wait_for(device: torch.device) -> None:
    """Return when everything queued on the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
