"""The numbers that papers report, read from published.json, each with its source."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("published.json")


@dataclass(frozen=True)
class Source:
    """A paper: what it is called here, its arXiv id."""

    name: str
    arxiv: str

    @property
    def url(self) -> str:
        """Where it can be read."""
        return f"https://arxiv.org/abs/{self.arxiv}"


@dataclass(frozen=True)
class Score:
    """A column: its head, the digits it was printed with, and which way is better."""

    head: str
    digits: int
    higher: bool = True

    def show(self, value: float | None) -> str:
        """Return the value as the paper printed it, "-" if it printed none."""
        return "-" if value is None else f"{value:.{self.digits}f}"


@dataclass(frozen=True)
class PublishedTable:
    """Rows by upsampler (registry names), columns as in the paper."""

    key: str
    title: str
    source: Source | None
    scores: tuple[Score, ...]
    rows: dict[str, tuple[float, ...]]

    def value(self, method: str, head: str) -> float | None:
        """Return one number, None if the paper has none."""
        for score, value in zip(self.scores, self.rows.get(method, ()), strict=False):
            if score.head == head:
                return value
        return None

    def best(self, head: str) -> str:
        """Return the method that leads a column."""
        score = next(s for s in self.scores if s.head == head)
        sign = 1 if score.higher else -1
        return max(self.rows, key=lambda method: sign * self.value(method, head))


def _table(key: str, facts: dict[str, Any], papers: dict[str, Source]) -> PublishedTable:
    return PublishedTable(
        key,
        facts["title"],
        papers[facts["paper"]] if facts["paper"] else None,
        tuple(Score(**score) for score in facts["scores"]),
        {method: tuple(values) for method, values in facts["rows"].items()},
    )


_FACTS = json.loads(FILE.read_text(encoding="utf-8"))
_PAPERS = {key: Source(**paper) for key, paper in _FACTS["papers"].items()}
_TABLES = {key: _table(key, facts, _PAPERS) for key, facts in _FACTS["tables"].items()}

SETTING: str = _FACTS["setting"]
ANYUP, JAFAR = _PAPERS["anyup"], _PAPERS["jafar"]
SEGMENTATION = _TABLES["anyup-segmentation"]
JAFAR_SEGMENTATION = _TABLES["jafar-segmentation"]
GEOMETRY = _TABLES["anyup-geometry"]
PRESERVATION = _TABLES["anyup-preservation"]
WINDOW = _TABLES["anyup-window"]
TRAINING_MEMORY = _TABLES["anyup-memory"]
PUBLISHED = tuple(_TABLES.values())
SHARED_DATASETS = ("COCO-Stuff", "VOC", "ADE20K")


def margins(mine: PublishedTable, theirs: PublishedTable) -> dict[str, float]:
    """Return AnyUp's mIoU in ``mine`` minus JAFAR's in ``theirs``, per dataset."""
    return {
        head: round(mine.value("anyup", head) - theirs.value("jafar", head), 2)
        for head in SHARED_DATASETS
    }


def like_for_like() -> dict[str, float]:
    """Return AnyUp minus JAFAR where both were probed alike: in AnyUp's paper."""
    return margins(SEGMENTATION, SEGMENTATION)


def across_papers() -> dict[str, float]:
    """Return AnyUp of its paper minus JAFAR of its own: the popular comparison of unlikes."""
    return margins(SEGMENTATION, JAFAR_SEGMENTATION)
