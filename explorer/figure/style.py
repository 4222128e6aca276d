"""How a paper figure looks: one frozen value that can be written into the figure and read back."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MaxLen

from explorer.core import ExplorerError
from explorer.core.messages import quoted, suggestion
from explorer.core.validation import Described, Real, checked, fits

SINGLE = 3.25  # inches, one column of a two-column paper
DOUBLE = 6.75  # inches, both columns
MIN_FONT_PT = 6.0
MAX_INSETS = 3

# Okabe and Ito's yellow, sky blue and vermilion: distinct in hue and in lightness, also to
# colour-blind readers.
INSET_COLORS = ("#F0E442", "#56B4E9", "#D55E00")

WIDTHS = {"single column": SINGLE, "double column": DOUBLE}
THEMES = ("light", "dark", "transparent")
FONTS = ("serif", "sans")
INSET_PLACES = ("below", "beside")
COLORBAR_PLACES = ("right", "below")


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise ExplorerError(sentence)


_LABEL = Annotated[str, MaxLen(1000)]
_LABELS = Annotated[tuple[_LABEL, ...], MaxLen(500), Described("a list of at most 500 names")]
_RENAMED = Annotated[
    tuple[tuple[_LABEL, _LABEL], ...],
    MaxLen(500),
    Described("pairs of a row's or column's name and the label to print instead"),
]


@dataclass(frozen=True)
class Inset:
    """One zoom box, drawn at the same place on every panel and enlarged next to it.

    ``box`` is (row0, row1, col0, col1) in fractions of the panel's height and width, half-open;
    ``color`` is #rrggbb, or None for the next of ``INSET_COLORS``; ``place`` is "below" or
    "beside". Raises ExplorerError for a box that is empty or leaves the panel.
    """

    box: tuple[float, float, float, float]
    color: str | None = None
    place: str = "below"

    def __post_init__(self) -> None:
        """Check every value."""
        box = self.box
        _require(
            isinstance(box, list | tuple) and len(box) == 4 and all(fits(Real, v) for v in box),
            "an inset's box is four numbers: row0, row1, col0, col1, as fractions of the panel",
        )
        row0, row1, col0, col1 = (float(value) for value in box)
        _require(
            0 <= row0 < row1 <= 1 and 0 <= col0 < col1 <= 1,
            f"the inset box {quoted(list(box))} must lie inside the panel: "
            "0 <= row0 < row1 <= 1 and 0 <= col0 < col1 <= 1",
        )
        _require(
            row1 - row0 >= 0.01 and col1 - col0 >= 0.01,
            "an inset's box must span at least 1 % of the panel in each direction; make it larger",
        )
        _require(
            self.color is None
            or (isinstance(self.color, str) and bool(re.fullmatch("#[0-9a-fA-F]{6}", self.color))),
            f"{quoted(self.color)} is not a colour; write it as #rrggbb",
        )
        _require(
            self.place in INSET_PLACES,
            f"an inset goes 'below' or 'beside' its panel, not {quoted(self.place)}",
        )
        object.__setattr__(self, "box", (row0, row1, col0, col1))


_FLAGS = (
    "row_labels",
    "column_labels",
    "captions",
    "metrics",
    "origins",
    "colorbars",
    "legends",
    "markers",
    "rectangles",
    "transposed",
)


@dataclass(frozen=True)
class FigureStyle:
    """How a figure is laid out and drawn; lengths in inches or points, as their names say.

    ``width_in`` is the printed width (``SINGLE``, ``DOUBLE`` or any); the height follows.
    ``rows`` and ``columns`` select and order panels by their names (None: all, in the order given)
    before ``transposed`` swaps rows and columns. ``names`` replaces labels: pairs (name, label).
    ``font_size_pt`` is the size of labels; nothing is ever smaller than 6 pt. ``theme``
    "transparent" has no background and dark text. ``origins`` adds whose weights made each panel;
    "untrained" is always said. ``colorbar_place`` "right" needs one scale per row; rows whose
    panels have different scales get a bar under each panel. Raises ExplorerError for any value
    out of range.
    """

    width_in: float = DOUBLE
    dpi: int = 300
    theme: str = "light"
    font: str = "serif"
    font_size_pt: float = 8.0
    row_labels: bool = True
    column_labels: bool = True
    captions: bool = False
    metrics: bool = True
    origins: bool = False
    colorbars: bool = True
    legends: bool = True
    markers: bool = True
    rectangles: bool = True
    transposed: bool = False
    colorbar_place: str = "right"
    column_gap_pt: float = 3.0
    row_gap_pt: float = 4.0
    rows: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    names: tuple[tuple[str, str], ...] = ()
    insets: tuple[Inset, ...] = field(default=())

    def __post_init__(self) -> None:
        """Check every value and give each inset its colour."""
        self._check_number("width_in", 1.0, 40.0, "inches")
        self._check_number("dpi", 50, 1200, "dots per inch")
        _require(float(self.dpi).is_integer(), "dpi must be a whole number")
        self._check_number("font_size_pt", MIN_FONT_PT, 24.0, "points")
        self._check_number("column_gap_pt", 0.0, 72.0, "points")
        self._check_number("row_gap_pt", 0.0, 72.0, "points")
        for name in _FLAGS:
            _require(isinstance(getattr(self, name), bool), f"{name} must be true or false")
        self._check_choice("theme", THEMES)
        self._check_choice("font", FONTS)
        self._check_choice("colorbar_place", COLORBAR_PLACES)
        for name in ("rows", "columns"):
            chosen = getattr(self, name)
            object.__setattr__(self, name, checked(_LABELS | None, chosen, name))
        self._set_names()
        _require(
            isinstance(self.insets, list | tuple)
            and all(isinstance(inset, Inset) for inset in self.insets),
            "insets must be a list of Inset",
        )
        _require(
            len(self.insets) <= MAX_INSETS,
            f"a figure takes at most {MAX_INSETS} insets, not {len(self.insets)}",
        )
        coloured = (
            dataclasses.replace(inset, color=inset.color or color)
            for inset, color in zip(self.insets, INSET_COLORS, strict=False)
        )
        object.__setattr__(self, "insets", tuple(coloured))
        object.__setattr__(self, "dpi", int(self.dpi))

    def _check_number(self, name: str, low: float, high: float, unit: str) -> None:
        value = getattr(self, name)
        _require(
            fits(Annotated[Real, Ge(low), Le(high)], value),
            f"{name} must be between {low:g} and {high:g} {unit}, not {quoted(value)}",
        )

    def _check_choice(self, name: str, choices: tuple[str, ...]) -> None:
        checked(Literal[choices], getattr(self, name), name)

    def _set_names(self) -> None:
        names = self.names
        pairs = tuple(names.items()) if isinstance(names, Mapping) else names
        object.__setattr__(self, "names", checked(_RENAMED, pairs, "names"))

    @property
    def small_pt(self) -> float:
        """Size of captions, metrics, scales and legends in points."""
        return max(MIN_FONT_PT, self.font_size_pt - 1)

    def px(self, points: float) -> int:
        """Return a length in points as whole pixels at this dpi, never under one for a length."""
        return 0 if points == 0 else max(1, round(points * self.dpi / 72))

    def label(self, name: str) -> str:
        """Return what is printed for a row or column called ``name``."""
        return dict(self.names).get(name, name)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values that ``from_dict`` reads back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FigureStyle:
        """Make a style from untrusted JSON values; raises ExplorerError naming what is wrong."""
        _require(isinstance(values, Mapping), "a figure style must be a mapping of settings")
        known = {item.name for item in dataclasses.fields(cls)}
        for name in values:
            if name not in known:
                raise ExplorerError(
                    f"a figure has no setting {quoted(name)}; {suggestion(name, sorted(known))}"
                )
        settings = dict(values)
        insets = settings.pop("insets", ())
        _require(
            isinstance(insets, list | tuple)
            and all(
                isinstance(inset, Mapping) and set(inset) <= {"box", "color", "place"}
                for inset in insets
            ),
            "insets must be a list of {box, color, place}",
        )
        _require(all("box" in inset for inset in insets), "an inset needs a box")
        return cls(**settings, insets=tuple(Inset(**inset) for inset in insets))
