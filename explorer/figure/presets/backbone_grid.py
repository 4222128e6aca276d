"""Backbones by methods."""

from __future__ import annotations

from collections.abc import Sequence

from explorer.core import Panel
from explorer.figure.presets.base import preset
from explorer.figure.style import DOUBLE, FigureStyle


@preset("backbone grid", order=50)
def backbone_grid(panels: Sequence[Panel]) -> FigureStyle:
    """Backbones by methods, tightly set: row and column labels, no other text."""
    return FigureStyle(
        width_in=DOUBLE,
        metrics=False,
        legends=False,
        colorbars=False,
        markers=False,
        rectangles=False,
        column_gap_pt=1.5,
        row_gap_pt=1.5,
    )
