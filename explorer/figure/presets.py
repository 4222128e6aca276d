"""Figure styles to start from, chosen for the panels at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from explorer.core import Panel
from explorer.figure.style import DOUBLE, SINGLE, FigureStyle, Inset

_SIDE = 64  # panels are compared at this size


def suggest_insets(
    panels: Sequence[Panel], count: int = 2, size: float = 0.25, place: str = "below"
) -> tuple[Inset, ...]:
    """Return zoom boxes where the pictures of a row differ most from each other.

    ``size`` is the side of a box as a fraction of the panel; boxes do not overlap. Pictures of the
    first row decide; a single picture is compared with a blurred copy of itself.
    """
    shown = [panel for panel in panels if panel.error is None]
    pictures = [panel.image for panel in shown if panel.row == shown[0].row]
    if not pictures:
        return ()
    if len(pictures) == 1:
        pictures.append(
            np.asarray(Image.fromarray(pictures[0]).resize((8, 8), Image.Resampling.BOX))
        )
    small = [
        np.asarray(Image.fromarray(p).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR), float)
        for p in pictures
    ]
    # a photo differs from a map everywhere: what counts is change of the difference, not its mean
    spread = np.stack(small).std(axis=0).mean(axis=-1)
    window = max(2, round(size * _SIDE))
    total = np.pad(spread.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    score = (
        total[window:, window:]
        - total[:-window, window:]
        - total[window:, :-window]
        + total[:-window, :-window]
    )
    edge = max(1, _SIDE // 32)  # a box that touches the border reads badly
    score[:edge], score[-edge:], score[:, :edge], score[:, -edge:] = (-np.inf,) * 4
    insets = []
    for _ in range(count):
        if not np.isfinite(score).any():
            break
        row, col = np.unravel_index(np.argmax(score), score.shape)
        box = (row / _SIDE, (row + window) / _SIDE, col / _SIDE, (col + window) / _SIDE)
        insets.append(Inset(tuple(float(value) for value in box), place=place))
        score[
            max(0, row - window + 1) : row + window, max(0, col - window + 1) : col + window
        ] = -np.inf
    # the crops stand in the order of their boxes: side by side below, one under the other beside
    first = 2 if place == "below" else 0
    return tuple(sorted(insets, key=lambda inset: inset.box[first]))


def _names(panels: Sequence[Panel]) -> tuple[list[str], list[str]]:
    rows = list(dict.fromkeys(panel.row for panel in panels))
    return rows, list(dict.fromkeys(panel.column for panel in panels))


def teaser_strip(panels: Sequence[Panel]) -> FigureStyle:
    """The first row alone, across the page: pictures and method names, nothing else."""
    rows, _ = _names(panels)
    return FigureStyle(
        width_in=DOUBLE,
        rows=tuple(rows[:1]),
        row_labels=False,
        metrics=False,
        colorbars=False,
        legends=False,
        markers=False,
        rectangles=False,
        column_gap_pt=2,
        font_size_pt=9,
    )


def method_comparison(panels: Sequence[Panel]) -> FigureStyle:
    """Methods side by side with two zoom boxes enlarged under every panel, and their numbers."""
    rows, _ = _names(panels)
    return FigureStyle(
        width_in=DOUBLE,
        row_labels=len(rows) > 1,
        insets=suggest_insets(panels, 2),
        markers=False,
        rectangles=False,
        column_gap_pt=3,
        row_gap_pt=6,
    )


def attention_figure(panels: Sequence[Panel]) -> FigureStyle:
    """What one pixel reads: query marker, window, scale and captions on every panel."""
    rows, columns = _names(panels)
    return FigureStyle(
        width_in=SINGLE if len(columns) <= 3 else DOUBLE,
        row_labels=len(rows) > 1,
        captions=True,
        legends=False,
    )


def probe_figure(panels: Sequence[Panel]) -> FigureStyle:
    """Predictions per method with their scores and one legend for all panels."""
    rows, columns = _names(panels)
    return FigureStyle(
        width_in=SINGLE if len(columns) <= 3 else DOUBLE,
        row_labels=len(rows) > 1,
        markers=False,
        rectangles=False,
    )


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


PRESETS: dict[str, Callable[[Sequence[Panel]], FigureStyle]] = {
    "teaser strip": teaser_strip,
    "method comparison with insets": method_comparison,
    "attention figure": attention_figure,
    "probe figure": probe_figure,
    "backbone grid": backbone_grid,
}
