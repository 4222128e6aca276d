"""What alignment and a larger input are worth beside upsamplers, from reports that have such rows
(``evaluate ... --upsamplers bilinear,bilinear:plain,bilinear_x2``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from explorer.core import ONCE
from explorer.evidence.benches import BILINEAR
from explorer.evidence.blocks import Block, Paragraph
from explorer.evidence.blocks import Table as Grid
from explorer.evidence.collect import Evidence
from explorer.evidence.results import Report, cell_text, number_text
from explorer.upsamplers import UPSAMPLERS

PLAIN = ":plain"
Row = Mapping[str, Any]


def plain_tables(found: Evidence) -> Iterator[tuple[Report, Mapping[str, Any], dict[str, Row]]]:
    """Yield (report, table, rows by key) of the tables that have rows without alignment."""
    for report in found.reports:
        for table in report.tables:
            rows = {row["key"]: row for row in table["rows"]}
            if BILINEAR + PLAIN in rows and BILINEAR in rows:
                yield report, table, rows


def shift_blocks(found: Evidence) -> list[Block]:
    """Return a table per report: each method on features as they are read and aligned."""
    blocks: list[Block] = []
    for report, table, rows in plain_tables(found):
        columns = [column for column in table["columns"] if column["main"]]
        both = [key for key in rows if key + PLAIN in rows]
        head = [f"{c['head']}, {kind}" for c in columns for kind in ("not aligned", "aligned")]
        cells = tuple(
            (
                rows[key]["title"],
                *(
                    cell_text(rows[name]["cells"][column["key"]], column)
                    for column in columns
                    for name in (key + PLAIN, key)
                ),
            )
            for key in both
        )
        blocks += [
            Paragraph(
                f"`{report.name}`: {report.photos} photos; in brackets the difference to aligned "
                "bilinear with its paired 95% interval over photos."
            ),
            Grid(("", *head), cells, numbers=True),
        ]
    return blocks


def seconds_blocks(found: Evidence) -> list[Block]:
    """Return a table per report: aligned methods and larger inputs, fastest first."""
    blocks: list[Block] = []
    for report, table, rows in plain_tables(found):
        if not any(map(reads_again, rows)):
            continue
        columns = [column for column in table["columns"] if column["main"]]
        aligned = [row for key, row in rows.items() if not key.endswith(PLAIN)]
        aligned.sort(key=lambda row: sum(row["seconds"].values()))
        cells = tuple(
            (
                row["title"],
                f"{sum(row['seconds'].values()):.2f}",
                *(cell_text(row["cells"][column["key"]], column) for column in columns),
            )
            for row in aligned
        )
        blocks += [
            Paragraph(
                f"`{report.name}`: seconds per photo beyond one pass of the backbone, "
                f"{report.facts['settings'].get('input')} px, aligned."
            ),
            Grid(("", "s", *(column["head"] for column in columns)), cells, numbers=True),
        ]
    return blocks


def reads_again(key: str) -> bool:
    """Whether a row's method reads the backbone in a way of its own."""
    return key in UPSAMPLERS and UPSAMPLERS.get(key).reading != ONCE


def shift_verdict(found: Evidence) -> str:
    """Say how much aligned bilinear gains, beside what upsamplers gain without alignment."""
    parts = []
    for report, table, rows in plain_tables(found):
        column = _main(table)
        base = _mean(rows[BILINEAR + PLAIN], column)
        text = f"{report.name}: alignment alone "
        text += (
            f"{number_text(_mean(rows[BILINEAR], column) - base, column, True)} {column['head']}"
        )
        plain = [row for key, row in rows.items() if key.endswith(PLAIN)]
        if len(plain) > 1:
            best = _best([row for row in plain if row is not rows[BILINEAR + PLAIN]], column)
            gain = number_text(_mean(best, column) - base, column, True)
            text += f", the best upsampler without it {gain}"
        parts.append(text)
    return "; ".join(parts) + "." if parts else ""


def larger_verdict(found: Evidence) -> str:
    """Say which row scores best and whether it reads a larger input."""
    parts = []
    for report, table, rows in plain_tables(found):
        column = _main(table)
        aligned = {key: row for key, row in rows.items() if not key.endswith(PLAIN)}
        again = [row for key, row in aligned.items() if reads_again(key)]
        once = [row for key, row in aligned.items() if not reads_again(key)]
        if again:
            pair = "; ".join(_result(_best(rows, column), column) for rows in (again, once))
            parts.append(f"{report.name}, {column['head']}: {pair}")
    return ". ".join(parts) + "." if parts else ""


def _main(table: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(column for column in table["columns"] if column["main"])


def _mean(row: Row, column: Mapping[str, Any]) -> float:
    return row["cells"][column["key"]]["mean"]


def _best(rows: Sequence[Row], column: Mapping[str, Any]) -> Row:
    pick = max if column["higher"] else min
    return pick(rows, key=lambda row: _mean(row, column))


def _result(row: Row, column: Mapping[str, Any]) -> str:
    value = number_text(_mean(row, column), column)
    return f"{row['title']} {value} in {sum(row['seconds'].values()):.2f} s"
