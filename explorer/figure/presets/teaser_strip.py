"""The first row across the page."""

from __future__ import annotations

from collections.abc import Sequence

from explorer.core import Panel
from explorer.figure.presets.base import preset, rows_of
from explorer.figure.style import DOUBLE, FigureStyle


@preset("teaser strip", order=10)
def teaser_strip(panels: Sequence[Panel]) -> FigureStyle:
    """The first row alone, across the page: pictures and method names, nothing else."""
    return FigureStyle(
        width_in=DOUBLE,
        rows=tuple(rows_of(panels)[:1]),
        row_labels=False,
        metrics=False,
        colorbars=False,
        legends=False,
        markers=False,
        rectangles=False,
        column_gap_pt=2,
        font_size_pt=9,
    )
