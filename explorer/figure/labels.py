"""Row and column labels: fitted to the panels, turned upright or level where they must be."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from explorer.figure.grid import Grid
from explorer.figure.keys import Bars, label_lines, right_width
from explorer.figure.sheet import Pen
from explorer.figure.style import FigureStyle
from explorer.figure.text import LINE, Fitted, clean, fit
from explorer.figure.tracks import Tracks, make_tracks, margin

LABEL_GAP_PT = 2.5  # between a label and its panels
UPRIGHT_PT = 72.0  # longest upright column label
LEVEL_SHARE = 0.18  # of the figure's width, for row labels that cannot stand upright


@dataclass(frozen=True)
class RowLabels:
    """The row labels' size and lines, how they read and the pixels they take at the left."""

    size: float
    lines: list[list[str]]
    upright: bool
    width: int


def fit_rows(grid: Grid, style: FigureStyle, pen: Pen, tracks: Tracks | None) -> RowLabels:
    """Fit the row labels: upright beside their pictures, or level if those are too low."""
    texts = [clean(style.label(name)) for name in grid.rows]
    if not style.row_labels or not any(texts):
        return RowLabels(style.font_size_pt, [[] for _ in texts], True, 0)
    upright, to_pt = True, 72 / style.dpi
    if tracks is None:
        fitted = Fitted(style.font_size_pt, [[text] for text in texts])
    else:
        lengths = [
            (height + below) * to_pt
            for height, below in zip(tracks.heights, tracks.below, strict=True)
        ]
        fitted = fit(texts, lengths, style.font_size_pt, style.font, lines=2)
        if not fitted.whole:
            upright = False
            most = style.width_in * 72 * LEVEL_SHARE
            fitted = fit(texts, [most] * len(texts), style.font_size_pt, style.font, lines=3)
    if upright:
        width = pen.line_height(fitted.size) * max(map(len, fitted.lines))
    else:
        width = max(pen.width(line, fitted.size) for found in fitted.lines for line in found)
    return RowLabels(fitted.size, fitted.lines, upright, round(width + pen.scale(LABEL_GAP_PT)))


def fit_layout(grid: Grid, pen: Pen, bars: Bars) -> tuple[RowLabels, Tracks]:
    """Find row labels and tracks that agree: labels narrow the pictures, which turn the labels."""
    style, edge = pen.style, margin(pen.style)
    labels, lines = fit_rows(grid, style, pen, None), 0
    while True:
        room = pen.sheet.width - 2 * edge - right_width(bars, pen, lines)
        tracks = make_tracks(grid, style, edge + labels.width, room - labels.width)
        again, more = fit_rows(grid, style, pen, tracks), label_lines(bars, pen, tracks.heights)
        if again.width <= labels.width and more <= lines:
            return dataclasses.replace(again, width=labels.width), tracks
        # only ever wider, until they fit or the pictures do not
        labels = max(labels, again, key=lambda found: found.width)
        lines = max(lines, more)


def fit_columns(grid: Grid, style: FigureStyle, widths: list[float]) -> Fitted:
    """Fit the column labels to widths in points: level, or upright where words are too long."""
    texts = [style.label(name) if style.column_labels else "" for name in grid.columns]
    level = fit(texts, widths, style.font_size_pt, style.font, lines=2)
    if level.whole:
        return level
    two = min(widths) >= 2 * LINE * style.font_size_pt  # room for two upright lines everywhere
    lengths = [UPRIGHT_PT] * len(texts)
    upright = fit(texts, lengths, style.font_size_pt, style.font, lines=1 if two else 0)
    return dataclasses.replace(upright, upright=True)


def draw_columns(labels: Fitted, pen: Pen, tracks: Tracks, top: float) -> float:
    """Write the labels over the columns, ending on one line; return the panels' top."""
    most = max(map(len, labels.lines))
    if not most:
        return top
    line = pen.line_height(labels.size)
    height = line * most
    if labels.upright:
        height = max(pen.width(t, labels.size) for found in labels.lines for t in found)
    for c, found in enumerate(labels.lines):
        x = tracks.lefts[c] + tracks.cell_width(c) / 2
        if not labels.upright:
            pen.write(found, x, top + line * (most - len(found)), labels.size)
            continue
        x -= line * len(found) / 2
        for text in found:
            middle = top + height - pen.width(text, labels.size) / 2
            x = pen.write_upright([text], x, middle, labels.size)
    return top + height + pen.scale(2 if labels.upright else 1)


def draw_row(labels: RowLabels, r: int, pen: Pen, top: float, height: float) -> float:
    """Write one row's label beside its pictures and return the room it needs below ``top``."""
    lines, left = labels.lines[r], margin(pen.style)
    block = pen.line_height(labels.size) * len(lines)
    if labels.upright:
        start = left + labels.width - pen.scale(LABEL_GAP_PT) - block
        pen.write_upright(lines, start, top + height / 2, labels.size)
        return top
    end = left + labels.width - pen.scale(LABEL_GAP_PT)
    pen.write(lines, end, top + max(0.0, (height - block) / 2), labels.size, "right")
    return top + block
