"""What a laid-out figure is made of: boxes, pictures, words, strokes and bars on a pixel grid."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from matplotlib.path import Path

from explorer.figure.style import FigureStyle
from explorer.figure.text import ASCENT, LINE, width_pt


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the sheet: left, top, width, height; the origin is top left."""

    x: float
    y: float
    w: float
    h: float

    @property
    def right(self) -> float:
        """The right edge."""
        return self.x + self.w

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.y + self.h

    def overlaps(self, other: Box, slack: float = 0.0) -> bool:
        """Whether the two share more than ``slack`` pixels in both directions."""
        across = min(self.right, other.right) - max(self.x, other.x)
        down = min(self.bottom, other.bottom) - max(self.y, other.y)
        return across > slack and down > slack

    def at(self, row: float, col: float) -> tuple[float, float]:
        """Return the pixel (x, y) of a point given in fractions of the height and width."""
        return self.x + col * self.w, self.y + row * self.h


@dataclass(frozen=True, eq=False)
class Picture:
    """An (H, W, 3) uint8 image, or the part ``source`` (row0, row1, col0, col1) of it, in a box."""

    image: np.ndarray
    box: Box
    source: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 1.0)
    clip: Box | None = None  # where a part's outer native pixels are cut off


@dataclass(frozen=True)
class Words:
    """One line of text: ``x`` by ``align``, ``y`` the baseline; ``upright`` reads bottom to top.

    For upright text ``x`` is the baseline and ``y`` the middle.
    """

    text: str
    x: float
    y: float
    size_pt: float
    font: str
    dpi: int
    align: str = "center"
    muted: bool = False
    upright: bool = False

    @property
    def box(self) -> Box:
        """The line box in pixels."""
        scale = self.size_pt * self.dpi / 72
        length = width_pt(self.text, self.font) * scale
        if self.upright:
            return Box(self.x - ASCENT * scale, self.y - length / 2, LINE * scale, length)
        left = self.x - {"left": 0.0, "center": 0.5, "right": 1.0}[self.align] * length
        return Box(left, self.y - ASCENT * scale, length, LINE * scale)


@dataclass(frozen=True, eq=False)
class Stroke:
    """A path in sheet pixels, stroked and perhaps filled, cut off outside ``clip``."""

    path: Path
    color: str | None
    width_pt: float = 0.0
    fill: str | None = None
    clip: Box | None = None


@dataclass(frozen=True)
class Gradient:
    """A colour bar: ``colors`` from left to right, or from bottom to top when ``upright``."""

    colors: tuple[tuple[int, int, int], ...]
    box: Box
    upright: bool


Item = Picture | Words | Stroke | Gradient


@dataclass
class Sheet:
    """A laid-out figure: its size in pixels and its items in the order they are painted."""

    width: int
    dpi: int
    height: int = 0
    items: list[Item] = field(default_factory=list)

    def of(self, kind: type) -> list:
        """Return the items of one kind."""
        return [item for item in self.items if isinstance(item, kind)]


def rectangle(box: Box) -> Path:
    """Return the outline of a box."""
    return Path(
        [
            (box.x, box.y),
            (box.right, box.y),
            (box.right, box.bottom),
            (box.x, box.bottom),
            (box.x, box.y),
        ],
        [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY],
    )


class Pen:
    """Writes on a sheet in one style; sizes in points in, pixels out."""

    def __init__(self, sheet: Sheet, style: FigureStyle):
        self.sheet, self.style = sheet, style
        self.small_pt = style.small_pt  # of captions, numbers and legends; never above the labels

    def scale(self, points: float) -> float:
        """Return points as pixels, not rounded."""
        return points * self.style.dpi / 72

    def line_height(self, size_pt: float) -> float:
        """Return the distance between lines in pixels."""
        return self.scale(LINE * size_pt)

    def width(self, text: str, size_pt: float) -> float:
        """Return the width of a line in pixels."""
        return self.scale(width_pt(text, self.style.font) * size_pt)

    def points(self, text: str) -> float:
        """Return the width of a line of small text in points."""
        return width_pt(text, self.style.font) * self.small_pt

    def write(
        self,
        lines: list[str],
        x: float,
        top: float,
        size_pt: float,
        align: str = "center",
        muted: bool = False,
    ) -> float:
        """Write lines downwards from ``top`` and return the bottom of the last one."""
        for line in lines:
            baseline, style = top + self.scale(ASCENT * size_pt), self.style
            if line:
                self.sheet.items.append(
                    Words(line, x, baseline, size_pt, style.font, style.dpi, align, muted)
                )
            top += self.line_height(size_pt)
        return top

    def write_upright(self, lines: list[str], left: float, middle: float, size_pt: float) -> float:
        """Write lines bottom to top, rightwards from ``left``; return the last one's right edge."""
        for line in lines:
            baseline = left + self.scale(ASCENT * size_pt)
            self.sheet.items.append(
                Words(
                    line,
                    baseline,
                    middle,
                    size_pt,
                    self.style.font,
                    self.style.dpi,
                    upright=True,
                )
            )
            left += self.line_height(size_pt)
        return left
