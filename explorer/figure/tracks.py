"""The columns and rows of a figure in whole pixels."""

from __future__ import annotations

from dataclasses import dataclass

from explorer.core import ExplorerError
from explorer.figure import marks
from explorer.figure.grid import Grid
from explorer.figure.sheet import Box
from explorer.figure.style import FigureStyle

MIN_PANEL_PT = 12.0
CROP_GAP_PT = 2.0  # between a picture and its crops
# Keeps strokes and accents on the edge from being cut off; a dark sheet shows its edge.
MARGIN_PT = {"light": 1.0, "dark": 4.0, "transparent": 1.0}


def margin(style: FigureStyle) -> int:
    """Return the free pixels around a figure."""
    return style.px(MARGIN_PT[style.theme])


@dataclass(frozen=True)
class Tracks:
    """Columns and rows in pixels: where pictures start, how large they and their crops are."""

    lefts: tuple[int, ...]
    widths: tuple[int, ...]  # pictures
    slots: tuple[int, ...]  # crops beside them
    heights: tuple[int, ...]  # pictures
    below: tuple[int, ...]  # crops under them, with the gap before them
    gap: int  # between a picture and its crops

    def cell_width(self, col: int) -> int:
        """Return the width of a picture with the crops beside it."""
        return self.widths[col] + (self.gap + self.slots[col] if self.slots[col] else 0)


def make_tracks(grid: Grid, style: FigureStyle, left: int, room: int) -> Tracks:
    """Share ``room`` pixels from ``left`` on among the columns; row heights follow."""
    gap, between = style.px(CROP_GAP_PT), style.px(style.column_gap_pt)
    beside = [inset for inset in style.insets if inset.place == "beside"]
    below = [inset for inset in style.insets if inset.place == "below"]
    if beside:  # crops must stand nearer to their own panel than to the next one
        between = max(between, 3 * gap)
    count = len(grid.columns)
    share = marks.beside_share(beside)
    free = room - between * (count - 1) - (gap * count if beside else 0)
    unit = free / (sum(grid.weights) * (1 + share))
    if min(grid.weights) * unit < style.px(MIN_PANEL_PT):
        raise ExplorerError(
            f"{count} columns do not fit into {style.width_in:g} inches; "
            "choose fewer columns, a larger width or fewer labels"
        )
    widths = tuple(int(unit * weight) for weight in grid.weights)
    base = widths[0] / grid.weights[0]
    heights = tuple(max(1, round(base / aspect)) for aspect in grid.aspects)
    slots = tuple(
        min(marks.beside_width(beside, width, height, gap) for height in heights)
        for width in widths
    )
    used = sum(widths) + sum(slots) + (gap * count if beside else 0)
    spare = room - used
    lefts, x = [], left
    for c in range(count):
        lefts.append(x)
        x += widths[c] + (gap + slots[c] if beside else 0)
        # whole pixels left over by equal widths go into the gaps, one by one
        if c < count - 1:
            x += round(spare * (c + 1) / (count - 1)) - round(spare * c / (count - 1))
    under = []
    for r, height in enumerate(heights):
        tallest = 0
        for c, width in enumerate(widths):
            panel = grid.cells.get((r, c))
            if panel is not None:
                frame = marks.frame_of(panel, Box(0, 0, width, height))
                sizes = marks.crops_below(below, frame.w, frame.w / frame.h, gap)
                tallest = max([tallest, *(gap + h for _, h in sizes)])
        under.append(tallest)
    return Tracks(tuple(lefts), widths, slots, heights, tuple(under), gap)
