"""The report: Markdown for people, JSON for programs, a chart, all written atomically."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

from explorer.evaluation.methods import BASELINE
from explorer.evaluation.tables import Cell, Column, Row, Table

FILES = ("report.md", "report.json", "chart.png")


def write_report(
    out: Path, facts: dict[str, Any], tables: list[Table], name: str | None = None
) -> Path:
    """Write report.md, report.json and chart.png into ``out``; return the Markdown's path.

    With ``name`` the files are called by it: NAME.md, NAME.json and NAME.png.

    ``facts`` hold "title", "intro" (sentences), "settings", "data", "backbone", "methods",
    "versions", "machine", "seconds", "date", "command".

    Raises:
        OutputError: the folder cannot be written.
    """
    from explorer.evaluation.chart import chart
    from explorer.files.atomic import write_atomically
    from explorer.weights.paths import write_json

    text, data, picture = FILES if name is None else (f"{name}.{x}" for x in ("md", "json", "png"))
    content = {**facts, "tables": [table_json(table) for table in tables]}
    write_json(out / data, _finite(content))
    chart(tables, facts["title"], out / picture)
    write_atomically(out / text, markdown(facts, tables, picture).encode())
    return out / text


def markdown(facts: dict[str, Any], tables: list[Table], picture: str = FILES[2]) -> str:
    """Return the whole report as Markdown."""
    lines = [f"# {facts['title']}", ""]
    lines += [sentence for line in facts["intro"] for sentence in (line, "")]
    lines += [f"![chart]({picture})", ""]
    for table in tables:
        lines += [f"## {table.title[0].upper()}{table.title[1:]}", "", *table_markdown(table), ""]
        lines += [f"- {note}" for note in table.notes] + [""] * bool(table.notes)
        lines += per_class(table)
    lines += [
        "## Weights",
        "",
        "| | origin | checkpoint | sha256 | parameters |",
        "|---|---|---|---|--:|",
    ]
    for method in facts["methods"]:
        seal = (method["sha256"] or "-")[:16]
        name = ", ".join(part for part in (method["checkpoint"], method["remark"]) if part)
        lines.append(
            f"| {method['title']} | {method['origin']} | {name} | {seal} | "
            f"{method['parameters']:,} |"
        )
    lines += ["", "## How it was made", ""]
    for name in ("data", "backbone", "settings", "versions", "machine"):
        shown = ", ".join(f"{key} {_plain(value)}" for key, value in facts[name].items())
        lines.append(f"- {name}: {shown}")
    lines.append(f"- time: {facts['seconds'] / 60:.1f} minutes in this run, {facts['date']}")
    lines += ["", "```", facts["command"], "```", ""]
    return "\n".join(lines)


def table_markdown(table: Table) -> list[str]:
    """Return a table's lines; main columns carry the difference to bilinear."""
    timed = list(dict.fromkeys(name for row in table.rows for name in row.seconds))
    heads = ["", *(_head(c) for c in table.columns), *(f"{name}, s/photo" for name in timed)]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "--:|" * (len(heads) - 1)]
    for row in table.rows:
        cells = [cell_text(row.cells[column.key], column) for column in table.columns]
        cells += [f"{row.seconds[n]:.2f}" if n in row.seconds else "-" for n in timed]
        title = f"*{row.title}*" if row.control else f"**{row.title}**"
        lines.append("| " + " | ".join([title, *cells]) + " |")
    return lines


def cell_text(cell: Cell, column: Column) -> str:
    """Return "mean ± spread (difference [low, high])" in the column's scale."""
    text = column.show(cell.mean)
    if cell.spread is not None:
        text += f" ± {column.show(cell.spread)}"
    if column.main and cell.difference is not None and cell.interval and not _same(cell):
        low, high = (_signed(v, column) for v in cell.interval)
        text += f" ({_signed(cell.difference, column)} [{low}, {high}])"
    return text


def per_class(table: Table) -> list[str]:
    """Return the IoU of every class, for segmentation."""
    chosen = {key: d["iou"] for key, d in table.details.items() if "iou" in d}
    if not chosen:
        return []
    names = list(next(iter(chosen.values())))
    titles = {row.key: row.title for row in table.rows}
    lines = ["IoU per class (first seed):", "", "| | " + " | ".join(names) + " |"]
    lines.append("|---|" + "--:|" * len(names))
    for key, values in chosen.items():
        shown = ["-" if values[n] is None else f"{100 * values[n]:.1f}" for n in names]
        lines.append(f"| {titles[key]} | " + " | ".join(shown) + " |")
    return [*lines, ""]


def summary_line(facts: dict[str, Any], tables: list[Table], out: Path) -> str:
    """Return the one line that ends a run: the first main score of every method."""
    table = tables[0]
    column = next(c for c in table.columns if c.main)
    parts = []
    for row in table.rows:
        text = f"{row.key} {column.show(row.cells[column.key].mean)}"
        cell = row.cells[column.key]
        if cell.difference is not None and row.key != BASELINE:
            text += f" ({_signed(cell.difference, column)})"
        parts.append(text)
    return f"{facts['title']}: {column.head} {', '.join(parts)}; see {out}"


def table_json(table: Table) -> dict[str, Any]:
    """Return a table as plain values, unscaled."""
    return {
        "title": table.title,
        "columns": [dataclasses.asdict(column) for column in table.columns],
        "rows": [_row_json(row) for row in table.rows],
        "notes": table.notes,
        "details": table.details,
    }


def _row_json(row: Row) -> dict[str, Any]:
    return dataclasses.asdict(row)


def _head(column: Column) -> str:
    return f"{column.head} {'↑' if column.higher else '↓'}"


def _same(cell: Cell) -> bool:
    return cell.difference == 0 and tuple(cell.interval) == (0.0, 0.0)


def _signed(value: float, column: Column) -> str:
    return "-" if math.isnan(value) else f"{column.scale * value:+.{column.digits}f}"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{k} {_plain(v)}" for k, v in value.items()) + ")"
    if isinstance(value, list | tuple):
        return " ".join(_plain(v) for v in value)
    return str(value)


def _finite(value: Any) -> Any:
    """Return plain values with None for every number that is not finite (JSON has no NaN)."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
