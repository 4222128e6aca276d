"""Our own reports as blocks: what they say at a glance, then each in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from explorer.evidence.blocks import Block, Code, Details, Heading, Paragraph, Table
from explorer.evidence.collect import Evidence
from explorer.evidence.results import MAKE_ONE, Report, arrow, cell_text, number_text

STEPS = ("prepare", "predict", "all")  # what a report times, in this order


def report_blocks(found: Evidence) -> list[Block]:
    """Return the shipped reports, or how to make one."""
    blocks = glance_blocks(found)
    if not found.reports:
        return blocks
    return [
        *blocks,
        Heading("In full", 3),
        Paragraph(
            "± is the standard deviation over seeds; in brackets the difference to bilinear with "
            "its 95% interval over test photos. Controls are in italics."
        ),
        *(_report(report) for report in found.reports),
    ]


def glance_blocks(found: Evidence) -> list[Block]:
    """Return the main measures of the shipped reports, or how to make one."""
    blocks: list[Block] = [Heading("Our tables")]
    blocks += [Paragraph(fault, warning=True) for fault in found.faults]
    if not found.reports:
        sentence = (
            "There is no report in `docs/results/` yet; this makes one (the photos and labels are "
            "yours to bring):"
        )
        return [*blocks, Paragraph(sentence), Code(MAKE_ONE)]
    blocks.append(
        Paragraph(
            "Every upsampler gets the same frozen features, seeds and schedule. Here are the main "
            "measures: bilinear's value, and by how much the others differ from it; in brackets "
            "where the 95% interval over test photos holds 0. Reports in full: `docs/results/`."
        )
    )
    return [*blocks, *_glance(found.reports)]


def _glance(reports: Sequence[Report]) -> Iterator[Block]:
    """Yield a heading and a grid per kind of table; columns are measures on backbones."""
    kinds: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for report in reports:
        about, _, backbone = report.title.rpartition(", ")
        for table in report.tables:
            task, comma, probe = str(table["title"]).partition(", ")
            kinds.setdefault((about or task) + comma + probe, []).append((backbone, table))
    for kind, tables in kinds.items():
        rows = {row["key"]: row for _, table in tables for row in table["rows"]}
        measures = [
            (column, backbone, {row["key"]: row["cells"][column["key"]] for row in table["rows"]})
            for place in range(max(len(table["columns"]) for _, table in tables))
            for backbone, table in tables
            for column in table["columns"][place : place + 1]
            if column["main"]
        ]
        if not measures:
            continue
        head = [
            _broken(f"{c['head']} {arrow(c)}", " ") + _broken(b, "-").strip()
            for c, b, _ in measures
        ]
        shown = tuple(
            (str(row["title"]), *(_difference(cells.get(key), c) for c, _, cells in measures))
            for key, row in rows.items()
        )
        quiet = frozenset(n for n, row in enumerate(rows.values()) if row.get("control"))
        yield Heading(kind[:1].upper() + kind[1:], 4)
        yield Table(("", *head), shown, True, (), quiet)


def _broken(text: str, at: str, longest: int = 12) -> str:
    """Return a line, or two if it is long: six columns fit a page then."""
    start, found, rest = text.partition(at)
    return f"{start}{found.strip()}\n{rest}\n" if len(text) > longest and found else f"{text}\n"


def _difference(cell: Mapping[str, Any] | None, column: Mapping[str, Any]) -> str:
    """Return the difference to bilinear, in brackets if it could be none; else the value."""
    if cell is None:
        return "-"
    interval = cell.get("interval")
    if cell.get("difference") is None or not interval or tuple(interval) == (0, 0):
        return number_text(cell["mean"], column)
    text = number_text(cell["difference"], column, signed=True)
    return f"({text})" if interval[0] <= 0 <= interval[1] else text


def _report(report: Report) -> Details:
    facts = report.facts
    blocks: list[Block] = [Paragraph(_summary(report))]
    for table in report.tables:
        title = str(table["title"])
        blocks.append(Heading(title[:1].upper() + title[1:], 4))
        blocks.append(_report_grid(table))
        blocks += [Paragraph(str(note)) for note in table.get("notes", [])]
    weights = Table(
        ("", "origin", "checkpoint", "sha256", "parameters"),
        tuple(
            (
                str(method["title"]),
                str(method["origin"]),
                str(method["checkpoint"]),
                (method["sha256"] or "-")[:16],
                f"{method['parameters']:,}",
            )
            for method in facts["methods"]
        ),
    )
    made = [Paragraph(str(sentence)) for sentence in facts.get("intro", [])]
    for name in ("data", "backbone", "settings", "versions", "machine"):
        if name in facts:
            made.append(Paragraph(f"{name}: {_facts(facts[name])}"))
    if facts.get("command"):
        made.append(Code(str(facts["command"])))
    blocks.append(Details(f"How it was made, {facts['date']}", (*made, weights)))
    title = report.title[:1].upper() + report.title[1:]
    return Details(f"{title} ({report.name})", tuple(blocks))


def _summary(report: Report) -> str:
    """Return one line: data, photos, seeds, sizes, date."""
    facts = report.facts
    data, settings = facts["data"], facts["settings"]
    parts = [f"{data.get('folder', 'photos')}, {report.photos} test photos"]
    if data.get("train"):
        parts.append(f"{data['train']} to learn from")
    if "seeds" in settings:
        parts.append(f"{settings['seeds']} seeds")
    if "input" in settings:
        parts.append(f"input {settings['input']}, output {settings.get('output') or 'as labels'}")
    return ", ".join([*parts, str(facts["date"])]) + f" · `docs/results/{report.name}.json`"


def _report_grid(table: Mapping[str, Any]) -> Table:
    columns = table["columns"]
    timed = sorted({name for row in table["rows"] for name in row["seconds"]}, key=_step)
    head = ("", *(f"{c['head']} {arrow(c)}" for c in columns))
    rows = []
    for row in table["rows"]:
        cells = [cell_text(row["cells"][column["key"]], column) for column in columns]
        times = [row["seconds"].get(name) for name in timed]
        shown = ["-" if value is None else f"{value:.2f}" for value in times]
        rows.append((str(row["title"]), *cells, *shown))
    quiet = frozenset(n for n, row in enumerate(table["rows"]) if row.get("control"))
    return Table((*head, *(f"{name}, s/photo" for name in timed)), tuple(rows), True, (), quiet)


def _facts(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def _step(name: str) -> tuple[int, str]:
    """Order what a report times: as it happens, then what is unknown here."""
    return (STEPS.index(name) if name in STEPS else len(STEPS)), name
