"""Compare: any two panels under a swipe slider, and where the features of two methods differ."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from explorer.core import ExplorerError, Panel
from explorer.session import Options, Session
from explorer.ui.choices import panel_choices, panel_names
from explorer.ui.grid import grid_value, on_pick, panel_grid, read_click
from explorer.ui.page import Page
from explorer.ui.settings import Settings
from explorer.ui.status import error_status, status_line
from explorer.ui.swipe import panel_swipe, swipe_value
from explorer.views import VIEWS
from explorer.views.base import method_title

TITLE = "Compare"
PHOTO = "photo"
NOT_ALIGNED = "|not aligned"  # ends the value of a side whose features are the network's own
IDLE = {"text": "Choose two panels.", "kind": "done"}
log = logging.getLogger(__name__)
Shown = tuple[Any, Any, dict[str, str]]  # swipe, map, status


def build(page: Page, session: Session) -> None:
    """Make the tab; call inside ``gr.Tabs``."""
    with gr.Tab(TITLE, id="compare") as tab:
        gr.Markdown(
            "Two panels of the chosen view. Drag the handle, zoom to single pixels; a click sets "
            "the query of every tab."
        )
        with gr.Row():
            left = gr.Dropdown([], label="Left", elem_id="left", allow_custom_value=True)
            right = gr.Dropdown([], label="Right", elem_id="right", allow_custom_value=True)
        status = status_line("compare-status", IDLE)
        with gr.Row():
            with gr.Column(scale=3, min_width=420):
                swipe = panel_swipe("swipe")
            with gr.Column(scale=2, min_width=320):
                apart = panel_grid("apart")
    inputs = [left, right, *page.inputs()]

    def choose(one: str, other: str, _, *values: Any) -> tuple[Any, Any]:
        settings = page.settings(*values)
        menu = sides(settings)
        one, other = chosen(settings, one, other)
        return gr.update(choices=menu, value=one), gr.update(choices=menu, value=other)

    def run(one: str, other: str, photo: str | None, *values: Any) -> Iterator[Shown]:
        swiped = difference = gr.skip()
        try:
            settings, options = page.settings(*values), page.options(photo, *values)
            yield swiped, difference, {"text": "Working: two panels", "kind": "work"}
            pair = chosen(settings, one, other)
            for swiped, difference, text in compared(session, settings, options, *pair):
                yield swiped, difference, text
        except Exception as error:
            yield swiped, difference, error_status(error, log)

    def pick(picked: Any, one: str, other: str, photo: str | None, _, *values: Any):
        try:
            click = read_click(picked)
        except ExplorerError as error:
            yield gr.skip(), gr.skip(), error_status(error, log), gr.skip()
            return
        point = (click.row, click.col)
        for shown in run(one, other, photo, point, *values):
            yield *shown, point

    # Two listeners, and a value is never followed by a skip: Gradio's page changes a streamed value
    # in place into the next one, also one that it has not yet handed to its component.
    outputs = [swipe, apart, status]
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    changed = [tab.select, left.input, right.input]
    gr.on(changed, choose, inputs, [left, right], queue=False, **quiet)
    gr.on(changed, run, inputs, outputs, **quiet)
    with tab:
        for linked in (swipe, apart):
            on_pick(linked, pick, inputs, [*outputs, page.query])


def sides(settings: Settings) -> list[tuple[str, str]]:
    """Return (label, value) of the panels to choose from: the photo, then backbone x method, then,
    if features are aligned, the same of features that are not.
    """
    panels = panel_choices(settings.backbones, settings.upsamplers)
    plain = [(f"{label}, not aligned", value + NOT_ALIGNED) for label, value in panels]
    return [("Photo", PHOTO), *panels, *(plain if settings.align else ())]


def chosen(settings: Settings, one: str, other: str) -> tuple[str, str]:
    """Return the two sides that are asked for; others in place of those that are gone."""
    known = [value for _, value in sides(settings)]
    usual = [value for value in known if not value.endswith(NOT_ALIGNED)]
    one = one if one in known else usual[min(1, len(usual) - 1)]
    return one, other if other in known and other != one else usual[-1]


def compared(
    session: Session, settings: Settings, options: Options, one: str, other: str
) -> Iterator[tuple[Any, Any, dict[str, str]]]:
    """Yield (swipe value, grid value, status): two panels of the chosen view, then how far their
    features are apart.
    """
    if one == other:
        raise ExplorerError("choose two different panels to compare")
    names = [panel_names(name.removesuffix(NOT_ALIGNED)) for name in (one, other)]
    view = settings.view
    if not set(options.upsamplers) <= set(VIEWS.create(view).methods(options)):
        view, options = "pca", replace(options, view={})
    made = {name.endswith(NOT_ALIGNED): [] for name in (one, other)}
    for plain in made:
        shown = replace(options, align=False) if plain else options
        made[plain] = VIEWS.create(view).render(session, shown)
    places = [_panel(made[name.endswith(NOT_ALIGNED)], name) for name in (one, other)]
    shared = {"query": settings.query, "output_size": options.output}
    swipe = swipe_value(*places, **shared)
    text = f"{VIEWS.get(view).title}: {places[0].column} | {places[1].column}"
    if len(made) > 1 or PHOTO in (one, other) or names[0][0] != names[1][0]:
        note = f"{text} · no difference map: that needs two methods of one backbone, aligned alike"
        yield swipe, grid_value([], **shared), {"text": note, "kind": "done"}
        return
    yield swipe, gr.skip(), {"text": f"{text} · working: their difference", "kind": "work"}
    backbone, first = names[0]
    pair = replace(
        options,
        align=options.align and not one.endswith(NOT_ALIGNED),
        backbones=(backbone,),
        upsamplers=(first, names[1][1]),
        view={"reference": first},
    )
    apart = VIEWS.create("difference").render(session, pair)[-1]
    yield swipe, grid_value([apart], **shared), {"text": text, "kind": "done"}


def _panel(made: list[Panel], name: str) -> Panel:
    """Return the panel a side's value stands for."""
    names, plain = panel_names(name.removesuffix(NOT_ALIGNED)), name.endswith(NOT_ALIGNED)
    for panel in made:
        if panel.role == "photo" if name == PHOTO else (panel.backbone, panel.method) == names:
            return replace(panel, column=f"{panel.column}, not aligned") if plain else panel
    what = "photo" if name == PHOTO else f"panel of {method_title(names[1])}"
    raise ExplorerError(f"this view has no {what}; choose another view or panel")
