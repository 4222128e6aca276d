"""What happens when: settings change, points are picked, panels stream in, the address follows."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from explorer.core import ExplorerError, Panel
from explorer.session import Options, Session
from explorer.ui import choices
from explorer.ui.grid import awaited, grid_value, on_pick, read_click
from explorer.ui.latest import LatestState, page_of_event
from explorer.ui.page import Page
from explorer.ui.settings import Settings, is_link
from explorer.ui.status import error_status
from explorer.views import VIEWS, View

log = logging.getLogger(__name__)


def connect(demo: gr.Blocks, page: Page, session: Session) -> None:
    """Wire the page: the address is read once, then every change runs the grid again.

    A change stops the work on the state before it, and so does leaving the page.
    """
    latest = LatestState()

    def rerun(shown: tuple[Any, ...] | None, *values: Any) -> Iterator[tuple[Any, ...]]:
        begun = False
        if shown != values:  # one change can be told several times, as when a link is opened
            for grid, status in latest.work(page_of_event(), state_of(*values), run(*values)):
                begun = True
                yield grid, status, values if status["kind"] == "done" else None
        if not begun:  # Gradio would empty the outputs of what yields nothing
            yield gr.skip(), gr.skip(), gr.skip()

    def state_of(photo: str | None, query: Any, *values: Any) -> tuple[Any, ...]:
        """Return what the grid depends on; the query only if the view shows something about it."""
        pointed = VIEWS.get(page.settings(query, *values).view).shows_query
        return (photo, query if pointed else None, *values)

    def announce(*values: Any) -> None:
        latest.announce(page_of_event(), state_of(*values))

    def announce_pick(picked: Any, *values: Any) -> None:
        with suppress(ExplorerError):
            click = read_click(picked)
            announce(values[0], (click.row, click.col), *values[2:])

    def leave(request: gr.Request) -> None:
        latest.announce(str(request.session_hash), None)

    def run(photo: str | None, *values: Any) -> Iterator[tuple[Any, ...]]:
        chosen = page.settings(*values)
        try:
            view, options = page.view(*values), page.options(photo, *values)
        except Exception as error:
            yield gr.skip(), error_status(error, log)
            return
        yield from stream(session, view, options, chosen)

    def pick(picked: Any, tab: str, photo: str | None, *values: Any) -> Iterator[tuple[Any, ...]]:
        try:
            click = read_click(picked)
        except ExplorerError as error:
            yield gr.skip(), error_status(error, log), gr.skip(), gr.skip()
            return
        values = ((click.row, click.col), *values[1:])
        yield gr.skip(), gr.skip(), values[0], link(tab, photo, *values)
        if VIEWS.get(page.settings(*values).view).shows_query:
            state = state_of(photo, *values)
            for shown in latest.work(page_of_event(), state, run(photo, *values)):
                yield *shown, gr.skip(), gr.skip()

    def link(tab: str, photo: str | None, *values: Any) -> str:
        name = Path(photo).stem if photo else None
        example = name if name in choices.example_photos() else None
        chosen = replace(page.settings(*values), example=example, tab=tab)
        return "?" + chosen.query_string()

    def opened(event: gr.SelectData) -> Any:
        return next((tab.id for tab in page.tabs.children if tab.label == event.value), gr.skip())

    def restore(request: gr.Request) -> tuple[Any, ...]:
        asked = dict(request.query_params)
        found = Settings.parse(asked) if is_link(asked) else Settings()
        examples = choices.example_photos()
        name = found.example if found.example in examples else next(iter(examples), None)
        photo = str(examples[name]) if name else None
        return gr.Tabs(selected=found.tab), found.tab, photo, *page.values(found)

    outputs = [page.grid, page.status]
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    # the photo it sets starts the first run
    demo.load(restore, None, [page.tabs, page.tab, *page.inputs()], **quiet)
    # Not "clear": it comes before the value has gone.
    changed = [page.photo.change, page.second.change, *page.changes()]
    # Outside the queue, where the run before this change still holds its place, and first: Gradio's
    # page calls an event's listeners one after the other, each when the one before has ended.
    at_once = {"queue": False, "trigger_mode": "multiple"} | quiet
    gr.on(changed, announce, page.inputs(), None, **at_once)
    # Apart from the run, which would end with the link of when it began, and before it.
    linked = [page.photo.change, *page.changes(), page.query.change, page.tab.change]
    last_alone = {"trigger_mode": "always_last", "queue": False}
    gr.on(linked, link, [page.tab, *page.inputs()], page.link, **last_alone, **quiet)
    shown = gr.State()
    again = {"trigger_mode": "always_last"} | quiet
    gr.on(changed, rerun, [shown, *page.inputs()], [*outputs, shown], **again)
    demo.unload(leave)
    page.tabs.select(opened, None, page.tab, **quiet)
    picks = [*outputs, page.query, page.link]
    on_pick(page.grid, announce_pick, page.inputs(), None, **at_once)
    on_pick(page.grid, pick, [page.tab, *page.inputs()], picks, api_visibility="private")


def stream(
    session: Session, view: View, options: Options, chosen: Settings
) -> Iterator[tuple[dict[str, Any] | Any, dict[str, str]]]:
    """Yield (grid value, status) as panels become ready; errors become one sentence."""
    panels: dict[tuple[str, str], Panel] = {}
    grid = None
    try:
        for panel in view.stream(session, options):
            panels[panel.row, panel.column] = panel
            grid, status = show(session, view, options, list(panels.values()), chosen)
            yield grid, status
        if grid and status["kind"] == "work":  # the view has no panel for each of the methods
            yield without_pending(grid), _done(session, options, list(panels.values()))
    except Exception as error:
        yield without_pending(grid) if grid else gr.skip(), error_status(error, log)


def without_pending(grid: dict[str, Any]) -> dict[str, Any]:
    """Return the grid with nothing in it that looks as if somebody still worked on it."""
    known = {key: cell for key, cell in grid["panels"].items() if "error" in cell}
    return grid | {"panels": {key: cell | {"pending": False} for key, cell in known.items()}}


def show(
    session: Session,
    view: View,
    options: Options,
    panels: Sequence[Panel],
    chosen: Settings,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the grid with what is still missing marked, and a status line."""
    methods = view.methods(options)
    columns, waiting = awaited(panels, methods)
    lead = {panel.column: panel.role for panel in panels if panel.role != "method"}
    value = grid_value(
        panels,
        query=chosen.query,
        pending=waiting,
        # a row that failed may have no photo
        columns=[*sorted(lead, key=lambda column: lead[column] != "photo"), *columns],
        output_size=options.output,
        shows=f"{options.photo.digest}:{chosen.view}:{options.align}",
    )
    return value, _status(session, options, panels, waiting)


def _status(
    session: Session,
    options: Options,
    panels: Sequence[Panel],
    waiting: list[tuple[str, str]],
) -> dict[str, str]:
    if waiting:
        row, column = waiting[0]
        text = f"Working: {column} on {row}, {len(waiting)} panels to go"
        return {"text": text, "kind": "work"}
    left = len(set(options.backbones) - {panel.backbone for panel in panels})
    if left:
        return {"text": f"Working: {left} more backbones", "kind": "work"}
    return _done(session, options, panels)


def _done(session: Session, options: Options, panels: Sequence[Panel]) -> dict[str, str]:
    height, width = options.output
    done = sum(p.error is None for p in panels)
    text = f"{done} panels at {height}×{width} on {session.device.type}"
    colours = next((p.recipe["pca"] for p in panels if "pca" in p.recipe), "")
    return {"text": f"{text} · {colours}" if colours else text, "kind": "done"}
