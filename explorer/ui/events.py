"""What happens when: settings change, panels stream in, the address follows."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from explorer.core import ExplorerError, Panel
from explorer.session import Options, Session
from explorer.ui import choices
from explorer.ui.grid import grid_value
from explorer.ui.page import Page
from explorer.ui.photo_input import read_photo
from explorer.ui.settings import Settings
from explorer.views import VIEWS
from explorer.views.base import method_title

log = logging.getLogger(__name__)
TROUBLE = "Something went wrong here, not with your input; the server's log has the details."


def connect(demo: gr.Blocks, page: Page, session: Session) -> None:
    """Wire the page: the address is read once, then every change runs the grid again."""

    def settings(values: tuple[Any, ...]) -> Settings:
        (backbones, upsamplers, input_size, output_size, components, percentile, *chosen) = values
        named = dict(zip(page.checkpoints, chosen, strict=True))
        return Settings(
            None,
            tuple(backbones or ()),
            tuple(name for name in VIEW_ORDER if name in (upsamplers or ())),
            int(input_size),
            int(output_size),
            components,
            float(percentile),
            {k: v for k, v in named.items() if v and v != choices.AUTOMATIC},
        )

    def run(photo: str | None, *values: Any) -> Iterator[tuple[Any, Any, Any]]:
        chosen = settings(values)
        link = "?" + Settings.query_string(_with_example(chosen, photo))
        for grid, status in stream(session, photo, chosen):
            yield grid, status, link

    def restore(request: gr.Request) -> tuple[Any, ...]:
        found = Settings.parse(dict(request.query_params))
        examples = choices.example_photos()
        name = found.example if found.example in examples else next(iter(examples), None)
        weights = [found.checkpoints.get(m, choices.AUTOMATIC) for m in page.checkpoints]
        return (
            str(examples[name]) if name else None,
            list(found.backbones),
            list(found.upsamplers),
            found.input_size,
            found.output_size,
            found.components,
            found.percentile,
            *weights,
        )

    outputs = [page.grid, page.status, page.link]
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    demo.load(restore, None, page.inputs(), **quiet)  # the photo it sets starts the first run
    changed = [
        page.photo.change,  # not "clear": it comes before the value has gone
        page.backbones.input,
        page.upsamplers.input,
        page.input_size.release,
        page.output_size.release,
        page.components.input,
        page.percentile.release,
        *(weights.input for weights in page.checkpoints.values()),
    ]
    gr.on(changed, run, page.inputs(), outputs, trigger_mode="always_last", **quiet)


VIEW_ORDER = [name for _, name in choices.upsampler_choices()]


def stream(
    session: Session, photo: str | None, chosen: Settings
) -> Iterator[tuple[dict[str, Any] | Any, dict[str, str]]]:
    """Yield (grid value, status) as panels become ready; errors become one sentence."""
    try:
        options = chosen.options(read_photo(photo))
    except ExplorerError as error:
        yield gr.skip(), {"text": str(error), "kind": "error"}
        return
    panels: dict[tuple[str, str], Panel] = {}
    try:
        for panel in VIEWS.create("pca").stream(session, options):
            panels[panel.row, panel.column] = panel
            yield show(session, options, panels)
    except ExplorerError as error:
        yield gr.skip(), {"text": str(error), "kind": "error"}
    except Exception:
        log.exception("the grid could not be made")
        yield gr.skip(), {"text": TROUBLE, "kind": "error"}


def show(
    session: Session, options: Options, panels: dict[tuple[str, str], Panel]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the grid with what is still missing marked, and a status line."""
    columns = ["Photo", "Coarse", *(method_title(name) for name in options.upsamplers)]
    rows = list(dict.fromkeys(row for row, _ in panels))
    failed = {row for (row, column), p in panels.items() if p.error and column == "Coarse"}
    waiting = [
        (row, column)
        for row in rows
        if row not in failed
        for column in columns
        if (row, column) not in panels or panels[row, column].caption.startswith("preview")
    ]
    left = len(options.backbones) - len(rows)
    if waiting:
        row, column = waiting[0]
        text, kind = f"Working: {column} on {row}, {len(waiting)} panels to go", "work"
    elif left:
        text, kind = f"Working: {left} more backbones", "work"
    else:
        height, width = options.output
        done = sum(p.error is None for p in panels.values())
        text = f"{done} panels at {height}×{width} on {session.device.type}"
        kind = "done"
    grids = {
        row: panels[row, "Coarse"].image.shape[:2]
        for row in rows
        if (row, "Coarse") in panels and not panels[row, "Coarse"].error
    }
    value = grid_value(
        list(panels.values()),
        pending=waiting,
        columns=columns,
        grids=grids,
        output_size=options.output,
    )
    return value, {"text": text, "kind": kind}


def _with_example(chosen: Settings, photo: str | None) -> Settings:
    name = Path(photo).stem if photo else None
    return replace(chosen, example=name if name in choices.example_photos() else None)
