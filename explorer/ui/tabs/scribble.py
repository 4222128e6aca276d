"""Scribble: paint a few strokes per class and see what every method's features make of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from explorer.core import ExplorerError
from explorer.session import Options, Session
from explorer.ui.choices import panel_choices, panel_names
from explorer.ui.downloads import download_value, downloads
from explorer.ui.grid import panel_grid
from explorer.ui.page import Page
from explorer.ui.photo_input import read_photo
from explorer.ui.scribble import (
    Painted,
    canvas_value,
    on_paint,
    read_painted,
    read_picked,
    scribble_canvas,
)
from explorer.ui.scribble_files import (
    labels_file,
    open_strokes_file,
    strokes_file,
)
from explorer.ui.scribble_panels import probabilities, scribble_options, scribbled
from explorer.ui.status import error_status, status_line
from explorer.upsamplers.settings import freeze
from explorer.views.predictions import SHOWN, ProbeParams

TITLE = "Scribble"
WORKING = {"text": "Working…", "kind": "work"}
IDLE = {"text": "Choose a photo, then paint on it.", "kind": "done"}
log = logging.getLogger(__name__)


def build(page: Page, session: Session) -> None:
    """Make the tab; call inside ``gr.Tabs``."""
    with gr.Tab(TITLE, id="scribble") as tab:
        gr.Markdown(
            "A classifier from your own strokes, one per method: it learns from the features under "
            "the strokes and labels every pixel. Where the labels differ, the features do."
        )
        with gr.Row():
            with gr.Column(scale=1, min_width=380):
                canvas = scribble_canvas("scribble")
                with gr.Row():
                    load = gr.UploadButton(
                        "Load strokes", file_types=[".json"], size="sm", elem_id="load-strokes"
                    )
                    save = gr.Button("Save strokes", size="sm", elem_id="save-strokes")
            with gr.Column(scale=2, min_width=440):
                with gr.Row():
                    show = gr.Radio(
                        list(SHOWN),
                        value=SHOWN[0],
                        label="Show",
                        scale=3,
                        min_width=380,
                        elem_id="scribble-show",
                    )
                    opacity = gr.Slider(
                        0,
                        1,
                        ProbeParams.opacity,
                        step=0.05,
                        label="Opacity",
                        scale=1,
                        min_width=150,
                    )
                status = status_line("scribble-status", IDLE)
                grid = panel_grid("scribbled")
                with gr.Row():
                    chosen = gr.Dropdown(
                        [],
                        label="Label map of",
                        allow_custom_value=True,
                        scale=2,
                        elem_id="scribble-method",
                    )
                    with gr.Column(scale=1, min_width=150):
                        png = gr.Button("PNG with palette", size="sm", elem_id="labels-png")
                        npy = gr.Button("NumPy array", size="sm", elem_id="labels-npy")
        done = gr.State()  # what the panels on screen were made from
        saved = downloads("scribble-save")

    inputs = [show, opacity, chosen, *page.inputs()]

    def read(painted: Any, shown: str, opaque: float, photo: str | None, *values: Any):
        found, options = read_painted(painted), page.options(photo, *values)
        strokes = found.strokes if found.photo == options.photo.digest else []  # of another one
        return found, scribble_options(options, strokes, shown, opaque)

    def turn(painted, shown, opaque, method, photo, *values) -> tuple[Any, Any]:
        """Show the canvas its photo, and the menu what there are label maps of."""
        try:
            found, options = read_painted(painted), page.options(photo, *values)
            known = panel_choices(options.backbones, options.upsamplers)
            if not (found.visible and known):
                return gr.skip(), gr.skip()
            method = method if method in [value for _, value in known] else known[-1][1]
            shows = found.photo == options.photo.digest
            menu = gr.update(choices=known, value=method)
            return gr.skip() if shows else canvas_value(options.photo), menu
        except ExplorerError:  # what is wrong, ``run`` says
            return gr.skip(), gr.skip()

    def run(painted, done, shown, opaque, method, *values) -> Iterator[tuple[Any, ...]]:
        """Predict again, unless nothing has changed: the tab and its canvas both say when they
        come into sight.
        """
        panels = gr.skip()
        try:
            options = read(painted, shown, opaque, *values)[1]
            state = freeze((options.view, values))
            if not read_painted(painted).visible or state == done:
                yield gr.skip(), gr.skip(), gr.skip()
                return
            yield panels, WORKING, None
            for panels, text in scribbled(session, options, page.settings(*values[1:]).query):
                yield panels, text, state if text["kind"] == "done" else None
        except Exception as error:
            yield panels, error_status(error, log), None

    def pick(painted, shown, opaque, _, photo, *values) -> tuple[dict[str, str], Any]:
        try:
            click = read_picked(painted)
            values = ((click.row, click.col), *values[1:])
            options = read(painted, shown, opaque, photo, *values)[1]
            text = probabilities(session, options, click)
            return {"text": text, "kind": "done"}, (click.row, click.col)
        except Exception as error:
            return error_status(error, log), gr.skip()

    def keep(make: Callable[[Painted, Options, str], tuple[bytes, str, str]]):
        def listener(painted, shown, opaque, method, photo, *values) -> tuple[Any, dict]:
            try:
                found, options = read(painted, shown, opaque, photo, *values)
                data, name, text = make(found, options, method)
                return download_value(data, name), {"text": f"{name}: {text}", "kind": "done"}
            except Exception as error:
                return gr.skip(), error_status(error, log)

        return listener

    def strokes_of(found: Painted, options: Options, _: str) -> tuple[bytes, str, str]:
        data, name = strokes_file(found.strokes, options.photo)
        return data, name, f"{len(found.strokes)} strokes"

    def labels_of(kind: str):
        def make(_: Painted, options: Options, method: str) -> tuple[bytes, str, str]:
            backbone, name = panel_names(str(method))
            return labels_file(session, options, backbone, name, kind)

        return make

    def opened(path: str | None, photo: str | None) -> tuple[Any, dict[str, str]]:
        try:
            found = read_photo(photo)
            strokes, text = open_strokes_file(path, found)
            return canvas_value(found, strokes, text), {"text": text, "kind": "work"}
        except Exception as error:
            return gr.skip(), error_status(error, log)

    changed = [tab.select, canvas.input, show.input, opacity.release, page.photo.change]
    changed += page.changes("backbones", "upsamplers", "input_size", "output_size")
    with tab:
        # Two listeners, and a value is never followed by a skip: Gradio's page changes a streamed
        # value in place into the next one, also one that it has not yet handed to its component.
        at_once = {"queue": False}
        on_paint(canvas, grid, changed, turn, inputs, [canvas, chosen], **at_once)
        on_paint(canvas, grid, changed, run, [done, *inputs], [grid, status, done])
        on_paint(canvas, grid, [grid.select], pick, inputs, [status, page.query])
        for button, make in ((save, strokes_of), (png, labels_of("png")), (npy, labels_of("npy"))):
            on_paint(canvas, grid, [button.click], keep(make), inputs, [saved, status])
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    load.upload(opened, [load, page.photo], [canvas, status], **quiet)
