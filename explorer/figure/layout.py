"""The layout of a figure: every position computed in whole pixels, nothing left to guesswork."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from explorer.core import ExplorerError, Panel
from explorer.figure import keys, marks
from explorer.figure.grid import Grid, arrange
from explorer.figure.labels import draw_columns, draw_row, fit_columns, fit_layout
from explorer.figure.sheet import Box, Pen, Sheet
from explorer.figure.style import MIN_FONT_PT, FigureStyle
from explorer.figure.text import SEPARATOR, clean, longest_word, wrap
from explorer.figure.tracks import Tracks, margin

TEXT_GAP_PT = 2.0  # between a picture and the text under it
FOOT_GAP_PT = 4.0  # above the legend and a bar for the whole figure

Lines = dict[tuple[int, int], list[str]]  # by (row, column)


@dataclass(frozen=True)
class Plan:
    """What is known before anything is drawn: the grid, its tracks and the texts under panels."""

    grid: Grid
    tracks: Tracks
    bars: keys.Bars
    captions: Lines
    metrics: Lines


def caption_of(panel: Panel, style: FigureStyle) -> str:
    """Return what is written under a panel; that something is untrained is never left out."""
    parts = [panel.caption] if style.captions and panel.caption else []
    said = style.origins or panel.weights == "untrained"
    if panel.origin and said and panel.origin not in " ".join(parts):  # printed once
        parts.append(f"({panel.origin})")
    return clean(" ".join(parts))


def _captions(grid: Grid, pen: Pen, widths: list[float]) -> Lines:
    style = pen.style
    return {
        (r, c): wrap(caption_of(panel, style), widths[c], pen.small_pt, style.font, lines=6)
        for (r, c), panel in grid.cells.items()
        if panel.error is None
    }


def metric_text(name: str, value: str) -> str:
    """Return a metric as it is printed; a name that ends in a number is set off by a colon."""
    name = clean(name)
    return clean(f"{name}{':' if name[-1:].isdigit() else ''} {value}")


def _metrics(grid: Grid, pen: Pen, widths: list[float]) -> Lines:
    """Return each cell's metric lines: all on one line, or every metric on a line of its own.

    Either holds for the whole figure, so that numbers to be compared stand on one line.
    """
    font = pen.style.font
    cells = {
        key: [metric_text(name, value) for name, value in panel.metrics]
        for key, panel in grid.cells.items()
        if pen.style.metrics and panel.error is None and panel.metrics
    }
    joined = {key: SEPARATOR.join(texts) for key, texts in cells.items()}
    usual = pen.small_pt
    alone = {key: text for key, text in joined.items() if len(cells[key]) == 1}
    while not _fit(alone, widths, pen) and pen.small_pt > MIN_FONT_PT:
        pen.small_pt = max(MIN_FONT_PT, pen.small_pt - 0.5)  # it could break inside a number only
    if not _fit(alone, widths, pen):
        pen.small_pt = usual
    if _fit(joined, widths, pen):
        return {key: [text] for key, text in joined.items()}
    words = [(longest_word(t, font), widths[c]) for (_, c), texts in cells.items() for t in texts]
    if any(word * pen.small_pt > width for word, width in words):
        pen.small_pt = MIN_FONT_PT
    if any(word * pen.small_pt > width for word, width in words):
        raise ExplorerError(
            f"the numbers do not fit under panels of {min(widths) / 72:.2f} inches; choose fewer "
            "columns, a larger width, or leave the metrics out"
        )
    split = {
        (r, c): [wrap(text, widths[c], pen.small_pt, font, lines=3) for text in texts]
        for (r, c), texts in cells.items()
    }
    found: Lines = {}
    for (r, c), texts in split.items():
        peers = [other for (row, _), other in split.items() if row == r]
        heights = [max(len(o[i]) for o in peers if i < len(o)) for i in range(len(texts))]
        padded = (t + [""] * (h - len(t)) for t, h in zip(texts, heights, strict=True))
        found[r, c] = [line for lines in padded for line in lines]
    return found


def _fit(texts: dict[tuple[int, int], str], widths: list[float], pen: Pen) -> bool:
    return all(pen.points(text) <= widths[c] for (_, c), text in texts.items())


def compose(panels: Sequence[Panel], style: FigureStyle) -> Sheet:
    """Lay out panels: a Sheet of positioned items in pixels at ``style.dpi``, origin top left."""
    grid = arrange(panels, style)
    sheet = Sheet(width=round(style.width_in * style.dpi), dpi=style.dpi)
    pen = Pen(sheet, style)
    bars = keys.place_bars(grid, style)
    row_labels, tracks = fit_layout(grid, pen, bars)
    columns = range(len(grid.columns))
    # neighbouring texts keep most of an em between them however close the panels stand
    tight = max(0.0, 0.75 * pen.small_pt - style.column_gap_pt)
    widths = [tracks.cell_width(c) * 72 / style.dpi - tight for c in columns]  # points
    column_labels = fit_columns(grid, style, widths)
    pen.small_pt = min(pen.small_pt, row_labels.size, column_labels.size)
    metrics = _metrics(grid, pen, widths)  # may need smaller text
    plan = Plan(grid, tracks, bars, _captions(grid, pen, widths), metrics)

    top = round(draw_columns(column_labels, pen, tracks, margin(style)))
    first, right = top, tracks.lefts[-1] + tracks.cell_width(len(grid.columns) - 1)
    need = round(2 * pen.line_height(pen.small_pt))  # of a bar with its two numbers
    for r in range(len(grid.rows)):
        bottom = _draw_row(plan, r, pen, top)
        pictures = tracks.heights[r] + tracks.below[r]
        bottom = max(bottom, draw_row(row_labels, r, pen, top, pictures))
        if bars.rows[r] is not None:
            keys.draw_upright(pen, bars.rows[r], right, top, max(tracks.heights[r], need))
            bottom = max(bottom, top + need)
        last = top + pictures
        top = round(bottom) + style.px(style.row_gap_pt)
    if bars.whole is not None:
        height = max(last - first, need)
        keys.draw_upright(pen, bars.whole, right, first, height)
        bottom = max(bottom, first + height)
    left = tracks.lefts[0]
    if bars.foot is not None:
        bottom = keys.draw_foot(pen, bars.foot, bottom + pen.scale(FOOT_GAP_PT), left, right - left)
    if style.legends and keys.legend_entries(grid):
        bottom = keys.draw_legend(pen, grid, bottom + pen.scale(FOOT_GAP_PT), left, right - left)
    sheet.height = int(bottom) + 1 + margin(style)
    return sheet


def _draw_row(plan: Plan, r: int, pen: Pen, top: int) -> float:
    """Draw one row of panels with everything under them and return its bottom."""
    grid, tracks = plan.grid, plan.tracks
    height, gap = tracks.heights[r], tracks.gap
    cells = [(c, panel) for (row, c), panel in sorted(grid.cells.items()) if row == r]
    for c, panel in cells:
        left, width = tracks.lefts[c], tracks.widths[c]
        frame = marks.draw_panel(panel, pen, Box(left, top, width, height))
        marks.draw_crops_below(panel, pen, frame, top + height + gap, gap)
        marks.draw_crops_beside(panel, pen, frame, left + width + gap, tracks.slots[c])
    y = float(top + height + tracks.below[r])
    if r in plan.bars.under:
        for c, panel in cells:
            if panel.colorbar is not None and panel.error is None:
                keys.draw_under(pen, panel.colorbar, tracks.lefts[c], y, tracks.widths[c])
        y += keys.under_height([panel for _, panel in cells], min(tracks.widths), pen)
    for texts in (plan.captions, plan.metrics):
        found = {c: texts[r, c] for c, _ in cells if texts.get((r, c))}
        if not found:
            continue
        y += pen.scale(TEXT_GAP_PT)
        bottoms = [
            pen.write(lines, tracks.lefts[c] + tracks.cell_width(c) / 2, y, pen.small_pt)
            for c, lines in found.items()
        ]
        y = max(bottoms)
    return y
