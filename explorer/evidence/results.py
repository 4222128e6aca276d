"""Reading the reports of ``evaluate`` that are shipped with the project."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from explorer.core import ExplorerError
from explorer.files.bundled import RESULTS

NEEDED = ("title", "tables", "data", "backbone", "settings", "methods", "date", "versions")
MAKE_ONE = (
    "python -m explorer evaluate segmentation --data DIR --labels labels13 "
    "--backbone efficientnet_lite0 --upsamplers bilinear,jafar,anyup --out RUN "
    "&& cp RUN/report.json docs/results/NAME.json"
)


@dataclass(frozen=True, eq=False)
class Report:
    """One report.json: ``name`` is its file's stem, ``facts`` what it holds."""

    name: str
    facts: Mapping[str, Any]

    @property
    def title(self) -> str:
        """The title of the run."""
        return str(self.facts["title"])

    @property
    def tables(self) -> list[Mapping[str, Any]]:
        """The tables, unscaled values with their columns' scales."""
        return self.facts["tables"]

    @property
    def backbone(self) -> str:
        """The name of the backbone."""
        return str(self.facts["backbone"].get("name", ""))

    @property
    def photos(self) -> int | None:
        """How many photos were tested."""
        return self.facts["data"].get("test")


def results_folder() -> Path:
    """The folder of shipped reports: ``docs/results/``, or what EXPLORER_RESULTS names."""
    named = os.environ.get("EXPLORER_RESULTS")
    return Path(named).expanduser() if named else RESULTS


def read_report(path: Path) -> Report:
    """Return the report in a file.

    Raises:
        ExplorerError: it cannot be read, or is not what ``evaluate`` writes.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExplorerError(f"the report {path.name} cannot be read: {error}") from None
    missing = [key for key in NEEDED if not isinstance(facts, dict) or key not in facts]
    if missing:
        raise ExplorerError(
            f"{path.name} is not a report of `python -m explorer evaluate`: it lacks "
            f"{', '.join(missing)}"
        )
    report = Report(path.stem, facts)
    try:
        _walk(report)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ExplorerError(
            f"{path.name} is not a report of `python -m explorer evaluate`: a table is broken "
            f"({type(error).__name__}: {error})"
        ) from None
    return report


def _walk(report: Report) -> None:
    """Touch everything that is read later, so that a broken file is found here."""
    for table in report.tables:
        for row in table["rows"]:
            str.partition(row["key"], "@")
            sum(row["seconds"].values())
            for column in table["columns"]:
                cell_text(row["cells"][column["key"]], column)
            _ = row["title"], table["title"]
    for method in report.facts["methods"]:
        _ = [method[key] for key in ("title", "origin", "checkpoint")]
        f"{method['parameters']:,} {(method['sha256'] or '')[:16]}"
    for part in ("data", "backbone", "settings", "versions"):
        report.facts[part].items()


def shipped_reports(folder: Path | None = None) -> tuple[list[Report], list[str]]:
    """Return the reports by file name, and a sentence for each file that is none."""
    found, faults = [], []
    for path in sorted((folder or results_folder()).glob("*.json")):
        try:
            found.append(read_report(path))
        except ExplorerError as error:
            faults.append(str(error))
    return found, faults


def arrow(column: Mapping[str, Any]) -> str:
    """Return which way is better."""
    return "↑" if column["higher"] else "↓"


def number_text(value: float | None, column: Mapping[str, Any], signed: bool = False) -> str:
    """Return an unscaled value as its column prints it, "-" for none."""
    if value is None:
        return "-"
    return f"{column['scale'] * value:{'+' if signed else ''}.{column['digits']}f}"


def cell_text(cell: Mapping[str, Any], column: Mapping[str, Any]) -> str:
    """Return "mean ± spread (difference [low, high])" as the report's own Markdown prints it."""
    text = number_text(cell["mean"], column)
    if cell.get("spread") is not None:
        text += f" ± {number_text(cell['spread'], column)}"
    return text + difference_text(cell, column, " (", ")")


def difference_text(
    cell: Mapping[str, Any], column: Mapping[str, Any], before: str = "", after: str = ""
) -> str:
    """Return the difference to bilinear with its interval, "" where a report shows none."""
    interval, difference = cell.get("interval"), cell.get("difference")
    if not column["main"] or difference is None or not interval:
        return ""
    if difference == 0 and tuple(interval) == (0, 0):
        return ""
    low, high = (number_text(value, column, signed=True) for value in interval)
    return f"{before}{number_text(difference, column, signed=True)} [{low}, {high}]{after}"


def rows_of(table: Mapping[str, Any], method: str) -> list[Mapping[str, Any]]:
    """Return a table's rows of an upsampler, whatever its checkpoint; untrained ones are left
    out.
    """
    return [
        row
        for row in table["rows"]
        if row["key"].partition("@")[0] == method and not row["key"].endswith("@untrained")
    ]
