"""Export: the paper figure of the panels, with a live preview, zoom boxes, files and citations."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from explorer.session import Session
from explorer.ui.downloads import download_value, downloads
from explorer.ui.export_canvas import (
    Drawn,
    canvas_value,
    figure_preview,
    inset_canvas,
    on_drawn,
    read_drawn,
)
from explorer.ui.export_fields import (
    CUSTOM,
    NAMES,
    OF_DOCUMENT,
    preset_field,
    style_fields,
)
from explorer.ui.export_figure import (
    content,
    figure_file,
    file_name,
    preview_value,
    suiting,
    summary,
    view_menu,
    views_of,
)
from explorer.ui.export_look import BOXES, DOCUMENT, PANELS, STYLE, SUGGEST, look
from explorer.ui.page import Page, edited
from explorer.ui.photo_input import read_photo
from explorer.ui.status import error_status, status_line

TITLE = "Export"
WORKING = {"text": "Working: the figure's panels", "kind": "work"}
FILES = {
    "pdf": "Download PDF",
    "svg": "Download SVG",
    "png": "Download PNG",
    "zip": "Panels + LaTeX, zip",
    "bib": "BibTeX",
}
log = logging.getLogger(__name__)


def build(page: Page, session: Session) -> None:
    """Make the tab; call inside ``gr.Tabs``."""
    with gr.Tab(TITLE, id="export") as tab:
        with gr.Row():
            preset = preset_field()
            views = gr.Dropdown(
                view_menu(),
                value=[],
                multiselect=True,
                label="Views, each with rows of its own (none chosen: the one on screen)",
                elem_id="export-views",
                min_width=300,
                scale=2,
            )
        status = status_line("export-status", WORKING)
        preview = figure_preview("export-preview")
        with gr.Row(elem_id="export-files"):
            buttons = {
                kind: gr.Button(title, size="sm", min_width=110, elem_id=f"export-{kind}")
                for kind, title in FILES.items()
            }
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                canvas = inset_canvas("export-boxes")
                suggest = gr.Button(
                    "Suggest boxes where methods differ", size="sm", elem_id="export-suggest"
                )
            with gr.Column(scale=3, min_width=420):
                fields = style_fields()
        saved = downloads("export-save")

    def gathered(drawn: Drawn, names: list[str], photo: str | None, *values: Any):
        settings, options = page.settings(*values), page.options(photo, *values)
        strokes = drawn.strokes if drawn.photo == options.photo.digest else []
        second = read_photo(values[-1]) if values[-1] else None
        chosen = views_of(settings, names or [], second, strokes)
        return options, chosen, content(session, options, chosen)

    def draw(change: str, always: bool = True) -> Callable[..., Iterator[tuple[Any, ...]]]:
        def listener(data: Any, kind: str, names: list[str], *given: Any):
            skipped = [gr.skip()] * (len(outputs) - 1)
            try:
                drawn = read_drawn(data)
                if not (always or drawn.visible):
                    yield *skipped, gr.skip()
                    return
                yield *skipped, WORKING
                values, rest = given[: len(NAMES)], given[len(NAMES) :]
                options, chosen, shown = gathered(drawn, names, *rest)
                made = look(change, kind, values, drawn, shown, suiting(chosen, options))
                yield (
                    preview_value(shown, made.style),
                    canvas_value(shown.panels, options.output, made.boxes, bool(made.style.insets)),
                    made.preset,
                    *(made.updates.get(name, gr.skip()) for name in NAMES),
                    {"text": f"{made.note}{summary(shown, made.style)}", "kind": "done"},
                )
            except Exception as error:
                if change == STYLE:  # a preset would undo what is to be mended
                    skipped[outputs.index(preset)] = CUSTOM
                yield *skipped, error_status(error, log)

        return listener

    def keep(file: str) -> Callable[..., tuple[Any, Any]]:
        def listener(data: Any, kind: str, names: list[str], *given: Any):
            try:
                drawn = read_drawn(data)
                values, rest = given[: len(NAMES)], given[len(NAMES) :]
                options, chosen, shown = gathered(drawn, names, *rest)
                style = look(PANELS, kind, values, drawn, shown, suiting(chosen, options)).style
                made = figure_file(shown, style, file)
                name = file_name(options.photo, chosen, file)
                said = "the BibTeX entries of what the figure shows"
                if file != "bib":
                    said = f"{len(made) / 2**20:.2f} MiB, the recipe is inside"
                return download_value(made, name), {"text": f"{name}: {said}", "kind": "done"}
            except Exception as error:
                return gr.skip(), error_status(error, log)

        return listener

    styles = [fields[name] for name in NAMES]
    inputs = [preset, views, *styles, *page.inputs()]
    outputs = [preview, canvas, preset, *styles, status]
    events_of = {
        about: [edited(fields[name]) for name in NAMES if (name in OF_DOCUMENT) == of_all]
        for about, of_all in ((STYLE, False), (DOCUMENT, True))
    }
    changed = [page.photo.change, page.second.change, *page.changes()]
    with tab:
        for about, events in (
            (PANELS, [tab.select, preset.input, views.input]),
            (BOXES, [canvas.input]),
            (SUGGEST, [suggest.click]),
            *events_of.items(),
        ):
            on_drawn(canvas, events, draw(about), inputs, outputs, in_turn="figure")
        unasked = draw(PANELS, always=False)
        on_drawn(canvas, changed, unasked, inputs, outputs, in_turn="figure")
        for file, button in buttons.items():
            on_drawn(canvas, [button.click], keep(file), inputs, [saved, status])
