"""One photo's measures as a sortable table and a chart; blocks of text as a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from explorer.evidence.blocks import Details, Paragraph, plain
from explorer.session import Options
from explorer.ui.charts import LOOK
from explorer.views.base import method_title
from explorer.views.measures import CHANNELS, FACTORS, MeasureError, Measures

STATIC = Path(__file__).parent / "static"
NONE = "–"
WAITING = "…"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000")
MARKS = ("circle", "diamond", "square")  # one per backbone
FACTOR_NAMES = {2: "half-size", 4: "quarter-size"}


@dataclass(frozen=True)
class Field:
    """A column: its head and explanation, what it sorts by, how that is written."""

    head: str
    hint: str
    value: Callable[[Measures], float | str | None]
    show: Callable[[Any], str]
    falling: bool = False  # whether the largest comes first at the first click
    best: bool = False  # whether the largest is marked


def block_page(elem_id: str, value: Sequence[dict[str, Any]] = ()) -> gr.HTML:
    """Make the component that shows blocks (``findings.plain``); its template is constant."""
    return gr.HTML(
        value=list(value),
        elem_id=elem_id,
        html_template='<div class="ps"></div>',
        css_template=(STATIC / "blocks.css").read_text("utf-8"),
        js_on_load=(STATIC / "blocks.js").read_text("utf-8"),
        apply_default_css=False,
    )


def cosine_text(value: float) -> str:
    """Write a cosine with the digits that differ between methods."""
    return f"{value:.4f}"


def seconds_text(value: float) -> str:
    """Write a time in milliseconds or seconds."""
    if value < 0.01:
        return f"{1000 * value:.1f} ms"
    return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.2f} s"


def bytes_text(value: float) -> str:
    """Write bytes in MB or GB (powers of ten)."""
    if value >= 1e9:
        return f"{value / 1e9:.2f} GB"
    return f"{value / 1e6:.1f} MB" if value < 1e8 else f"{value / 1e6:.0f} MB"


def _origin(found: Measures) -> str:
    plain_origin = found.checkpoint in (found.origin, "")
    return found.origin if plain_origin else f"{found.origin}\n{found.checkpoint}"


def _reconstruction(factor: int) -> Callable[[Measures], float | None]:
    def read(found: Measures) -> float | None:
        value = found.reconstruction[factor]
        return value if isinstance(value, float) else None

    return read


FIELDS = (
    Field("weights", "whose weights, and which", _origin, str),
    Field("parameters", "of the upsampler", lambda m: m.parameters, lambda v: f"{v:,}", True),
    *(
        Field(
            f"reconstruction x{factor} ↑",
            f"cosine between features upsampled from the {FACTOR_NAMES[factor]} input and the "
            "backbone's own features of the input-size photo",
            _reconstruction(factor),
            cosine_text,
            True,
            True,
        )
        for factor in FACTORS
    ),
    Field(
        "consistency ↑",
        "cosine between the coarse features and the upsampled ones averaged back to the grid",
        lambda m: m.consistency,
        cosine_text,
        True,
        True,
    ),
    Field(
        "consistency L2 ↓",
        "distance of the same two, as a share of the features' mean length",
        lambda m: m.consistency_l2,
        lambda v: f"{v:.3f}",
    ),
    Field(
        "prepare",
        "time of everything that does not depend on what is asked, once per photo",
        lambda m: m.cost.prepare_seconds,
        seconds_text,
    ),
    Field(
        f"project, {CHANNELS} ch.",
        f"time of the first upsampled {CHANNELS}-channel projection after it",
        lambda m: m.cost.project_seconds,
        seconds_text,
    ),
    Field(
        "keeps",
        "bytes of the tensors that the prepared upsampler keeps",
        lambda m: m.cost.held_bytes,
        bytes_text,
    ),
    Field(
        "peak extra",
        "memory in use at most during prepare and project, beyond what was in use before",
        lambda m: m.cost.peak.extra,
        bytes_text,
    ),
)


def measures_value(
    found: Sequence[Measures | MeasureError], options: Options, sentences: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return blocks for ``block_page``: the table with rows still to come, sentences on the
    backbones, and notes.
    """
    several = len(options.backbones) > 1
    head = ["upsampler", *(["backbone"] if several else []), *(field.head for field in FIELDS)]
    first = len(head) - len(FIELDS)
    table: dict[str, Any] = {
        "kind": "grid",
        "head": head,
        "hints": [""] * first + [field.hint for field in FIELDS],
        "falling": [False] * first + [field.falling for field in FIELDS],
        "numbers": True,
        "rows": [],
        "values": [],
        "best": [],
        "waiting": [],
        "bad": [],
    }
    there = {(one.backbone, one.method): one for one in found}
    for backbone in options.backbones:
        for method in options.upsamplers:
            one = there.get((backbone, method))
            label = one.label if one else backbone
            cells = [method_title(method), *([label] if several else [])]
            values: list[Any] = [*cells]
            best: list[int] = []
            if isinstance(one, Measures):
                read = [field.value(one) for field in FIELDS]
                pairs = zip(FIELDS, read, strict=True)
                cells += [NONE if v is None else field.show(v) for field, v in pairs]
                values += read
                best = [first + n for n in range(len(FIELDS)) if _is_best(n, one, found)]
            else:
                text = one.sentence if one else WAITING
                table["bad" if one else "waiting"].append(len(table["rows"]))
                cells += [text] if one else [text] * len(FIELDS)
                values += [None] * len(FIELDS)
            table["rows"].append(cells)
            table["values"].append(values)
            table["best"].append(best)
    said = [Paragraph(sentence) for sentence in sentences]
    return [table, *plain([*said, Details("What these numbers are", _notes(found, options))])]


def _is_best(column: int, mine: Measures, found: Sequence[Measures | MeasureError]) -> bool:
    """Whether a cell leads its column among the methods of its backbone, as it is printed."""
    field = FIELDS[column]
    if not field.best:
        return False
    rivals = [m for m in found if isinstance(m, Measures) and m.backbone == mine.backbone]
    values = [value for m in rivals if (value := field.value(m)) is not None]
    own = field.value(mine)
    return own is not None and len(values) > 1 and field.show(own) == field.show(max(values))


def _notes(found: Sequence[Measures | MeasureError], options: Options) -> tuple[Paragraph, ...]:
    measured = [one for one in found if isinstance(one, Measures)]
    height, width = options.output
    notes = [
        "Reconstruction: the photo is shrunk by 2 and by 4; the features of the small photo, "
        "upsampled to the grid of the full one and guided by it, against the backbone's own. The "
        f"longer side of the full photo is about {options.input_size} px, rounded so that every "
        "factor divides it. Cosine over channels, averaged over cells. Compare methods of one "
        "backbone, not backbones.",
        f"Consistency: the features upsampled to {height}×{width}, averaged back to the grid. 1 "
        "means that averaging gives the input back.",
        "Times are those of one fresh run on this machine, whatever else it did; the backbone is "
        "counted only where a method reads it again. Prepare is paid once per photo. The first "
        "projection includes what a method puts off until it is asked.",
        "Keeps: the tensors of the prepared upsampler, coarse features included, weights not.",
    ]
    seen = dict.fromkeys(one.cost.peak.what for one in measured)
    if seen:
        notes.append(
            f"Peak extra: {'; '.join(seen)} during prepare and project, minus what was held before "
            "them. On a CPU it is the whole process, other visitors' work included."
        )
    reasons = {}
    for one in measured:
        for factor in FACTORS:
            reason = one.reconstruction[factor]
            if isinstance(reason, str):
                reasons[f"No reconstruction x{factor} of {one.title} on {one.label}: {reason}"] = 1
    return tuple(Paragraph(note) for note in [*notes, *reasons])


def measures_chart(found: Sequence[Measures | MeasureError], options: Options) -> go.Figure | None:
    """Return reconstruction against the time from photo to picture, None before there is any."""
    measured = [m for m in found if isinstance(m, Measures)]
    if not any(isinstance(v, float) for m in measured for v in m.reconstruction.values()):
        return None
    figure = make_subplots(
        cols=len(FACTORS),
        subplot_titles=[f"from the {FACTOR_NAMES[factor]} input" for factor in FACTORS],
        horizontal_spacing=0.1,
    )
    for one in measured:
        mark = MARKS[options.backbones.index(one.backbone) % len(MARKS)]
        colour = COLOURS[options.upsamplers.index(one.method) % len(COLOURS)]
        name = one.title if len(options.backbones) == 1 else f"{one.title} · {one.label}"
        time = one.cost.prepare_seconds + one.cost.project_seconds
        for column, factor in enumerate(FACTORS, start=1):
            value = one.reconstruction[factor]
            if not isinstance(value, float):
                continue
            point = go.Scatter(
                x=[time],
                y=[value],
                mode="markers",
                name=name,
                legendgroup=name,
                showlegend=column == 1,
                marker={"size": 13, "symbol": mark, "color": colour},
                hovertemplate=f"{name}<br>%{{x:.3g}} s, cosine %{{y:.4f}}<extra></extra>",
            )
            figure.add_trace(point, row=1, col=column)
    figure.update_xaxes(type="log", title=f"prepare + project to {CHANNELS} channels, s")
    times = [m.cost.prepare_seconds + m.cost.project_seconds for m in measured]
    close = max(times) < 100 * min(times)
    figure.update_xaxes(dtick="D2" if close else 1, exponentformat="none")
    figure.update_yaxes(title="cosine", col=1)
    figure.update_layout(
        height=380,
        margin={"l": 60, "r": 20, "t": 50, "b": 50},
        **LOOK,
        legend={"orientation": "h", "y": -0.25},
    )
    return figure
