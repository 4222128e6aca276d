"""Panels in rows and columns: selection, order, and the shape each picture is drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from explorer.core import ExplorerError, Panel
from explorer.figure.style import FigureStyle


@dataclass(frozen=True, eq=False)
class Grid:
    """Panels by (row, column) and the shapes of their pictures.

    ``aspects[r]`` is width / height of row r's pictures; ``weights[c]`` the relative width of
    column c (all 1 unless each column has its own shape and the rows share a height).
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: dict[tuple[int, int], Panel]
    aspects: tuple[float, ...]
    weights: tuple[float, ...]

    def row(self, index: int) -> list[Panel]:
        """Return the panels of one row, left to right."""
        return [panel for (r, _), panel in sorted(self.cells.items()) if r == index]

    def shown(self) -> list[Panel]:
        """Return every panel that has a picture, row by row."""
        return [panel for _, panel in sorted(self.cells.items()) if panel.error is None]


def _choose(kind: str, present: list[str], wanted: tuple[str, ...] | None) -> tuple[str, ...]:
    if wanted is None:
        return tuple(present)
    for name in wanted:
        if name not in present:
            raise ExplorerError(
                f"no panel has the {kind} {name[:80]!r}; choose from: {', '.join(present)}"
            )
    if len(set(wanted)) < len(wanted):
        raise ExplorerError(f"the same {kind} was chosen twice; name each {kind} once")
    if not wanted:
        raise ExplorerError(f"no {kind} was chosen; choose at least one of: {', '.join(present)}")
    return tuple(wanted)


def _check(panel: Panel) -> None:
    image = panel.image
    if panel.error is None and not (
        isinstance(image, np.ndarray)
        and image.dtype == np.uint8
        and image.ndim == 3
        and image.shape[2] == 3
        and image.size
    ):
        raise ExplorerError(
            f"the panel {panel.row!r} / {panel.column!r} has no (H, W, 3) uint8 picture"
        )


def covers(panel: Panel, aspect: float) -> bool:
    """Whether a picture has this width / height, up to rounding its sides to whole cells."""
    height, width = panel.image.shape[:2]
    return abs(width - height * aspect) < 1 or abs(height - width / aspect) < 1


def _shape(panels: list[Panel]) -> tuple[float, bool]:
    """Return the aspect of the largest picture and whether all the others have it too."""
    pictures = [panel for panel in panels if panel.error is None]
    if not pictures:
        return 1.0, True
    height, width = max((p.image.shape[:2] for p in pictures), key=lambda s: s[0] * s[1])
    return width / height, all(covers(panel, width / height) for panel in pictures)


def arrange(panels: Sequence[Panel], style: FigureStyle) -> Grid:
    """Put panels into rows and columns; raises ExplorerError for none, doubles, unknown names."""
    if not panels:
        raise ExplorerError("there are no panels to draw; compute at least one picture first")
    known: dict[tuple[str, str], Panel] = {}
    for panel in panels:
        _check(panel)
        if (panel.row, panel.column) in known:
            raise ExplorerError(
                f"two panels share the row {panel.row!r} and the column {panel.column!r}; "
                "give them different names"
            )
        known[panel.row, panel.column] = panel
    rows = _choose("row", list(dict.fromkeys(p.row for p in panels)), style.rows)
    columns = _choose("column", list(dict.fromkeys(p.column for p in panels)), style.columns)
    if style.transposed:
        rows, columns = columns, rows
        known = {(column, row): panel for (row, column), panel in known.items()}
    cells = {
        (r, c): known[row, column]
        for r, row in enumerate(rows)
        for c, column in enumerate(columns)
        if (row, column) in known
    }
    if not cells:
        raise ExplorerError("no panel lies in the chosen rows and columns; choose others")
    by_row = [_shape([p for (i, _), p in cells.items() if i == r]) for r in range(len(rows))]
    by_column = [_shape([p for (_, i), p in cells.items() if i == c]) for c in range(len(columns))]
    if not all(same for _, same in by_row) and all(same for _, same in by_column):
        weights = tuple(aspect for aspect, _ in by_column)
        # rows share a height, so one aspect for the whole: that of a column of weight 1
        return Grid(rows, columns, cells, (1.0,) * len(rows), weights)
    aspects = tuple(aspect for aspect, _ in by_row)
    return Grid(rows, columns, cells, aspects, (1.0,) * len(columns))
