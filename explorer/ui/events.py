"""What happens when: settings change, points are picked, panels stream in, the address follows."""

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
from explorer.ui.grid import grid_value, on_pick, read_click
from explorer.ui.page import Page
from explorer.ui.settings import Settings
from explorer.ui.status import trouble
from explorer.views import VIEWS, View
from explorer.views.base import method_title
from explorer.views.rows import PHOTO, RowView, coarse_grids

log = logging.getLogger(__name__)


def connect(demo: gr.Blocks, page: Page, session: Session) -> None:
    """Wire the page: the address is read once, then every change runs the grid again."""

    def rerun(shown: tuple[Any, ...] | None, *values: Any) -> Iterator[tuple[Any, ...]]:
        if shown == values:  # one change can be told several times, as when a link is opened
            yield gr.skip(), gr.skip(), gr.skip()
            return
        for grid, status in run(*values):
            yield grid, status, values if status["kind"] == "done" else None

    def run(photo: str | None, *values: Any) -> Iterator[tuple[Any, ...]]:
        chosen = page.settings(*values)
        try:
            view, options = page.view(*values), page.options(photo, *values)
        except Exception as error:
            yield gr.skip(), trouble(error, log)
            return
        yield from stream(session, view, options, chosen)

    def pick(picked: Any, tab: str, photo: str | None, *values: Any) -> Iterator[tuple[Any, ...]]:
        try:
            click = read_click(picked)
        except ExplorerError as error:
            yield gr.skip(), trouble(error, log), gr.skip(), gr.skip()
            return
        values = ((click.row, click.col), *values[1:])
        yield gr.skip(), gr.skip(), values[0], link(tab, photo, *values)
        if VIEWS.get(page.settings(*values).view).shows_query:
            for shown in run(photo, *values):
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
        found = Settings.parse(asked) if asked else Settings()
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
    shown = gr.State()
    again = {"trigger_mode": "always_last"} | quiet
    gr.on(changed, rerun, [shown, *page.inputs()], [*outputs, shown], **again)
    page.tabs.select(opened, None, page.tab, **quiet)
    # Apart from the run, which would end with the link of when it began.
    linked = [page.photo.change, *page.changes(), page.query.change, page.tab.change]
    latest = {"trigger_mode": "always_last", "queue": False}
    gr.on(linked, link, [page.tab, *page.inputs()], page.link, **latest, **quiet)
    picks = [*outputs, page.query, page.link]
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
            grid, status = show(session, view, options, panels, chosen)
            yield grid, status
    except Exception as error:
        yield settled(grid) if grid else gr.skip(), trouble(error, log)


def settled(grid: dict[str, Any]) -> dict[str, Any]:
    """Return the grid with nothing in it that looks as if somebody still worked on it."""
    known = {key: cell for key, cell in grid["panels"].items() if "origin" in cell}
    return grid | {"panels": {key: cell | {"pending": False} for key, cell in known.items()}}


def show(
    session: Session,
    view: View,
    options: Options,
    panels: dict[tuple[str, str], Panel],
    chosen: Settings,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the grid with what is still missing marked, and a status line."""
    wanted = view.methods(options) if isinstance(view, RowView) else options.upsamplers
    methods = [method_title(name) for name in wanted]
    titles = {column: _method(column, methods) for _, column in panels}
    lead = list(dict.fromkeys(column for _, column in panels if titles[column] is None))
    lead.sort(key=lambda column: column != PHOTO)  # a row that failed may have none
    rows = list(dict.fromkeys(row for row, _ in panels))
    failed = {row for (row, column), p in panels.items() if p.error and titles[column] is None}
    ready = {
        (row, titles[column])
        for (row, column), panel in panels.items()
        if not panel.caption.startswith("preview")
    }
    named = {title: column for column, title in titles.items() if title is not None}
    columns = [named.get(title, title) for title in methods]
    waiting = [
        (row, named.get(title, title))
        for row in rows
        if row not in failed
        for title in methods
        if (row, title) not in ready
    ]
    value = grid_value(
        list(panels.values()),
        query=chosen.query,
        pending=waiting,
        columns=[*lead, *columns],
        grids=coarse_grids(session, options, rows, failed),
        output_size=options.output,
    )
    return value, _status(session, options, panels, waiting, len(rows))


def _method(column: str, methods: list[str]) -> str | None:
    """Return the method a column shows, alone or against another one; None for the others."""
    title = column.partition(" vs ")[0]
    return title if title in methods else None


def _status(
    session: Session,
    options: Options,
    panels: dict[tuple[str, str], Panel],
    waiting: list[tuple[str, str]],
    rows: int,
) -> dict[str, str]:
    if waiting:
        row, column = waiting[0]
        text = f"Working: {column} on {row}, {len(waiting)} panels to go"
        return {"text": text, "kind": "work"}
    left = len(options.backbones) - rows
    if left > 0:
        return {"text": f"Working: {left} more backbones", "kind": "work"}
    height, width = options.output
    done = sum(p.error is None for p in panels.values())
    text = f"{done} panels at {height}×{width} on {session.device.type}"
    colours = next((p.recipe["pca"] for p in panels.values() if "pca" in p.recipe), "")
    return {"text": f"{text} · {colours}" if colours else text, "kind": "done"}
