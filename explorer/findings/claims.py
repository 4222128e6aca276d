"""Claims that users will have read, what speaks for and against them, and a verdict each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from explorer.findings.benches import BILINEAR, NO_WINDOW, OWN_WINDOW
from explorer.findings.evidence import (
    FACTORS,
    NOT_YET,
    Known,
    lines,
    reconstruction_text,
    report_texts,
    seconds,
    title_of,
)
from explorer.findings.passages import Grid, Heading, Passage, Words
from explorer.findings.published import (
    ANYUP,
    JAFAR,
    TRAINING_MEMORY,
    WINDOW,
    Source,
    across_papers,
    like_for_like,
)
from explorer.room import GIB

INTRO = (
    "Claims about AnyUp and JAFAR that circulate, against what the papers report and what was "
    "measured here. Numbers of this project are read from the cards of its weights and from the "
    "reports in `docs/results/`; a line that has none says so."
)


@dataclass(frozen=True)
class Claim:
    """A claim, what papers say about it, what was measured here, a verdict.

    ``here`` is None if there is no measurement yet, "" if none could say anything.
    """

    text: str
    published: str
    here: str | None
    verdict: str


def claims(found: Known) -> list[Claim]:
    """Return every claim with its evidence."""
    return [
        _popular(),
        _window(found),
        _position(),
        _fusion(),
        _training(found),
        _speed(found),
        _storage(found),
        _choice(found),
    ]


def claims_passages(found: Known) -> list[Passage]:
    """Return the table claim / evidence / verdict."""
    rows = tuple((claim.text, _evidence(claim), claim.verdict) for claim in claims(found))
    grid = Grid(("claim", "evidence", "verdict"), rows, widths=(22, 50, 28))
    return [Heading("Claims"), Words(INTRO), grid]


def linked(source: Source) -> str:
    """Return a source as a link."""
    return f"[{source.name}]({source.url})"


def cited(source: Source) -> str:
    """Return a source as a link with its arXiv id."""
    return f"[{source.name}, arXiv {source.arxiv}]({source.url})"


def margins_text(margins: dict[str, float]) -> str:
    """Return margins as "COCO-Stuff +0.34, ..."."""
    return ", ".join(f"{head} {value:+.2f}" for head, value in margins.items())


def _popular() -> Claim:
    gains = {head: value for head, value in across_papers().items() if value > 0}
    return Claim(
        f"AnyUp beats JAFAR by {' and '.join(f'{v:+.2f} on {h}' for h, v in gains.items())} mIoU.",
        f"These margins set AnyUp's column of {linked(ANYUP)} against JAFAR's of {linked(JAFAR)}, "
        "whose probes were trained with another schedule. Within AnyUp's paper, AnyUp minus JAFAR "
        f"is {margins_text(like_for_like())}.",
        "",
        "Wrong comparison: columns of two papers. Like for like the margins are under half a "
        "point, and their sign changes with the dataset.",
    )


def _window(found: Known) -> Claim:
    texts = []
    for score in WINDOW.scores:
        own, without = (WINDOW.value(name, score.head) for name in WINDOW.rows)
        texts.append(f"{score.head} {score.show(own)} with it, {score.show(without)} without")
    here, verdict = None, NOT_YET
    if found.window is not None:
        rows = {row["window"]: row for row in found.window["rows"]}
        names = {OWN_WINDOW: "with it", NO_WINDOW: "without"}
        measured = "; ".join(
            f"{words} {rows[name]['gain_x2']:+.4f} / {rows[name]['gain_x4']:+.4f} and "
            f"{rows[name]['labels']:.1%}"
            for name, words in names.items()
        )
        here = (
            f"{found.window['checkpoint']} on {found.window['backbone']}, "
            f"{found.window['photos']} photos, cosine over bilinear at x2 / x4 and labels kept "
            f"({found.window['labelled_photos']} labelled photos): {measured}; bilinear keeps "
            f"{rows[BILINEAR]['labels']:.1%}."
        )
        verdict = _window_verdict(rows)
    return Claim(
        "AnyUp's window keeps pixels from attending to far, irrelevant cells.",
        f"Ablation in {linked(ANYUP)}: {'; '.join(texts)}.",
        here,
        f"Published: depth gets better with it, segmentation hardly changes. {verdict}",
    )


def _window_verdict(rows: Mapping[str, Mapping[str, Any]]) -> str:
    own, without = rows[OWN_WINDOW], rows[NO_WINDOW]
    keys = ("gain_x2", "gain_x4", "labels")
    better = [own[key] > without[key] for key in keys]
    if all(better):
        return "Here the same weights lose on all three counts without it; they were trained in it."
    if not any(better):
        return "Here the same weights gain on all three counts without it."
    return "Here it depends on what is asked; the weights were trained in it."


def _position() -> Claim:
    return Claim(
        "JAFAR's position encoding is the stronger one.",
        "Both published implementations use the same rotary encoding: learned frequencies for "
        "coordinates from 0 to 1, applied to the image encoder's output.",
        "one class serves both methods in this project, which reproduces both published modules; "
        "a test checks it.",
        "Wrong: the encodings are the same.",
    )


def _fusion() -> Claim:
    return Claim(
        "JAFAR's feature modulation (SFT) fuses semantics better than concatenation.",
        f"{linked(JAFAR)}: yes. {linked(ANYUP)}: no difference.",
        None,
        "Open: the papers disagree. " + NOT_YET,
    )


def _training(found: Known) -> Claim:
    heads = [score.head for score in TRAINING_MEMORY.scores]
    published = "; ".join(
        f"{head} {TRAINING_MEMORY.value('anyup', head):.1f} GB for AnyUp, "
        f"{TRAINING_MEMORY.value('jafar', head):.1f} GB for JAFAR"
        for head in heads
    )
    less = [h for h in heads if TRAINING_MEMORY.best(h) == "anyup"]
    more = [h for h in heads if h not in less]
    here, verdict = None, NOT_YET
    if found.training is not None:
        rows = found.training["rows"]
        here = "; ".join(f"{row['guidance']} px {_step_text(row)}" for row in rows)
        here = f"one step, batch {found.training['batch']}, by guidance: {here}."
        verdict = _memory_verdict(rows)
    return Claim(
        "AnyUp trains with less memory.",
        f"Published: {published}.",
        here,
        f"Depends on the resolution: less {' and '.join(less)}, more {' and '.join(more)} "
        f"(published). {verdict}",
    )


def _step_text(row: Mapping[str, Any]) -> str:
    """Return what a training step of both methods takes."""
    texts = []
    for method in ("anyup", "jafar"):
        cost = row[method]
        size = "" if cost["bytes"] is None else f" and {cost['bytes'] / GIB:.2f} GiB"
        texts.append(f"{title_of(method)} {cost['seconds']:.2f} s{size}")
    return ", ".join(texts)


def _memory_verdict(rows: list[Mapping[str, Any]]) -> str:
    ratios = [
        row["anyup"]["bytes"] / row["jafar"]["bytes"]
        for row in rows
        if row["anyup"]["bytes"] and row["jafar"]["bytes"]
    ]
    if not ratios:
        return "Memory could not be read on the machine that measured."
    low, high = min(ratios), max(ratios)
    return f"Here AnyUp takes {low:.2f} to {high:.2f} times JAFAR's memory."


def _speed(found: Known) -> Claim:
    anyup, jafar = seconds(found, "anyup"), seconds(found, "jafar")
    both = [name for name in anyup if name in jafar]
    here, verdict = None, NOT_YET + " The table of your photo times both on this machine."
    if both:
        texts = [f"`{n}`: AnyUp {anyup[n]:.2f} s, JAFAR {jafar[n]:.2f} s per photo" for n in both]
        here = "; ".join(texts) + "."
        ratios = [jafar[name] / anyup[name] for name in both]
        low, high = min(ratios), max(ratios)
        span = f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"
        verdict = (
            f"Here JAFAR takes {span} times AnyUp's time; kernels and sizes decide, and a report's "
            "rows can come from runs under different load."
        )
    return Claim(
        "AnyUp and JAFAR are equally fast at inference.",
        "It depends on the window's kernel: published AnyUp masks a dense attention, or uses "
        "natten, whose windows differ.",
        here,
        verdict,
    )


def _storage(found: Known) -> Claim:
    universal = [c for c in found.cards if c["method"] == "anyup" and c["backbone"] == "any"]
    single = [c for c in found.cards if c["method"] == "jafar" and c["backbone"] != "any"]
    here, verdict = None, NOT_YET
    if universal and single:
        one, each = universal[0], single[0]
        here = (
            f"`{one['name']}` has {_megabytes(one['size'])} for every backbone, "
            f"`{each['name']}` {_megabytes(each['size'])} for one."
        )
        count = one["size"] // each["size"] + 1
        verdict = f"True from {count} backbones on." if count > 1 else "True for any number."
    return Claim(
        "One model for all backbones saves storage.",
        "AnyUp's weights do not depend on the number of channels; JAFAR and FeatUp have one file "
        "per backbone.",
        here,
        verdict,
    )


def _choice(found: Known) -> Claim:
    shared = [name for name in found.backbones("jafar") if name in found.backbones("anyup")]
    alone = [name for name in found.backbones("anyup") if name not in shared]
    texts = [
        *(reconstruction_text(found, m, name) for name in shared for m in ("jafar", "anyup")),
        *(reconstruction_text(found, "anyup", name) for name in alone),
        *report_texts(found, ("jafar", "anyup")),
    ]
    return Claim(
        "JAFAR for a single production backbone, AnyUp for many.",
        f"Like for like, AnyUp minus JAFAR in mIoU: {margins_text(like_for_like())} "
        f"({linked(ANYUP)}).",
        lines(texts, "") or None,
        "Published: no clear winner for one backbone; AnyUp needs no training for another. "
        + _reconstruction_verdict(found, shared),
    )


def _reconstruction_verdict(found: Known, shared: list[str]) -> str:
    """Say who reconstructs better where both have weights, from the cards' gains."""
    if not shared:
        return NOT_YET
    parts = []
    for backbone in shared:
        jafar, anyup = found.gains("jafar", backbone), found.gains("anyup", backbone)
        ahead = [j > a for j, a in zip(jafar, anyup, strict=True)]
        if all(ahead) or not any(ahead):
            who, at = ("JAFAR" if all(ahead) else "AnyUp"), "at both factors"
        else:
            who, at = "JAFAR", f"at x{FACTORS[ahead.index(True)]} only"
        parts.append(f"{who} reconstructs {backbone} better {at}")
    return (
        f"Here {', '.join(parts)}, as far as these two trainings go: other steps, other photos "
        "counted (see their cards)."
    )


def _evidence(claim: Claim) -> str:
    if claim.here == "":
        return claim.published
    return f"{claim.published}\nHere: {claim.here or NOT_YET.lower()}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
