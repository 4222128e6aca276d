"""What one pixel reads."""

from __future__ import annotations

from collections.abc import Sequence

from explorer.core import Panel
from explorer.figure.presets.base import columns_of, preset, rows_of
from explorer.figure.style import DOUBLE, SINGLE, FigureStyle, Inset


@preset("attention figure", order=30)
def attention_figure(panels: Sequence[Panel]) -> FigureStyle:
    """What one pixel reads: query marker, window, scale, and its surroundings enlarged."""
    single = len(columns_of(panels)) <= 3
    return FigureStyle(
        width_in=SINGLE if single else DOUBLE,
        row_labels=len(rows_of(panels)) > 1,
        colorbar_place="below" if single else "right",
        insets=_around_window(panels),
        row_gap_pt=6,
    )


def _around_window(panels: Sequence[Panel]) -> tuple[Inset, ...]:
    """Return one box around the smallest window that a panel reads from, if it is a part of it."""
    windows = [p.rectangle for p in panels if p.rectangle is not None and p.error is None]
    if not windows:
        return ()
    row0, row1, col0, col1 = min(windows, key=lambda w: (w[1] - w[0]) * (w[3] - w[2]))
    side = max(row1 - row0, col1 - col0) * 1.3  # the same share of both sides: the picture's shape
    if side > 0.5:
        return ()
    box: list[float] = []
    for low, high in ((row0, row1), (col0, col1)):
        start = min(max((low + high - side) / 2, 0.0), 1 - side)
        box += [start, min(start + side, 1.0)]
    return (Inset(tuple(box)),)
