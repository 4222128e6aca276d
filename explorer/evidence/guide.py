"""Which method for which case, with the numbers behind each line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from explorer.evidence.blocks import Block, Details, Heading, Paragraph, Table
from explorer.evidence.collect import (
    FACTORS,
    NOT_YET,
    Evidence,
    comparison_blocks,
    gains_blocks,
    gains_row,
    leader_blocks,
    reconstruction_blocks,
    title_of,
)
from explorer.evidence.published import (
    ANYUP,
    GEOMETRY,
    PRESERVATION,
    SEGMENTATION,
    TRAINING_MEMORY,
    PublishedTable,
    like_for_like,
)
from explorer.evidence.tables import linked, margins_text

INTRO = (
    "A starting point, not a ranking: published numbers are for DINOv2 ViT-S/14, those measured "
    "here for the backbones named. Try the candidates on your own photos."
)


@dataclass(frozen=True)
class Case:
    """A case, what to take for it, why (published), and what was measured here (may be empty)."""

    text: str
    take: str
    because: str
    here: Sequence[Block]


def cases(found: Evidence) -> list[Case]:
    """Return every case with its advice."""
    return [_one(found), _many(found), _memory(), _quality(found), _training_free(found)]


def guide_blocks(found: Evidence) -> list[Block]:
    """Return the guide as a table, and what was measured here for each case behind its title."""
    made = cases(found)
    rows = tuple((case.text, case.take, case.because) for case in made)
    return [
        Heading("Which method for my case"),
        Paragraph(INTRO),
        Table(("my case", "take", "because (published)"), rows, widths=(22, 36, 42)),
        Heading("Measured here", 3),
        *(Details(case.text, tuple(case.here) or (Paragraph(NOT_YET),)) for case in made),
    ]


def _one(found: Evidence) -> Case:
    pairs = [(m, backbone) for backbone in found.backbones("jafar") for m in ("jafar", "anyup")]
    return Case(
        "One backbone in production",
        "JAFAR or AnyUp, whichever has weights for it; if you train anyway, JAFAR is made for "
        "exactly this backbone.",
        f"AnyUp minus JAFAR in mIoU: {margins_text(like_for_like())} ({linked(ANYUP)}): too close "
        "to decide by.",
        [
            *reconstruction_blocks(found, pairs),
            *comparison_blocks(found, ("jafar", "anyup")),
        ],
    )


def _many(found: Evidence) -> Case:
    return Case(
        "Many backbones, or one without weights of its own",
        "AnyUp: the same file for every backbone and stage.",
        "Its layers take any number of channels; JAFAR and FeatUp are trained per backbone.",
        reconstruction_blocks(found, [("anyup", name) for name in found.backbones("anyup")]),
    )


def _memory() -> Case:
    parts = []
    for score in TRAINING_MEMORY.scores:
        best = TRAINING_MEMORY.best(score.head)
        values = ", ".join(
            f"{title_of(name)} {score.show(TRAINING_MEMORY.value(name, score.head))} GB"
            for name in TRAINING_MEMORY.rows
        )
        parts.append(f"{title_of(best)} {score.head} ({values})")
    return Case(
        "Little memory",
        "Bilinear keeps nothing but the coarse features. Among the attention methods, ask for few "
        "channels: a projection before upsampling never holds all of them.",
        f"For training, least needed by {'; '.join(parts)} (published).",
        [
            Paragraph(
                f"{NOT_YET} The table of your photo shows what each method keeps and needs at "
                "your sizes."
            )
        ],
    )


def _quality(found: Evidence) -> Case:
    named = {
        "segmentation": SEGMENTATION,
        "normals and depth": GEOMETRY,
        "preservation": PRESERVATION,
    }
    parts = [f"{task}: {_leaders(table)}" for task, table in named.items()]
    return Case(
        "Best quality",
        "AnyUp or JAFAR; for a task of your own, measure: `python -m explorer evaluate`.",
        f"First by column in {linked(ANYUP)}: {'; '.join(parts)}.",
        leader_blocks(found),
    )


def _training_free(found: Evidence) -> Case:
    most: dict[str, Mapping[str, float]] = {}  # the scores on most photos, by backbone
    for card in found.cards:
        for backbone, scores in card["scores"].items():
            if backbone not in most or scores["photos"] > most[backbone]["photos"]:
                most[backbone] = scores
    rows = []
    for backbone, scores in most.items():
        gains = [scores[f"jbu_x{f}"] - scores[f"bilinear_x{f}"] for f in FACTORS]
        rows.append(gains_row(title_of("jbu"), backbone, gains, scores["photos"]))
    return Case(
        "No training, no weights",
        "Joint bilateral where edges matter, else bilinear. Published AnyUp weights need no "
        "training of yours either.",
        "These papers have no column for joint bilateral upsampling.",
        [*gains_blocks(rows), *comparison_blocks(found, ("bilinear", "jbu"))],
    )


def _leaders(table: PublishedTable) -> str:
    leading: dict[str, list[str]] = {}
    for score in table.scores:
        leading.setdefault(table.best(score.head), []).append(score.head)
    if len(leading) == 1:
        return f"{title_of(next(iter(leading)))} in all {len(table.scores)}"
    return ", ".join(f"{title_of(name)} ({', '.join(heads)})" for name, heads in leading.items())
