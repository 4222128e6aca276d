"""From sums and per-photo values to the rows of a table: means, spreads, differences, intervals."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from explorer.evaluation.comparing import Comparison, Measured
from explorer.evaluation.methods import BASELINE
from explorer.evaluation.probing import OWN, Outcome
from explorer.evaluation.statistics import difference_intervals, mean_interval, over_seeds
from explorer.evaluation.tasks import Column, Task


@dataclass(frozen=True)
class Cell:
    """A mean with its spread over seeds, and its difference to the baseline with a 95% interval."""

    mean: float
    spread: float | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    seeds: tuple[float, ...] = ()
    wins: float | None = None  # share of photos on which the baseline is beaten


@dataclass(frozen=True)
class Row:
    """One method's cells by column key."""

    key: str
    title: str
    control: bool
    cells: dict[str, Cell]
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """Rows under columns, with a title and sentences that belong to it."""

    title: str
    columns: tuple[Column, ...]
    rows: list[Row]
    notes: list[str]
    details: dict[str, object] = field(default_factory=dict)


def probe_tables(task: Task, outcomes: list[Outcome]) -> list[Table]:
    """Return a table per kind of probe, each method compared with bilinear under the same kind."""
    tables = []
    for variant in dict.fromkeys(outcome.variant for outcome in outcomes):
        chosen = [outcome for outcome in outcomes if outcome.variant == variant]
        base = next(o for o in chosen if o.method.key == BASELINE)
        rows = [_probe_row(task, outcome, base) for outcome in chosen]
        details = {o.method.key: task.details(o.sums.sum(axis=0)[0]) for o in chosen}
        if variant == OWN:
            title = f"{task.name}, a probe of each method's own"
            notes = []
        else:
            title = f"{task.name}, one probe trained on bilinear features and shared"
            notes = ["Preservation: no method but bilinear had a say in this probe."]
        tables.append(Table(title, task.columns, rows, notes + details[BASELINE]["notes"], details))
    return tables


def comparison_table(comparison: Comparison, measured: list[Measured]) -> Table:
    """Return the table of a comparison; cells are means over photos."""
    base = next(row for row in measured if row.method and row.method.key == BASELINE)
    rows, notes = [], []
    for found in measured:
        cells = {}
        for column in comparison.columns:
            values, theirs = found.values[column.key], base.values[column.key]
            kept = np.isfinite(values) & np.isfinite(theirs)
            if not kept.any():
                cells[column.key] = Cell(float("nan"))
                continue
            gain = (values - theirs)[kept]
            better = gain if column.higher else -gain
            cells[column.key] = Cell(
                float(values[kept].mean()),
                difference=float(gain.mean()),
                interval=mean_interval(gain),
                wins=float((better > 0).mean()),
            )
        method = found.method
        rows.append(
            Row(
                method.key if method else "photo",
                method.title if method else "The photo's own gradient",
                method.control if method else True,
                cells,
                {"all": found.seconds} if method else {},
            )
        )
    return Table(comparison.name, comparison.columns, rows, notes)


def _probe_row(task: Task, outcome: Outcome, base: Outcome) -> Row:
    per_seed = over_seeds(outcome.sums, task.scores)
    theirs = over_seeds(base.sums, task.scores)
    intervals = {}
    if outcome is not base:
        intervals = difference_intervals(outcome.sums, base.sums, task.scores)
    cells = {}
    for column in task.columns:
        values = per_seed[column.key]
        cells[column.key] = Cell(
            float(values.mean()),
            float(values.std(ddof=1)) if len(values) > 1 else None,
            float(values.mean() - theirs[column.key].mean()) if intervals else None,
            intervals.get(column.key),
            tuple(float(v) for v in values),
        )
    method = outcome.method
    return Row(method.key, method.title, method.control, cells, outcome.seconds)
