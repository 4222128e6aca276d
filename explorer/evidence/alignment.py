"""What alignment and a larger input are worth beside upsamplers, from reports that have such rows
(``evaluate ... --upsamplers bilinear,bilinear:plain,bilinear_x2``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from explorer.core import ONCE
from explorer.evidence.blocks import Block, Paragraph
from explorer.evidence.blocks import Table as Grid
from explorer.evidence.collect import Evidence
from explorer.evidence.results import Report, cell_text, number_text
from explorer.upsamplers import UPSAMPLERS

PLAIN = ":plain"
BILINEAR = "bilinear"
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
        column = next(column for column in table["columns"] if column["main"])

        def score(key: str, rows: dict[str, Row] = rows, column: Any = column) -> float:
            return rows[key]["cells"][column["key"]]["mean"]

        base = score(BILINEAR + PLAIN)
        sign = 1 if column["higher"] else -1
        others = [key for key in rows if key.endswith(PLAIN) and key != BILINEAR + PLAIN]
        best = max(others, key=lambda key: sign * score(key))
        parts.append(
            f"{report.name}: alignment alone {number_text(score(BILINEAR) - base, column, True)} "
            f"{column['head']}, the best upsampler without it "
            f"{number_text(score(best) - base, column, True)}"
        )
    return "; ".join(parts) + "." if parts else ""


def larger_verdict(found: Evidence) -> str:
    """Say which row scores best and whether it reads a larger input."""
    parts = []
    for report, table, rows in plain_tables(found):
        column = next(column for column in table["columns"] if column["main"])
        aligned = {key: row for key, row in rows.items() if not key.endswith(PLAIN)}
        if not any(map(reads_again, aligned)):
            continue
        sign = 1 if column["higher"] else -1

        def best(keys: list[str], sign: int = sign, rows: dict[str, Row] = rows, c: Any = column):
            row = max((rows[k] for k in keys), key=lambda r: sign * r["cells"][c["key"]]["mean"])
            value = number_text(row["cells"][c["key"]]["mean"], c)
            return f"{row['title']} {value} in {sum(row['seconds'].values()):.2f} s"

        again = [key for key in aligned if reads_again(key)]
        once = [key for key in aligned if key not in again]
        parts.append(f"{report.name}, {column['head']}: {best(again)}; {best(once)}")
    return ". ".join(parts) + "." if parts else ""
