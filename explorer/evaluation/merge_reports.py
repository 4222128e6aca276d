"""A method measured again, put into a report that is kept, if the run is the same but for it."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from pathlib import Path
from typing import Any

from explorer.core import ExplorerError
from explorer.core.validation import read_json
from explorer.evaluation.methods import BASELINE
from explorer.evaluation.report import FILES, write_report
from explorer.evaluation.tables import Cell, Row, Table
from explorer.evaluation.tasks import Column
from explorer.files.inputs import read_text

SAME = ("title", "data", "backbone", "settings")
NEEDED = (*SAME, "tables", "methods", "intro", "command", "date", "versions")
TOLERANCE = 1e-5  # of the baseline's scores, a share of those above 1: other processors and threads
# add in another order
LATER = ": measured in a later run ("


def renew(kept: Path, later: list[Path]) -> list[str]:
    """Put the rows of later reports into one that is kept, and write its three files anew.

    Args:
        kept: the report (.json) that gets the rows; its .md and .png lie beside it.
        later: reports (.json) of later runs with the same data, backbone and settings.

    Returns:
        the titles of the methods that were put in.

    Raises:
        ExplorerError: a file cannot be read, the runs differ in more than their methods, a run has
            no method but bilinear, or bilinear did not come out the same. Nothing is written then.
    """
    facts, tables = _read(kept)
    titles = []
    for path in later:
        titles += _put(facts, tables, path)
    write_report(kept.parent, facts, tables, None if kept.name == FILES[1] else kept.stem)
    return titles


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


def _read(path: Path) -> tuple[dict[str, Any], list[Table]]:
    """Return what a report says of its run, and its tables."""
    try:
        found = read_json(read_text(path), "its content")
        missing = [name for name in NEEDED if name not in found]
        if missing:
            raise ExplorerError(f"{path} is no report of evaluate: it has no {missing[0]}")
        tables = [table_from(table) for table in found.pop("tables")]
    except (OSError, ValueError) as error:
        raise ExplorerError(f"{path} cannot be read as a report: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise ExplorerError(f"{path} is no report of evaluate: {error!r} in a table") from None
    for table in tables:
        if not any(row.key == BASELINE for row in table.rows):
            raise ExplorerError(f"{path} has no row of bilinear in '{table.title}' to compare with")
    return found, tables


def _put(facts: dict[str, Any], tables: list[Table], path: Path) -> list[str]:
    """Put one later report's rows into the tables and tell of it; return the methods' titles."""
    new, fresh = _read(path)
    for name in SAME:
        if facts[name] != new[name]:
            raise ExplorerError(
                f"{path} has another {name} than the report that is kept: {new[name]} instead of "
                f"{facts[name]}; repeat its command with the same settings"
            )
    if [(t.title, t.columns) for t in fresh] != [(t.title, t.columns) for t in tables]:
        raise ExplorerError(f"{path} has other tables or columns than the report that is kept")
    measured = [method for method in new["methods"] if method["key"] != BASELINE]
    keys = {method["key"] for method in measured}
    if not measured or any(keys - {row.key for row in table.rows} for table in fresh):
        raise ExplorerError(f"{path} has no row beside bilinear's to put in, or not in every table")
    apart = max(_apart(*pair, path) for pair in zip(tables, fresh, strict=True))
    for table, later in zip(tables, fresh, strict=True):
        rows = [row for row in later.rows if row.key in keys]
        table.rows[:] = _replaced(table.rows, rows, lambda row: (row.key, row.control))
        details = table.details | {k: v for k, v in later.details.items() if k in keys}
        table.details.clear()
        table.details.update({r.key: details[r.key] for r in table.rows if r.key in details})
    before = {method["key"]: method for method in facts["methods"]}
    starts = {_called(m) + LATER for key, m in before.items() if key in keys}
    facts["methods"] = _replaced(
        facts["methods"], measured, lambda method: (method["key"], method["control"])
    )
    facts["intro"] = [line for line in facts["intro"] if not line.startswith(tuple(starts))]
    others = {k: v for k, v in new["versions"].items() if facts["versions"].get(k) != v}
    among = ", ".join(f"{name} {value}" for name, value in others.items())
    facts["intro"] += [
        f"{_called(method)}{LATER}{new['date']}{', with ' * bool(among)}{among}) with the same "
        f"settings, in which bilinear came out the same (to {max(apart, 1e-9):.0e})."
        for method in measured
    ]
    lines = facts["command"].splitlines() + new["command"].splitlines()
    facts["command"] = "\n".join(dict.fromkeys(lines))
    return [method["title"] for method in measured]


def _apart(table: Table, later: Table, path: Path) -> float:
    """Return how far the baselines of two runs are apart at most."""
    mine, theirs = (next(r for r in t.rows if r.key == BASELINE).cells for t in (table, later))
    pairs = [(cell.mean, theirs[key].mean) for key, cell in mine.items()]
    far = max(0.0 if isnan(a) and isnan(b) else abs(a - b) / max(1.0, abs(a)) for a, b in pairs)
    if not far <= TOLERANCE:
        raise ExplorerError(
            f"bilinear came out otherwise in {path} (by {far:.1e} in '{table.title}'), so its "
            "other rows cannot stand beside those that are kept"
        )
    return far


def _replaced(kept: list, fresh: list, named: Callable[[Any], tuple[str, bool]]) -> list:
    """Return the kept items with fresh ones in their places, new ones before the controls.

    ``named`` gives an item's key and whether it is a control.
    """
    news = {named(item)[0]: item for item in fresh}
    items = [news.pop(named(item)[0], item) for item in kept] + list(news.values())
    return sorted(items, key=lambda item: named(item)[1])


def _called(method: dict[str, Any]) -> str:
    return method["title"] + (f" ({method['remark']})" if method["remark"] else "")
