"""A dot chart of the main scores: methods down the side, one panel per score and kind of probe."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from explorer.evaluation.tables import Table
from explorer.files.atomic import part_file

METHOD, CONTROL, LINE = "#1f5fa8", "#8a8f98", "#c9ccd1"


def chart(tables: list[Table], title: str, out: Path) -> None:
    """Draw the main columns of every table; bars are the spread over seeds (or the 95% interval).

    The dashed line is bilinear; controls are grey. Raises OutputError.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [(table, column) for table in tables for column in table.columns if column.main]
    timed = [table for table in tables if sum(bool(row.seconds) for row in table.rows) > 2]
    columns = min(2, len(panels))
    rows = -(-(len(panels) + len(timed)) // columns)
    longest = max(len(table.rows) for table, _ in panels)
    size = (1.6 + 4.2 * columns, 0.7 + rows * (1.0 + 0.34 * longest))
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    grid = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).flatten()
    for place, (table, column) in enumerate(panels):
        _panel(grid[place], table, column, first=place % columns == 0)
    for place, table in enumerate(timed, len(panels)):
        _against_seconds(grid[place], table)
    for axes in grid[len(panels) + len(timed) :]:
        axes.set_visible(False)
    spread = any(c.spread is not None for t, _ in panels for r in t.rows for c in r.cells.values())
    bars = "± one standard deviation over seeds" if spread else "95% interval of the difference"
    figure.suptitle(f"{title[0].upper()}{title[1:]}", fontsize=10)
    figure.supxlabel(f"bars: {bars} · dashed: bilinear · grey: controls", fontsize=7)
    with part_file(out) as part:
        figure.savefig(part, format=out.suffix.lstrip(".").lower() or "png")


def _against_seconds(axes, table: Table) -> None:
    """Draw the first main column over the seconds per photo, on a logarithmic axis."""
    column = next(column for column in table.columns if column.main)
    shown = [row for row in table.rows if row.seconds and np.isfinite(row.cells[column.key].mean)]
    points = [
        (max(sum(row.seconds.values()), 1e-3), column.scale * row.cells[column.key].mean)
        for row in shown
    ]
    heights = [value for _, value in points]
    step = (max(heights) - min(heights) or 1) / 18  # between two lines of words
    written = -np.inf
    for place in np.argsort(heights):
        row, (seconds, value) = shown[place], points[place]
        colour = CONTROL if row.control else METHOD
        axes.plot(seconds, value, "o", ms=4, color=colour)
        written = max(value, written + step)
        axes.annotate(
            row.title,
            (seconds, value),
            xytext=(1.06, written),
            textcoords=("axes fraction", "data"),
            va="center",
            fontsize=6.5,
            color=colour,
            arrowprops={"arrowstyle": "-", "color": LINE, "lw": 0.6},
        )
    axes.set_xscale("log")
    axes.tick_params(labelsize=7)
    axes.grid(color="#eef0f2")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("seconds per photo beyond one pass of the backbone", fontsize=7)
    axes.set_title(f"{column.head} against time\n{table.title}", fontsize=8, loc="left")


def _panel(axes, table: Table, column, first: bool) -> None:
    shown = [row for row in table.rows if np.isfinite(row.cells[column.key].mean)]
    for place, row in enumerate(shown):
        cell = row.cells[column.key]
        colour = CONTROL if row.control else METHOD
        mean = column.scale * cell.mean
        bars = None
        if cell.spread is not None:
            bars = column.scale * cell.spread
        elif cell.interval and cell.difference:
            low, high = cell.interval
            bars = [
                [column.scale * (cell.difference - low)],
                [column.scale * (high - cell.difference)],
            ]
        axes.errorbar(mean, place, xerr=bars, fmt="o", ms=5, color=colour, capsize=2, lw=1.2)
        axes.annotate(
            column.show(cell.mean),
            (mean, place),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=7,
            color=colour,
        )
        if row.key == "bilinear":
            axes.axvline(mean, color=LINE, ls="--", lw=1, zorder=0)
    axes.set_yticks(range(len(shown)), [row.title for row in shown] if first else [], fontsize=8)
    axes.set_ylim(len(shown) - 0.4, -0.8)
    axes.margins(x=0.12)
    axes.tick_params(axis="x", labelsize=7)
    axes.grid(axis="x", color="#eef0f2")
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    better = "higher is better" if column.higher else "lower is better"
    axes.set_title(f"{column.head} ({better})\n{table.title}", fontsize=8, loc="left")
