"""A method measured again, put into a report that is kept, if the run is the same but for it."""

from __future__ import annotations

import json
from math import isnan
from pathlib import Path
from typing import Any

from explorer.core import ExplorerError
from explorer.evaluation.methods import BASELINE
from explorer.evaluation.report import write_report
from explorer.evaluation.tables import Cell, Row, Table
from explorer.evaluation.tasks import Column

SAME = ("title", "data", "backbone", "settings")
TOLERANCE = 1e-6  # of the baseline's scores: other threads add in another order
LATER = "measured in a later run ("


def renew(kept: Path, fresh: Path) -> list[str]:
    """Put the rows of one report into another and write its three files anew.

    Args:
        kept: the report (.json) that gets the rows; its .md and .png lie beside it.
        fresh: the report (.json) of a later run with the same data, backbone and settings.

    Returns:
        the titles of the methods that were put in.

    Raises:
        ExplorerError: a file cannot be read, the runs differ in more than their methods, or
            bilinear did not come out the same in both.
    """
    old, new = _read(kept), _read(fresh)
    for name in SAME:
        if old[name] != new[name]:
            raise ExplorerError(
                f"{fresh} differs from {kept.name} in its {name}: {new[name]} instead of "
                f"{old[name]}; repeat its command with the same settings"
            )
    tables = [table_from(table) for table in old["tables"]]
    later = {table["title"]: table_from(table) for table in new["tables"]}
    if set(later) != {table.title for table in tables}:
        raise ExplorerError(f"{fresh} holds other tables than {kept.name}: {', '.join(later)}")
    apart = max(_apart(table, later[table.title], fresh) for table in tables)
    measured = [method for method in new["methods"] if method["key"] != BASELINE]
    for table in tables:
        _put(table, later[table.title])
    old["methods"] = _replaced(old["methods"], measured, lambda method: method["key"])
    old["intro"] = [line for line in old["intro"] if not _is_about(line, measured)]
    old["intro"] += [
        f"{method['title']}{' (' + method['remark'] + ')' if method['remark'] else ''}: {LATER}"
        f"{new['date']}) with the same settings, in which bilinear came out the same (to "
        f"{max(apart, 1e-9):.0e})."
        for method in measured
    ]
    lines = old["command"].splitlines() + new["command"].splitlines()
    old["command"] = "\n".join(dict.fromkeys(lines))
    write_report(kept.parent, old, tables, kept.stem)
    return [method["title"] for method in measured]


def table_from(plain: dict[str, Any]) -> Table:
    """Return the table that ``table_json`` made plain values of."""
    rows = []
    for row in plain["rows"]:
        cells = {key: _cell(cell) for key, cell in row["cells"].items()}
        rows.append(Row(row["key"], row["title"], row["control"], cells, row["seconds"]))
    details = {row.key: plain["details"][row.key] for row in rows if row.key in plain["details"]}
    columns = tuple(Column(**column) for column in plain["columns"])
    return Table(plain["title"], columns, rows, plain["notes"], details)


def _cell(plain: dict[str, Any]) -> Cell:
    def number(value: float | None) -> float:
        return float("nan") if value is None else value

    interval = plain["interval"]
    return Cell(
        number(plain["mean"]),
        plain["spread"],
        plain["difference"],
        None if interval is None else (number(interval[0]), number(interval[1])),
        tuple(number(value) for value in plain["seeds"]),
        plain["wins"],
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExplorerError(f"{path} cannot be read as a report: {error}") from None
    missing = {*SAME, "tables", "methods", "intro", "command", "date"} - set(found)
    if missing:
        raise ExplorerError(f"{path} is no report of evaluate: it has no {sorted(missing)[0]}")
    return found


def _apart(table: Table, later: Table, fresh: Path) -> float:
    """Return how far the baselines of two runs are apart at most."""
    mine, theirs = (next(r for r in t.rows if r.key == BASELINE).cells for t in (table, later))
    pairs = [(cell.mean, theirs[key].mean) for key, cell in mine.items()]
    far = max(0.0 if isnan(a) and isnan(b) else abs(a - b) for a, b in pairs)
    if not far <= TOLERANCE:
        raise ExplorerError(
            f"bilinear came out otherwise in {fresh} (by {far:.1e} in '{table.title}'), so its "
            "other rows cannot stand beside those that are kept"
        )
    return far


def _put(table: Table, later: Table) -> None:
    rows = [row for row in later.rows if row.key != BASELINE]
    table.rows[:] = _replaced(table.rows, rows, lambda row: row.key)
    for row in rows:
        if row.key in later.details:
            table.details[row.key] = later.details[row.key]


def _replaced(kept: list, fresh: list, key) -> list:
    """Return the kept items with fresh ones in their places, and new ones at the end."""
    news = {key(item): item for item in fresh}
    return [news.pop(key(item), item) for item in kept] + list(news.values())


def _is_about(line: str, methods: list[dict[str, Any]]) -> bool:
    """Whether a sentence of the introduction tells of an earlier time a method was put in."""
    return LATER in line and any(
        line.startswith((f"{method['title']}:", f"{method['title']} (")) for method in methods
    )
