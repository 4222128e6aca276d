"""Numbers: this photo measured per method; our tables, the published ones, claims and a guide."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import gradio as gr

from explorer.core import ExplorerError
from explorer.evidence import (
    claims_blocks,
    guide_blocks,
    known,
    plain,
    published_blocks,
    report_blocks,
)
from explorer.session import Options, Session
from explorer.ui.numbers import block_page, measures_chart, measures_value
from explorer.ui.page import Page
from explorer.ui.status import error_status, status_line
from explorer.views.alignment import alignment_sentence
from explorer.views.base import method_title
from explorer.views.measures import MeasureError, Measures, stream

TITLE = "Numbers"
log = logging.getLogger(__name__)
Shown = tuple[Any, Any, dict[str, str]]  # table, chart, status


def build(page: Page, session: Session) -> None:
    """Make the tab; call inside ``gr.Tabs``."""
    found = known()
    for fault in found.faults:
        log.warning(fault)
    with gr.Tab(TITLE, id="numbers") as tab, gr.Tabs(elem_id="numbers-parts"):
        with gr.Tab("This photo", id="numbers-photo"):
            with gr.Row():
                with gr.Column(scale=1, min_width=320):
                    status = status_line("numbers-status")
                again = gr.Button("Measure these settings", size="sm", scale=0, min_width=190)
            table = block_page("numbers-table")
            chart = gr.Plot(show_label=False, elem_id="numbers-chart")
        for name, blocks in (
            ("Our tables", report_blocks(found)),
            ("Published", published_blocks()),
            ("Claims", claims_blocks(found)),
            ("Which method?", guide_blocks(found)),
        ):
            with gr.Tab(name, id=f"numbers-{name}"):
                block_page(f"numbers-{name.lower().strip('?').replace(' ', '-')}", plain(blocks))

    def run(photo: str | None, *values: Any) -> Iterator[Shown]:
        try:
            yield from measured(session, page.options(photo, *values))
        except Exception as error:
            yield gr.skip(), gr.skip(), error_status(error, log)

    gr.on(
        [tab.select, again.click],
        run,
        page.inputs(),
        [table, chart, status],
        show_progress="hidden",
        api_visibility="private",
    )


def measured(session: Session, options: Options) -> Iterator[Shown]:
    """Yield (table, chart, status) before the first pair and after each."""
    pairs = [(b, m) for b in options.backbones for m in options.upsamplers]
    found: list[Measures | MeasureError] = []
    yield measures_value(found, options), gr.skip(), _status(pairs, found, options, session)
    for one in stream(session, options):
        found.append(one)
        figure = measures_chart(found, options)
        chart = gr.skip() if figure is None and len(found) < len(pairs) else figure
        done = len(found) == len(pairs)
        sentences = list(_alignments(session, options)) if done else ()
        table = measures_value(found, options, sentences)
        yield table, chart, _status(pairs, found, options, session)


def _alignments(session: Session, options: Options) -> Iterator[str]:
    for backbone in options.backbones:
        with suppress(ExplorerError):  # its rows say it
            yield alignment_sentence(session, options, backbone)


def _status(
    pairs: list[tuple[str, str]],
    found: list[Measures | MeasureError],
    options: Options,
    session: Session,
) -> dict[str, str]:
    if len(found) < len(pairs):
        backbone, method = pairs[len(found)]
        left = len(pairs) - len(found)
        text = f"Working: {method_title(method)} on {backbone}, {left} to go"
        return {"text": text, "kind": "work"}
    height, width = options.output
    text = (
        f"{options.photo.name}: input {options.input_size} px, output {height}×{width}, on "
        f"{session.device.type}"
    )
    return {"text": text, "kind": "done"}
