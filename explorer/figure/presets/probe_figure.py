"""Predictions per method."""

from __future__ import annotations

from collections.abc import Sequence

from explorer.core import Panel
from explorer.figure.presets.base import columns_of, preset, rows_of
from explorer.figure.style import DOUBLE, SINGLE, FigureStyle


@preset("probe figure", order=40)
def probe_figure(panels: Sequence[Panel]) -> FigureStyle:
    """Predictions per method with their scores and one legend for all panels."""
    return FigureStyle(
        width_in=SINGLE if len(columns_of(panels)) <= 3 else DOUBLE,
        row_labels=len(rows_of(panels)) > 1,
        markers=False,
        rectangles=False,
    )
