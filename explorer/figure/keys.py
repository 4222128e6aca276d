"""What explains the colours: colour bars beside or under the panels, and the legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from explorer.core import Colorbar, ExplorerError, Panel
from explorer.figure.grid import Grid
from explorer.figure.sheet import Box, Gradient, Pen, Stroke, rectangle
from explorer.figure.style import FigureStyle
from explorer.figure.text import clean, wrap

BAR_PT = 5.0  # thickness
GAP_PT = 2.5  # between a picture, its bar and the numbers
CHIP = 0.78  # of the text size
OUTLINE_PT = 0.4
LABEL_LINES = 3  # of the upright label beside a bar


@dataclass(frozen=True)
class Bars:
    """Where colour bars go.

    ``rows``: right of single rows; ``whole``: right of all of them; ``foot``: once under the
    figure; ``under``: the rows whose panels each have their own bar below.
    """

    rows: tuple[Colorbar | None, ...]
    whole: Colorbar | None = None
    foot: Colorbar | None = None
    under: frozenset[int] = frozenset()

    def at_right(self) -> list[Colorbar]:
        """Return the bars that need room at the right."""
        return [self.whole] if self.whole else [bar for bar in self.rows if bar]


def _distinct(panels: list[Panel]) -> list[Colorbar]:
    return list(dict.fromkeys(p.colorbar for p in panels if p.colorbar and p.error is None))


def place_bars(grid: Grid, style: FigureStyle) -> Bars:
    """Decide which colour bars are drawn and where; one scale is shown once."""
    none = (None,) * len(grid.rows)
    every = _distinct(list(grid.cells.values()))
    if not style.colorbars or not every:
        return Bars(none)
    by_row = [_distinct(grid.row(r)) for r in range(len(grid.rows))]
    if style.colorbar_place == "below":
        if len(every) == 1:
            return Bars(none, foot=every[0])
        return Bars(none, under=frozenset(r for r, found in enumerate(by_row) if found))
    if len(every) == 1 and all(by_row):
        return Bars(none, whole=every[0])
    return Bars(
        tuple(found[0] if len(found) == 1 else None for found in by_row),
        under=frozenset(r for r, found in enumerate(by_row) if len(found) > 1),
    )


def number(value: float) -> str:
    """Write the end of a scale with three digits and a true minus sign."""
    return f"{value:.3g}".replace("-", "\u2212")


def right_width(bars: Bars, pen: Pen, lines: int) -> int:
    """Return the pixels that the bars beside the panels take, with their numbers and labels of so
    many ``lines``.
    """
    found = bars.at_right()
    if not found:
        return 0
    numbers = max(pen.width(number(v), pen.small_pt) for b in found for v in (b.low, b.high))
    return round(pen.scale(2 * GAP_PT + BAR_PT) + numbers + lines * pen.line_height(pen.small_pt))


def label_lines(bars: Bars, pen: Pen, heights: Sequence[float]) -> int:
    """Return how many lines the labels beside the bars take on rows of these heights in pixels."""
    whole = [(bars.whole, sum(heights))] if bars.whole else zip(bars.rows, heights, strict=True)
    return max((len(_label(bar, height, pen)) for bar, height in whole if bar), default=0)


def _label(bar: Colorbar, height: float, pen: Pen) -> list[str]:
    room = height * 72 / pen.style.dpi
    return wrap(bar.label, room, pen.small_pt, pen.style.font, lines=LABEL_LINES)


def _outline(box: Box) -> Stroke:
    return Stroke(rectangle(box), "muted", OUTLINE_PT)


def draw_upright(pen: Pen, bar: Colorbar, left: float, top: float, height: float) -> None:
    """Draw a bar right of a row: its picture's height, numbers at the ends, label upright."""
    size, line = pen.small_pt, pen.line_height(pen.small_pt)
    box = Box(round(left + pen.scale(GAP_PT)), top, pen.style.px(BAR_PT), height)
    pen.sheet.items += [Gradient(bar.colors, box, upright=True), _outline(box)]
    x = box.right + pen.scale(GAP_PT * 0.8)
    pen.write([number(bar.high)], x, top, size, "left")
    pen.write([number(bar.low)], x, top + height - line, size, "left")
    numbers = max(pen.width(number(value), size) for value in (bar.low, bar.high))
    if bar.low < 0 < bar.high:
        middle = top + height * bar.high / (bar.high - bar.low) - line / 2
        if top + line <= middle <= top + height - 2 * line:
            pen.write(["0"], x, middle, size, "left")
    pen.write_upright(_label(bar, height, pen), x + numbers, top + height / 2, size)


def under_height(panels: list[Panel], width: float, pen: Pen) -> float:
    """Return the pixels that the bars under one row of panels take."""
    lines = [len(_lines(p.colorbar, width, pen)) for p in panels if p.colorbar and not p.error]
    if not lines:
        return 0.0
    return pen.scale(GAP_PT + BAR_PT * 0.8) + pen.line_height(pen.small_pt) * max(lines)


def _lines(bar: Colorbar, width: float, pen: Pen) -> list[tuple[str, str, str]]:
    """Return the text under a bar: (at its left end, in the middle, at its right end) per line."""
    size, label = pen.small_pt, clean(bar.label)
    low, high = number(bar.low), number(bar.high)
    ends, between = [pen.width(low, size), pen.width(high, size)], pen.scale(size * 0.8)
    if sum(ends) + pen.width(label, size) + 2 * between <= width:
        return [(low, label, high)]
    if max(ends) > width:
        raise ExplorerError(
            f"the colour bars do not fit under panels of {width / pen.style.dpi:.2f} inches; "
            "choose fewer columns, a larger width, or leave the colour bars out"
        )
    apart = sum(ends) + between <= width
    numbers = [(low, "", high)] if apart else [(low, "", ""), ("", "", high)]
    wrapped = wrap(label, width * 72 / pen.style.dpi, size, pen.style.font, lines=3)
    return numbers + [("", line, "") for line in wrapped]


def draw_under(pen: Pen, bar: Colorbar, left: float, top: float, width: float) -> None:
    """Draw a bar under one panel, as wide as the panel, numbers below its ends."""
    size = pen.small_pt
    box = Box(left, round(top + pen.scale(GAP_PT)), width, pen.style.px(BAR_PT * 0.8))
    pen.sheet.items += [Gradient(bar.colors, box, upright=False), _outline(box)]
    y = box.bottom
    for start, middle, end in _lines(bar, width, pen):
        pen.write([start], left, y, size, "left")
        pen.write([middle], left + width / 2, y, size)
        y = pen.write([end], left + width, y, size, "right")


def draw_foot(pen: Pen, bar: Colorbar, top: float, left: float, width: float) -> float:
    """Draw one bar for the whole figure, centred under it; return its bottom."""
    size = pen.small_pt
    length = round(width * 0.35)
    start = round(left + (width - length) / 2)
    line = pen.line_height(size)
    box = Box(start, round(top + (line - pen.scale(BAR_PT)) / 2), length, pen.style.px(BAR_PT))
    pen.sheet.items += [Gradient(bar.colors, box, upright=False), _outline(box)]
    pen.write([number(bar.low)], start - pen.scale(GAP_PT), top, size, "right")
    end = start + length + pen.scale(GAP_PT)
    pen.write([number(bar.high)], end, top, size, "left")
    label = clean(bar.label)
    beside = end + pen.width(number(bar.high) + "  ", size)
    if beside + pen.width(label, size) <= left + width:
        pen.write([label] if label else [], beside, top, size, "left")
        return top + line
    lines = wrap(label, width * 72 / pen.style.dpi, size, pen.style.font, lines=2)
    return pen.write(lines, left + width / 2, top + line, size)


def legend_entries(grid: Grid) -> list[tuple[str, tuple[int, int, int]]]:
    """Return every name and colour of the panels' legends once, in order."""
    entries = [(clean(n), tuple(c)) for panel in grid.shown() for n, c in panel.legend]
    return list(dict.fromkeys(entries))


def _columns(widths: list[float], room: float, gap: float) -> list[float]:
    """Return the widths of as many aligned columns as fit, filled row by row."""
    for count in range(len(widths), 1, -1):
        columns = [max(widths[i::count]) for i in range(count)]
        if sum(columns) + gap * (count - 1) <= room:
            return columns
    return [min(max(widths), room)]


def draw_legend(pen: Pen, grid: Grid, top: float, left: float, width: float) -> float:
    """Draw coloured chips and their names in aligned columns, centred; return the bottom."""
    entries = legend_entries(grid)
    if not entries:
        return top
    size, line = pen.small_pt, pen.line_height(pen.small_pt)
    chip, gap = round(pen.scale(size * CHIP)), pen.scale(size)
    room = width - chip - pen.scale(GAP_PT)
    texts = [
        (wrap(name, room * 72 / pen.style.dpi, size, pen.style.font, lines=1) or [""])[0]
        for name, _ in entries
    ]
    widths = [chip + pen.scale(GAP_PT) + pen.width(text, size) for text in texts]
    columns = _columns(widths, width, gap)
    start = left + (width - sum(columns) - gap * (len(columns) - 1)) / 2
    for index, ((_, color), text) in enumerate(zip(entries, texts, strict=True)):
        row, col = divmod(index, len(columns))
        x = start + sum(columns[:col]) + gap * col
        y = top + row * line * 1.08
        box = Box(round(x), round(y + (line - chip) / 2), chip, chip)
        fill = "#{:02x}{:02x}{:02x}".format(*(int(value) for value in color))
        pen.sheet.items.append(Stroke(rectangle(box), "muted", OUTLINE_PT, fill))
        pen.write([text] if text else [], box.right + pen.scale(GAP_PT), y, size, "left")
    return top + (len(entries) - 1) // len(columns) * line * 1.08 + line
