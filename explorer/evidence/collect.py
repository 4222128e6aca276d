"""What was measured in this project, as tables: read from the cards and the shipped reports."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from explorer.evidence.benches import training_costs, window_effects
from explorer.evidence.blocks import Block, Paragraph, Table
from explorer.evidence.results import (
    Report,
    arrow,
    difference_text,
    number_text,
    rows_of,
    shipped_reports,
)
from explorer.upsamplers import UPSAMPLERS
from explorer.weights.paths import checkpoints_folder

NOT_YET = "Not measured here yet."
TITLES = {"loftup": "LoftUp", "naf": "NAF"}  # published, not among the registered ones
FACTORS = (2, 4)
GAINS = (
    "Reconstruction of held-out photos: cosine minus bilinear's, from features of the half-size "
    "(x2) and the quarter-size (x4) photo."
)
REPORTS = (
    "From the reports; in brackets the difference to bilinear with its 95% interval over test "
    "photos."
)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Cards of the upsamplers trained here, the reports, what ``bench training`` and ``bench
    window`` wrote; ``faults``: what could not be read.
    """

    cards: tuple[Mapping[str, Any], ...] = ()
    reports: tuple[Report, ...] = ()
    faults: tuple[str, ...] = field(default=())
    training: Mapping[str, Any] | None = None
    window: Mapping[str, Any] | None = None

    def card(self, method: str, backbone: str) -> Mapping[str, Any] | None:
        """Return the method's card with scores on a backbone, the one made for it first."""
        fitting = [c for c in self.cards if c["method"] == method and backbone in c["scores"]]
        return min(fitting, key=lambda c: c["backbone"] != backbone, default=None)

    def gains(self, method: str, backbone: str) -> tuple[float, ...] | None:
        """Return the gains over bilinear in reconstruction at x2 and x4."""
        card = self.card(method, backbone)
        if card is None:
            return None
        scores = card["scores"][backbone]
        return tuple(scores[f"gain_x{factor}"] for factor in FACTORS)

    def backbones(self, method: str) -> list[str]:
        """Return the backbones on which a method has scores."""
        mine = [card for card in self.cards if card["method"] == method]
        return list(dict.fromkeys(name for card in mine for name in card["scores"]))


def known(checkpoints: Path | None = None, results: Path | None = None) -> Evidence:
    """Read the cards and reports that are shipped, or those of other folders."""
    cards = []
    for path in sorted((checkpoints or checkpoints_folder()).glob("*.json")):
        try:
            card = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # `weights` complains about broken cards
            continue
        if isinstance(card, dict) and card.get("method") in UPSAMPLERS and _scored(card):
            cards.append(card)
    reports, faults = shipped_reports(results)
    training, fault = training_costs(results)
    window, further = window_effects(results)
    return Evidence(tuple(cards), tuple(reports), (*faults, *fault, *further), training, window)


def title_of(method: str) -> str:
    """Return a method's name as papers write it; what follows a comma stays."""
    name, comma, rest = method.partition(",")
    title = UPSAMPLERS.get(name).title if name in UPSAMPLERS else TITLES.get(name, name)
    return title + comma + rest


def reconstruction_blocks(found: Evidence, pairs: Iterable[tuple[str, str]]) -> list[Block]:
    """Return how weights reconstruct features, a row per (method, backbone) that has a card."""
    rows = []
    for method, backbone in pairs:
        card = found.card(method, backbone)
        if card is None:
            continue
        scores = card["scores"][backbone]
        gains = [scores[f"gain_x{factor}"] for factor in FACTORS]
        unseen = "" if backbone in _seen(card) else ", a backbone it never saw"
        name = f"{title_of(method)} (`{card['name']}`)"
        rows.append(gains_row(name, backbone + unseen, gains, scores["photos"]))
    return gains_blocks(rows)


def gains_row(name: str, backbone: str, gains: Sequence[float], photos: int) -> tuple[str, ...]:
    """Return a row of ``gains_blocks``."""
    return (f"{name} on {backbone}", *(f"{gain:+.4f}" for gain in gains), str(photos))


def gains_blocks(rows: Sequence[tuple[str, ...]]) -> list[Block]:
    """Return a sentence and a table of gains in reconstruction, nothing without rows."""
    if not rows:
        return []
    head = ("", *(f"x{factor}" for factor in FACTORS), "photos")
    return [Paragraph(GAINS), Table(head, tuple(rows), numbers=True)]


def comparison_blocks(found: Evidence, methods: tuple[str, ...]) -> list[Block]:
    """Return the main measures of every report table that has a row of each of ``methods``."""
    lines: list[tuple[str, str, dict[str, str]]] = []
    for report, table in _tables(found):
        rows = [row for method in methods for row in rows_of(table, method)]
        if not all(rows_of(table, method) for method in methods):
            continue
        for column in (c for c in table["columns"] if c["main"]):
            cells = {str(row["title"]): _with_interval(row, column) for row in rows}
            lines.append((_where(report, table, column), str(report.photos or "-"), cells))
    if not lines:
        return []
    titles = list(dict.fromkeys(title for *_, cells in lines for title in cells))
    rows = tuple(
        (where, photos, *(cells.get(title, "-") for title in titles))
        for where, photos, cells in lines
    )
    widths = (38, 6, *[56 // len(titles)] * len(titles))
    return [Paragraph(REPORTS), Table(("", "photos", *titles), rows, widths=widths)]


def leader_blocks(found: Evidence) -> list[Block]:
    """Return the first two rows of each report table by its first main column, controls included;
    the photo's own pixels do not count.
    """
    lines = []
    for report, table in _tables(found):
        column = next(c for c in table["columns"] if c["main"])
        sign = 1 if column["higher"] else -1
        ranked = sorted(
            (r for r in table["rows"] if r["key"] != "photo" and _mean(r, column) is not None),
            key=lambda row: -sign * _mean(row, column),
        )
        if not ranked:
            continue
        shown = [f"{row['title']} {_with_interval(row, column)}" for row in ranked[:2]]
        shown += ["-"] * (2 - len(shown))
        of = f"{report.photos or '-'}"
        lines.append((_where(report, table, column), of, str(len(ranked)), *shown))
    if not lines:
        return []
    head = ("", "photos", "rows", "first", "second")
    return [Paragraph(REPORTS), Table(head, tuple(lines), widths=(38, 6, 8, 24, 24))]


def seconds(found: Evidence, method: str) -> dict[str, float]:
    """Return the seconds per photo of a method by report, upsampling and reading together."""
    times = {}
    for report, table in _tables(found):
        for row in rows_of(table, method)[:1]:
            if row["seconds"] and report.name not in times:
                times[report.name] = sum(row["seconds"].values())
    return times


def _tables(found: Evidence) -> Iterator[tuple[Report, Mapping[str, Any]]]:
    """Yield the tables of the backbone most photos were tested with: others have their say in the
    tables at a glance.
    """
    tested: dict[str, int] = {}
    for report in found.reports:
        tested[report.backbone] = tested.get(report.backbone, 0) + (report.photos or 0)
    main = max(tested, key=lambda name: tested[name], default=None)
    for report in (report for report in found.reports if report.backbone == main):
        for table in report.tables:
            if any(column["main"] for column in table["columns"]):
                yield report, table


def _where(report: Report, table: Mapping[str, Any], column: Mapping[str, Any]) -> str:
    """Return two lines: the report and its measure, the task and its probe."""
    return f"`{report.name}`: {column['head']} {arrow(column)}\n{table['title']}"


def _mean(row: Mapping[str, Any], column: Mapping[str, Any]) -> float | None:
    return row["cells"][column["key"]]["mean"]


def _with_interval(row: Mapping[str, Any], column: Mapping[str, Any]) -> str:
    """Return "35.0 (+5.0 [+4.0, +6.0])": a value, its difference to bilinear with the interval."""
    cell = row["cells"][column["key"]]
    return number_text(cell["mean"], column) + difference_text(cell, column, " (", ")")


def _seen(card: Mapping[str, Any]) -> list[str]:
    recipe = card.get("recipe")
    trained = recipe.get("backbones", []) if isinstance(recipe, Mapping) else []
    return [card["backbone"], *card.get("trained_on", []), *trained]


def _scored(card: Mapping[str, Any]) -> bool:
    """Whether the card has reconstruction scores by backbone."""
    wanted = [f"{kind}_x{factor}" for kind in ("gain", "bilinear", "jbu") for factor in FACTORS]
    scores = card.get("scores")
    return (
        isinstance(scores, Mapping)
        and bool(scores)
        and all(
            isinstance(s, Mapping) and all(key in s for key in ("photos", *wanted))
            for s in scores.values()
        )
    )
