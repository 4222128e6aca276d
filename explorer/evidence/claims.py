"""Claims that users will have read, what speaks for and against them, and a verdict each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from explorer.evidence.alignment import (
    larger_verdict,
    seconds_blocks,
    shift_blocks,
    shift_verdict,
)
from explorer.evidence.benches import BILINEAR, NO_WINDOW, OWN_WINDOW
from explorer.evidence.blocks import Block, Details, Heading, Paragraph, Table
from explorer.evidence.collect import (
    FACTORS,
    NOT_YET,
    Evidence,
    comparison_blocks,
    reconstruction_blocks,
    seconds,
    title_of,
)
from explorer.evidence.published import (
    ANYUP,
    JAFAR,
    TRAINING_MEMORY,
    WINDOW,
    across_papers,
    like_for_like,
)
from explorer.evidence.tables import linked, margins_text, score_grid
from explorer.evidence.verdicts import memory_verdict, reconstruction_verdict, window_verdict
from explorer.resources.memory import GIB

INTRO = (
    "Claims about AnyUp and JAFAR that circulate, and what the evidence says. What the papers "
    "report and what was measured here stands below, claim by claim. Numbers of this project are "
    "read from the cards of its weights and from the reports in `docs/results/`."
)
HERE = "Measured here: "


@dataclass(frozen=True)
class Claim:
    """A claim, a verdict, what papers say about it, what was measured here.

    ``here`` is None if there is no measurement yet, empty if none could say anything.
    """

    text: str
    verdict: str
    published: Sequence[Block]
    here: Sequence[Block] | None


def claims(found: Evidence) -> list[Claim]:
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
        *_alignment(found),
    ]


def claims_blocks(found: Evidence) -> list[Block]:
    """Return the table claim / verdict, and the evidence of each claim behind its own title."""
    made = claims(found)
    rows = tuple((claim.text, claim.verdict) for claim in made)
    return [
        Heading("Claims"),
        Paragraph(INTRO),
        Table(("claim", "verdict"), rows, widths=(45, 55)),
        Heading("Evidence", 3),
        *(Details(claim.text, _evidence(claim)) for claim in made),
    ]


def _popular() -> Claim:
    gains = {head: value for head, value in across_papers().items() if value > 0}
    rows = tuple(
        (name, *(f"{value:+.2f}" for value in margins.values()))
        for name, margins in (
            ("AnyUp's paper minus JAFAR's paper", across_papers()),
            ("both from AnyUp's paper", like_for_like()),
        )
    )
    return Claim(
        f"AnyUp beats JAFAR by {' and '.join(f'{v:+.2f} on {h}' for h, v in gains.items())} mIoU.",
        "Wrong comparison: columns of two papers. Like for like the margins are under half a "
        "point, and their sign changes with the dataset.",
        [
            Paragraph(
                "These margins set AnyUp's column of one paper against JAFAR's of another, whose "
                "probes were trained with another schedule."
            ),
            Paragraph(f"AnyUp minus JAFAR in mIoU, from {linked(ANYUP)} and {linked(JAFAR)}:"),
            Table(("", *like_for_like()), rows, numbers=True),
        ],
        (),
    )


def _window(found: Evidence) -> Claim:
    here, verdict = None, NOT_YET
    if found.window is not None:
        rows = {row["window"]: row for row in found.window["rows"]}
        names = {OWN_WINDOW: "with its window", NO_WINDOW: "without", BILINEAR: "bilinear"}
        measured = (
            (name, *(f"{rows[key][f'gain_x{f}']:+.4f}" for f in FACTORS), _kept(rows[key]))
            for key, name in names.items()
        )
        here = [
            Paragraph(
                f"{HERE}`{found.window['checkpoint']}` on {found.window['backbone']}: cosine minus "
                f"bilinear's ({found.window['photos']} photos) and labels kept "
                f"({found.window['labelled_photos']} labelled photos)."
            ),
            Table(("", "x2", "x4", "labels kept"), tuple(measured), numbers=True),
        ]
        verdict = window_verdict(rows)
    return Claim(
        "AnyUp's window keeps pixels from attending to far, irrelevant cells.",
        f"Published: depth gets better with it, segmentation hardly changes. {verdict}",
        [Paragraph(f"Ablation in {linked(ANYUP)}:"), score_grid(WINDOW)],
        here,
    )


def _kept(row: Mapping[str, Any]) -> str:
    return f"{row['labels']:.1%}"


def _position() -> Claim:
    return Claim(
        "JAFAR's position encoding is the stronger one.",
        "Wrong: the encodings are the same.",
        [
            Paragraph(
                "Both published implementations use the same rotary encoding: learned frequencies "
                "for coordinates from 0 to 1, applied to the image encoder's output."
            )
        ],
        [
            Paragraph(
                "In this project one class serves both methods and reproduces both published "
                "modules; a test checks it."
            )
        ],
    )


def _fusion() -> Claim:
    return Claim(
        "JAFAR's feature modulation (SFT) fuses semantics better than concatenation.",
        "Open: the papers disagree. " + NOT_YET,
        [Paragraph(f"{linked(JAFAR)}: yes. {linked(ANYUP)}: no difference.")],
        None,
    )


def _training(found: Evidence) -> Claim:
    heads = [score.head for score in TRAINING_MEMORY.scores]
    less = [h for h in heads if TRAINING_MEMORY.best(h) == "anyup"]
    more = [h for h in heads if h not in less]
    here, verdict = None, NOT_YET
    if found.training is not None:
        rows = found.training["rows"]
        methods = ("anyup", "jafar")
        head = [f"{title_of(m)}, {unit}" for m in methods for unit in ("s", "GiB")]
        cells = tuple(
            (f"{row['guidance']} px", *(text for m in methods for text in _step_texts(row[m])))
            for row in rows
        )
        here = [
            Paragraph(f"{HERE}time and memory of one step, batch {found.training['batch']}."),
            Table(("guidance", *head), cells, numbers=True),
        ]
        verdict = memory_verdict(rows)
    return Claim(
        "AnyUp trains with less memory.",
        f"Depends on the resolution: less {' and '.join(less)}, more {' and '.join(more)} "
        f"(published). {verdict}",
        [Paragraph("Published, in GB:"), score_grid(TRAINING_MEMORY)],
        here,
    )


def _step_texts(cost: Mapping[str, Any]) -> tuple[str, str]:
    """Return what a training step takes: seconds, GiB."""
    size = "-" if cost["bytes"] is None else f"{cost['bytes'] / GIB:.2f}"
    return f"{cost['seconds']:.2f}", size


def _speed(found: Evidence) -> Claim:
    anyup, jafar = seconds(found, "anyup"), seconds(found, "jafar")
    both = [name for name in anyup if name in jafar]
    here, verdict = None, NOT_YET + " The table of your photo times both on this machine."
    if both:
        rows = tuple((f"`{n}`", f"{anyup[n]:.2f}", f"{jafar[n]:.2f}") for n in both)
        here = [
            Paragraph(
                f"{HERE}seconds per photo, read from the reports. The rows of one report can come "
                "from runs under different load."
            ),
            Table(("report", "AnyUp", "JAFAR"), rows, numbers=True),
        ]
        ratios = [jafar[name] / anyup[name] for name in both]
        low, high = min(ratios), max(ratios)
        span = f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"
        verdict = f"Here JAFAR takes {span} times AnyUp's time; kernels and sizes decide."
    return Claim(
        "AnyUp and JAFAR are equally fast at inference.",
        verdict,
        [
            Paragraph(
                "It depends on the window's kernel: published AnyUp masks a dense attention, or "
                "uses natten, whose windows differ."
            )
        ],
        here,
    )


def _storage(found: Evidence) -> Claim:
    universal = [c for c in found.cards if c["method"] == "anyup" and c["backbone"] == "any"]
    single = [c for c in found.cards if c["method"] == "jafar" and c["backbone"] != "any"]
    here, verdict = None, NOT_YET
    if universal and single:
        one, each = universal[0], single[0]
        here = [
            Paragraph(
                f"{HERE}`{one['name']}` has {_megabytes(one['size'])} for every backbone, "
                f"`{each['name']}` {_megabytes(each['size'])} for one."
            )
        ]
        count = one["size"] // each["size"] + 1
        verdict = f"True from {count} backbones on." if count > 1 else "True for any number."
    return Claim(
        "One model for all backbones saves storage.",
        verdict,
        [
            Paragraph(
                "AnyUp's weights do not depend on the number of channels; JAFAR and FeatUp have "
                "one file per backbone."
            )
        ],
        here,
    )


def _choice(found: Evidence) -> Claim:
    shared = [name for name in found.backbones("jafar") if name in found.backbones("anyup")]
    alone = [name for name in found.backbones("anyup") if name not in shared]
    pairs = [(method, name) for name in shared for method in ("jafar", "anyup")]
    pairs += [("anyup", name) for name in alone]
    here = [
        *reconstruction_blocks(found, pairs),
        *comparison_blocks(found, ("jafar", "anyup")),
    ]
    if shared:
        here.append(Paragraph("The two trainings differ in steps and photos: see their cards."))
    return Claim(
        "JAFAR for a single production backbone, AnyUp for many.",
        "Published: no clear winner for one backbone; AnyUp needs no training for another. "
        + reconstruction_verdict(found, shared),
        [
            Paragraph(
                f"AnyUp minus JAFAR in mIoU, both from {linked(ANYUP)}: "
                f"{margins_text(like_for_like())}."
            )
        ],
        here or None,
    )


def _alignment(found: Evidence) -> list[Claim]:
    """Return the claims on bilinear as a baseline, once a report has what they need."""
    made = []
    if verdict := shift_verdict(found):
        made.append(
            Claim(
                "What an upsampler gains over bilinear is the worth of upsampling.",
                f"Only where features lie on their pixels. {verdict}",
                (
                    Paragraph(
                        "Cells of the packaged EfficientNet-Lite0 and Lite1 describe a place six "
                        "pixels beside their centre; see `docs/evaluation.md`."
                    ),
                ),
                shift_blocks(found),
            )
        )
    if verdict := larger_verdict(found):
        made.append(
            Claim(
                "Fine features need an upsampler.",
                f"Not always: a larger input is the baseline to beat. {verdict}",
                (),
                seconds_blocks(found),
            )
        )
    return made


def _evidence(claim: Claim) -> tuple[Block, ...]:
    here = [Paragraph(NOT_YET)] if claim.here is None else claim.here
    return (*claim.published, *here)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
