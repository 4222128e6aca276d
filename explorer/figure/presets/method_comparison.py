"""Methods side by side with zoom boxes."""

from __future__ import annotations

from collections.abc import Sequence

from explorer.core import Panel
from explorer.figure.insets import suggest_insets
from explorer.figure.presets.base import preset, rows_of
from explorer.figure.style import DOUBLE, FigureStyle


@preset("method comparison with insets", order=20)
def method_comparison(panels: Sequence[Panel]) -> FigureStyle:
    """Methods side by side with two zoom boxes enlarged under every panel, and their numbers."""
    return FigureStyle(
        width_in=DOUBLE,
        row_labels=len(rows_of(panels)) > 1,
        insets=suggest_insets(panels, 2),
        markers=False,
        rectangles=False,
        column_gap_pt=3,
        row_gap_pt=6,
    )
