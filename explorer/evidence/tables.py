"""The published tables as blocks."""

from __future__ import annotations

from explorer.evidence.blocks import Block, Heading, Paragraph, Table
from explorer.evidence.collect import title_of
from explorer.evidence.published import (
    ANYUP,
    JAFAR,
    PUBLISHED,
    SETTING,
    PublishedTable,
    Source,
    across_papers,
    like_for_like,
)


def linked(source: Source) -> str:
    """Return a source as a link."""
    return f"[{source.name}]({source.url})"


def cited(source: Source) -> str:
    """Return a source as a link with its arXiv id."""
    return f"[{source.name}, arXiv {source.arxiv}]({source.url})"


def margins_text(margins: dict[str, float]) -> str:
    """Return margins as "COCO-Stuff +0.34, ..."."""
    return ", ".join(f"{head} {value:+.2f}" for head, value in margins.items())


def score_grid(table: PublishedTable) -> Table:
    """Return a published table."""
    head = ("", *(f"{score.head} {'↑' if score.higher else '↓'}" for score in table.scores))
    rows = tuple(
        (
            title_of(method),
            *(score.show(v) for score, v in zip(table.scores, values, strict=True)),
        )
        for method, values in table.rows.items()
    )
    return Table(head, rows, numbers=True)


WARNING = (
    "Never mix columns of different papers: their probes were trained with different schedules, "
    "and JAFAR's own table is older than a correction of its scheduler. Setting JAFAR's column of "
    f"its paper against AnyUp's of the other gives AnyUp {margins_text(across_papers())}. Like for "
    f"like, within AnyUp's paper, the margins are {margins_text(like_for_like())}."
)


def published_blocks() -> list[Block]:
    """Return the papers' tables with their sources and the warning."""
    blocks: list[Block] = [
        Heading("Published"),
        Paragraph(f"From {cited(ANYUP)} and {cited(JAFAR)}. {SETTING}"),
        Paragraph(WARNING, warning=True),
    ]
    for table in PUBLISHED:
        where = table.source.name if table.source else "published, the paper was not noted"
        blocks.append(Heading(f"{table.title} ({where})", 3))
        blocks.append(score_grid(table))
    return blocks
