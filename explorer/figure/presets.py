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
    first row decide, without the photo, which differs from maps everywhere; a single picture is
    compared with a blurred copy of itself.
    """
    shown = [panel for panel in panels if panel.error is None]
    row = [panel for panel in shown if panel.row == shown[0].row]
    maps = [panel for panel in row if panel.role != "photo"]
    pictures = [panel.image for panel in (maps or row)]
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
    apart = 2 * edge
    score[:edge], score[-edge:], score[:, :edge], score[:, -edge:] = (-np.inf,) * 4
    insets = []
    for _ in range(count):
        if not np.isfinite(score).any():
            break
        row, col = np.unravel_index(np.argmax(score), score.shape)
        box = (row / _SIDE, (row + window) / _SIDE, col / _SIDE, (col + window) / _SIDE)
        insets.append(Inset(tuple(float(value) for value in box), place=place))
        far = window + apart  # boxes that touch read as one
        score[max(0, row - far + 1) : row + far, max(0, col - far + 1) : col + far] = -np.inf
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
    """What one pixel reads: query marker, window, scale, and its surroundings enlarged."""
    rows, columns = _names(panels)
    single = len(columns) <= 3
    return FigureStyle(
        width_in=SINGLE if single else DOUBLE,
        row_labels=len(rows) > 1,
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
