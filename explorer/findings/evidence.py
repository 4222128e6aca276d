"""What was measured in this project, as sentences: read from the cards and the shipped reports."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from explorer.findings.benches import training_costs, window_effects
from explorer.findings.results import (
    Report,
    difference_text,
    number_text,
    rows_of,
    shipped_reports,
)
from explorer.hub.places import checkpoints_folder
from explorer.upsamplers import UPSAMPLERS

NOT_YET = "Not measured here yet."
TITLES = {"loftup": "LoftUp", "naf": "NAF"}  # published, not among the registered ones
FACTORS = (2, 4)


@dataclass(frozen=True, eq=False)
class Known:
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


def known(checkpoints: Path | None = None, results: Path | None = None) -> Known:
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
    return Known(tuple(cards), tuple(reports), (*faults, *fault, *further), training, window)


def title_of(method: str) -> str:
    """Return a method's name as papers write it; what follows a comma stays."""
    name, comma, rest = method.partition(",")
    title = UPSAMPLERS.get(name).title if name in UPSAMPLERS else TITLES.get(name, name)
    return title + comma + rest


def reconstruction_text(found: Known, method: str, backbone: str) -> str | None:
    """Return a sentence on how a method's weights reconstruct a backbone's features."""
    card = found.card(method, backbone)
    if card is None:
        return None
    scores = card["scores"][backbone]
    gains = " / ".join(f"{scores[f'gain_x{factor}']:+.4f}" for factor in FACTORS)
    unseen = "" if backbone in _seen(card) else ", a backbone it never saw"
    return (
        f"{title_of(method)} (`{card['name']}`) on {backbone}{unseen}: cosine {gains} over bilinear"
        f" at x2 / x4, {scores['photos']} held-out photos"
    )


def report_texts(found: Known, methods: tuple[str, ...]) -> list[str]:
    """Return a sentence per report table in which every one of ``methods`` stands."""
    texts = []
    for report, table in _tables(found):
        rows = [row for method in methods for row in rows_of(table, method)]
        if not all(rows_of(table, method) for method in methods):
            continue
        parts = []
        for column in (c for c in table["columns"] if c["main"]):
            shown = []
            for row in rows:
                cell = row["cells"][column["key"]]
                text = f"{row['title']} {number_text(cell['mean'], column)}"
                shown.append(text + difference_text(cell, column, " (", ")"))
            parts.append(f"{column['head']} {', '.join(shown)}")
        texts.append(f"{_where(report, table)}: {'; '.join(parts)}")
    return texts


def leader_texts(found: Known) -> list[str]:
    """Return a sentence per report table on which row leads its first main column, controls
    included.
    """
    texts = []
    for report, table in _tables(found):
        column = next(c for c in table["columns"] if c["main"])
        rows = [r for r in table["rows"] if r["cells"][column["key"]]["mean"] is not None]
        rows = [r for r in rows if r["key"] != "photo"]
        if not rows:
            continue
        sign = 1 if column["higher"] else -1
        best = max(rows, key=lambda r: sign * r["cells"][column["key"]]["mean"])
        cell = best["cells"][column["key"]]
        others = "; ".join(row["title"] for row in rows if row is not best)
        value = f"{number_text(cell['mean'], column)} {column['head']}"
        text = f"{best['title']} leads ({others} behind) with {value}"
        difference = difference_text(cell, column, ", ", " to bilinear")
        texts.append(f"{_where(report, table)}: {text}{difference}")
    return texts


def seconds(found: Known, method: str) -> dict[str, float]:
    """Return the seconds per photo of a method by report, upsampling and reading together."""
    times = {}
    for report, table in _tables(found):
        for row in rows_of(table, method)[:1]:
            if row["seconds"] and report.name not in times:
                times[report.name] = sum(row["seconds"].values())
    return times


def lines(texts: list[str | None], otherwise: str = NOT_YET) -> str:
    """Return sentences as the lines of a cell, or what stands there if there are none."""
    return "\n".join(text for text in texts if text) or otherwise


def _tables(found: Known) -> Iterator[tuple[Report, Mapping[str, Any]]]:
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


def _where(report: Report, table: Mapping[str, Any]) -> str:
    photos = f", {report.photos} photos" if report.photos else ""
    return f"`{report.name}`, {table['title']}{photos}"


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
