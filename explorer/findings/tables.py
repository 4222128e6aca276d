"""The published tables and our own reports as passages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from explorer.findings.claims import cited, margins_text
from explorer.findings.evidence import Known, title_of
from explorer.findings.passages import Code, Fold, Grid, Heading, Passage, Words
from explorer.findings.published import (
    ANYUP,
    JAFAR,
    PUBLISHED,
    SETTING,
    PublishedTable,
    across_papers,
    like_for_like,
)
from explorer.findings.results import MAKE_ONE, Report, cell_text

STEPS = ("prepare", "predict", "all")  # what a report times, in this order
WARNING = (
    "Never mix columns of different papers: their probes were trained with different schedules, "
    "and JAFAR's own table is older than a correction of its scheduler. Setting JAFAR's column of "
    f"its paper against AnyUp's of the other gives AnyUp {margins_text(across_papers())}. Like for "
    f"like, within AnyUp's paper, the margins are {margins_text(like_for_like())}."
)


def published_passages() -> list[Passage]:
    """Return the papers' tables with their sources and the warning."""
    passages: list[Passage] = [
        Heading("Published"),
        Words(f"From {cited(ANYUP)} and {cited(JAFAR)}. {SETTING}"),
        Words(WARNING, warning=True),
    ]
    for table in PUBLISHED:
        where = table.source.name if table.source else "published, the paper was not noted"
        passages.append(Heading(f"{table.title} ({where})", 3))
        passages.append(_published_grid(table))
    return passages


def report_passages(found: Known) -> list[Passage]:
    """Return the shipped reports, or how to make one."""
    passages: list[Passage] = [Heading("Our tables")]
    passages += [Words(fault, warning=True) for fault in found.faults]
    if not found.reports:
        sentence = (
            "There is no report in `docs/results/` yet; this makes one (the photos and labels are "
            "yours to bring):"
        )
        return [*passages, Words(sentence), Code(MAKE_ONE)]
    passages.append(
        Words(
            "Every upsampler gets the same frozen features, seeds and schedule. ± is the standard "
            "deviation over seeds; in brackets the difference to bilinear with its 95% interval "
            "over test photos. Controls are in italics."
        )
    )
    for report in found.reports:
        passages += _report(report)
    return passages


def _published_grid(table: PublishedTable) -> Grid:
    head = ("", *(f"{score.head} {'↑' if score.higher else '↓'}" for score in table.scores))
    rows = tuple(
        (
            title_of(method),
            *(score.show(v) for score, v in zip(table.scores, values, strict=True)),
        )
        for method, values in table.rows.items()
    )
    return Grid(head, rows, numbers=True)


def _report(report: Report) -> list[Passage]:
    facts = report.facts
    passages: list[Passage] = [
        Heading(report.title[:1].upper() + report.title[1:], 3),
        Words(_summary(report)),
    ]
    for table in report.tables:
        title = str(table["title"])
        passages.append(Heading(title[:1].upper() + title[1:], 4))
        passages.append(_report_grid(table))
        passages += [Words(str(note)) for note in table.get("notes", [])]
    weights = Grid(
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
    made = [Words(str(sentence)) for sentence in facts.get("intro", [])]
    for name in ("data", "backbone", "settings", "versions", "machine"):
        if name in facts:
            made.append(Words(f"{name}: {_facts(facts[name])}"))
    if facts.get("command"):
        made.append(Code(str(facts["command"])))
    fold = Fold(f"How it was made, {facts['date']}", (*made, weights))
    return [*passages, fold]


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


def _report_grid(table: Mapping[str, Any]) -> Grid:
    columns = table["columns"]
    timed = sorted({name for row in table["rows"] for name in row["seconds"]}, key=_step)
    head = ("", *(f"{c['head']} {'↑' if c['higher'] else '↓'}" for c in columns))
    rows = []
    for row in table["rows"]:
        cells = [cell_text(row["cells"][column["key"]], column) for column in columns]
        times = [row["seconds"].get(name) for name in timed]
        shown = ["-" if value is None else f"{value:.2f}" for value in times]
        rows.append((str(row["title"]), *cells, *shown))
    quiet = frozenset(n for n, row in enumerate(table["rows"]) if row.get("control"))
    return Grid((*head, *(f"{name}, s/photo" for name in timed)), tuple(rows), True, (), quiet)


def _facts(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def _step(name: str) -> tuple[int, str]:
    """Order what a report times: as it happens, then what is unknown here."""
    return (STEPS.index(name) if name in STEPS else len(STEPS)), name
