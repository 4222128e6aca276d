"""Strokes painted on a photo: reading them from anybody, and drawing them on a pixel grid."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import hypot
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from PIL import Image, ImageDraw

from explorer.core import ExplorerError
from explorer.core.messages import one_line
from explorer.core.validation import Described, Real, Whole, checked, read_json
from explorer.datasets import ClassSet
from explorer.datasets.classes import Colour

MAX_STROKES, MAX_POINTS, MAX_POINTS_TOGETHER = 2000, 5000, 50_000
MAX_PAINT = 500.0  # photo areas: what all strokes would cover side by side
MAX_NAME = 60
OUTSIDE = 1.0  # how far points may lie outside the photo, in photos
UNMARKED = -1
_LEVEL = Annotated[Whole, Ge(0), Le(255)]
_FRACTION = Annotated[Real, Ge(-OUTSIDE), Le(1 + OUTSIDE)]
_COLOUR = tuple[_LEVEL, _LEVEL, _LEVEL]
_POINTS = Annotated[
    tuple[tuple[_FRACTION, _FRACTION], ...],
    MinLen(1),
    MaxLen(MAX_POINTS),
    Described(f"1 to {MAX_POINTS} pairs [row, col] in fractions of the photo"),
]
_RADIUS = Annotated[Real, Gt(0), Le(0.5)]


@dataclass(frozen=True)
class Stroke:
    """One painted line: ``points`` are (row, col) and ``radius`` is a length, all as fractions.

    Rows are fractions of the photo's height, columns of its width, the radius of its longer side.
    """

    name: str
    colour: Colour
    points: tuple[tuple[float, float], ...]
    radius: float = 0.01

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.name,
            "colour": list(self.colour),
            "points": [list(point) for point in self.points],
            "radius": self.radius,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Stroke:
        """Read plain values; raises ExplorerError for anything that is no stroke."""
        known = value if isinstance(value, Mapping) else {}
        lacking = [part for part in ("name", "colour", "points") if part not in known]
        if lacking:
            raise ExplorerError(
                'a stroke is {"name", "colour": [r, g, b], "points": [[row, col], ...], "radius"} '
                f"with up to {MAX_POINTS} points; this is not one: it has no {lacking[0]}"
            )
        name = _plain(checked(str, known["name"], "a stroke's name"))[:MAX_NAME].strip()
        if not name:
            raise ExplorerError("a stroke's name must have a letter or another printed character")
        return cls(
            name,
            checked(_COLOUR, known["colour"], "a stroke's colour"),
            checked(_POINTS, known["points"], "a stroke's points"),
            checked(_RADIUS, known.get("radius", 0.01), "a stroke's radius"),
        )


def _plain(text: str) -> str:
    """Return text on one line, without what no font shows and no file can hold."""
    return one_line(" ".join(text.split()))


def read_strokes(values: Any) -> list[Stroke]:
    """Read a list of strokes in plain values, which may come from anybody.

    Raises:
        ExplorerError: not strokes, or more than anyone paints by hand.
    """
    if not isinstance(values, list) or len(values) > MAX_STROKES:
        raise ExplorerError(f"a list of at most {MAX_STROKES} strokes is expected")
    found: list[Stroke] = []
    points, paint = 0, 0.0
    for value in values:
        stroke = Stroke.from_json(value)
        points += len(stroke.points)
        paint += _area(stroke)
        if points > MAX_POINTS_TOGETHER or paint > MAX_PAINT:
            raise ExplorerError(
                f"these are too many strokes: {MAX_POINTS_TOGETHER} points, or {MAX_PAINT:g} times "
                "the photo's area, are the most; undo or clear some"
            )
        found.append(stroke)
    return found


def _area(stroke: Stroke) -> float:
    """Return what painting a stroke costs, in photo areas: its dots and the lines between them."""
    width = 2 * stroke.radius
    lines = sum(hypot(a[0] - b[0], a[1] - b[1]) for a, b in pairwise(stroke.points))
    return len(stroke.points) * width**2 + lines * width


def load_strokes(text: str) -> list[Stroke]:
    """Read strokes from JSON (a list, or an object with "strokes").

    Raises:
        ExplorerError: not JSON, or not strokes.
    """
    return open_strokes(text)[0]


def open_strokes(text: str) -> tuple[list[Stroke], dict[str, str]]:
    """Read strokes from JSON, and the "name" and "sha256" of the photo they were painted on, if
    the file tells.

    Raises:
        ExplorerError: not JSON, or not strokes.
    """
    found, photo = read_json(text, "the text of the strokes"), None
    if isinstance(found, Mapping):
        found, photo = found.get("strokes"), found.get("photo")
    about = photo if isinstance(photo, Mapping) else {}
    known = {
        key: _plain(about[key])[:80]
        for key in ("name", "sha256")
        if isinstance(about.get(key), str)
    }
    return read_strokes(found), known


def dump_strokes(strokes: Iterable[Stroke], photo: Mapping[str, str] | None = None) -> str:
    """Return strokes as JSON that `load_strokes` reads; ``photo`` is its "name" and "sha256"."""
    about = {"photo": dict(photo)} if photo else {}
    return json.dumps({"strokes": [stroke.to_json() for stroke in strokes]} | about)


def classes_of(strokes: Iterable[Stroke]) -> ClassSet:
    """Return the painted classes in the order they first appear, in their last colour."""
    colours: dict[str, Colour] = {}
    for stroke in strokes:
        colours[stroke.name] = stroke.colour
    return ClassSet(tuple(colours), tuple(colours.values()))


def rasterise(strokes: Iterable[Stroke], size: tuple[int, int]) -> np.ndarray:
    """Return the class number last painted on each pixel, (H, W) int16 (read-only), UNMARKED
    elsewhere.
    """
    return _rasterised(tuple(strokes), (int(size[0]), int(size[1])))


@lru_cache(maxsize=4)  # every method of a screen asks for the same strokes
def _rasterised(strokes: Sequence[Stroke], size: tuple[int, int]) -> np.ndarray:
    height, width = size
    numbers = {name: i for i, name in enumerate(dict.fromkeys(s.name for s in strokes))}
    canvas = Image.new("I", (width, height), UNMARKED)
    draw = ImageDraw.Draw(canvas)
    for stroke in strokes:
        value = numbers[stroke.name]
        reach = max(0.5, stroke.radius * max(size))
        # pixel p covers [p, p + 1), PIL's integer coordinates are pixel centres
        path = [(col * width - 0.5, row * height - 0.5) for row, col in stroke.points]
        if len(path) > 1:
            draw.line(path, fill=value, width=max(1, round(2 * reach)))
        for x, y in path:  # PIL's box holds its last row and column
            box = (x - reach + 0.5, y - reach + 0.5, x + reach - 0.5, y + reach - 0.5)
            draw.ellipse(box, fill=value)
            draw.point((round(x), round(y)), fill=value)  # a dot smaller than a pixel still counts
    painted = np.asarray(canvas).astype(np.int16)
    painted.setflags(write=False)
    return painted
