"""Which method for which case, with the numbers behind each line."""

from __future__ import annotations

from collections.abc import Mapping

from explorer.findings.claims import linked, margins_text
from explorer.findings.evidence import (
    FACTORS,
    NOT_YET,
    Known,
    leader_texts,
    lines,
    reconstruction_text,
    report_texts,
    title_of,
)
from explorer.findings.passages import Grid, Heading, Passage, Words
from explorer.findings.published import (
    ANYUP,
    GEOMETRY,
    PRESERVATION,
    SEGMENTATION,
    TRAINING_MEMORY,
    PublishedTable,
    like_for_like,
)

INTRO = (
    "A starting point, not a ranking: published numbers are for DINOv2 ViT-S/14, those measured "
    "here for the backbones named. Try the candidates on your own photos."
)
Row = tuple[str, str, str, str]  # case, take, published, here


def guide_passages(found: Known) -> list[Passage]:
    """Return the guide as a table."""
    rows = (_one(found), _many(found), _memory(), _quality(found), _training_free(found))
    head = ("my case", "take", "because (published)", "measured here")
    return [
        Heading("Which method for my case"),
        Words(INTRO),
        Grid(head, rows, widths=(14, 20, 28, 38)),
    ]


def _one(found: Known) -> Row:
    texts = [
        reconstruction_text(found, method, backbone)
        for backbone in found.backbones("jafar")
        for method in ("jafar", "anyup")
    ]
    return (
        "One backbone in production",
        "JAFAR or AnyUp, whichever has weights for it; if you train anyway, JAFAR is made for "
        "exactly this backbone.",
        f"AnyUp minus JAFAR in mIoU: {margins_text(like_for_like())} ({linked(ANYUP)}): too close "
        "to decide by.",
        lines([*texts, *report_texts(found, ("jafar", "anyup"))]),
    )


def _many(found: Known) -> Row:
    texts = [reconstruction_text(found, "anyup", name) for name in found.backbones("anyup")]
    return (
        "Many backbones, or one without weights of its own",
        "AnyUp: the same file for every backbone and stage.",
        "Its layers take any number of channels; JAFAR and FeatUp are trained per backbone.",
        lines(texts),
    )


def _memory() -> Row:
    parts = []
    for score in TRAINING_MEMORY.scores:
        best = TRAINING_MEMORY.best(score.head)
        values = ", ".join(
            f"{title_of(name)} {score.show(TRAINING_MEMORY.value(name, score.head))} GB"
            for name in TRAINING_MEMORY.rows
        )
        parts.append(f"{title_of(best)} {score.head} ({values})")
    return (
        "Little memory",
        "Bilinear keeps nothing but the coarse features. Among the attention methods, ask for few "
        "channels: a projection before upsampling never holds all of them.",
        f"For training, least needed by {'; '.join(parts)} (published).",
        f"{NOT_YET} The table of your photo shows what each method keeps and needs at your sizes.",
    )


def _quality(found: Known) -> Row:
    named = {
        "segmentation": SEGMENTATION,
        "normals and depth": GEOMETRY,
        "preservation": PRESERVATION,
    }
    parts = [f"{task}: {_leaders(table)}" for task, table in named.items()]
    return (
        "Best quality",
        "AnyUp or JAFAR; for a task of your own, measure: `python -m explorer evaluate`.",
        f"First by column in {linked(ANYUP)}: {'; '.join(parts)}.",
        lines(leader_texts(found)),
    )


def _training_free(found: Known) -> Row:
    most: dict[str, Mapping[str, float]] = {}  # the scores on most photos, by backbone
    for card in found.cards:
        for backbone, scores in card["scores"].items():
            if backbone not in most or scores["photos"] > most[backbone]["photos"]:
                most[backbone] = scores
    texts = []
    for backbone, scores in most.items():
        gains = " / ".join(
            f"{scores[f'jbu_x{f}'] - scores[f'bilinear_x{f}']:+.4f}" for f in FACTORS
        )
        texts.append(
            f"{title_of('jbu')} on {backbone}: cosine {gains} over bilinear at x2 / x4, "
            f"{scores['photos']} held-out photos"
        )
    return (
        "No training, no weights",
        "Joint bilateral where edges matter, else bilinear. Published AnyUp weights need no "
        "training of yours either.",
        "These papers have no column for joint bilateral upsampling.",
        lines([*texts, *report_texts(found, ("bilinear", "jbu"))]),
    )


def _leaders(table: PublishedTable) -> str:
    leading: dict[str, list[str]] = {}
    for score in table.scores:
        leading.setdefault(table.best(score.head), []).append(score.head)
    if len(leading) == 1:
        return f"{title_of(next(iter(leading)))} in all {len(table.scores)}"
    return ", ".join(f"{title_of(name)} ({', '.join(heads)})" for name, heads in leading.items())
