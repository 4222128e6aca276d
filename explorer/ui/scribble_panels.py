"""What strokes make of every method: prepared before the first one, predicted after each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from explorer.core import ExplorerError, Panel
from explorer.probes import Stroke
from explorer.probes.scribble import check_strokes
from explorer.session import Options, Session
from explorer.ui.grid import PanelClick, awaited, grid_value
from explorer.views import VIEWS
from explorer.views.base import method_title
from explorer.views.predictions import SCRIBBLE, ProbeParams, at_query, predict, strokes_of
from explorer.views.rows import PairContext, percent

TODO = "Paint a stroke on the photo, then choose another class and paint one for that as well."
SLOW = 0.5  # seconds of preparing after which the next step is announced
PATIENCE = 2.0  # seconds after which the panels that are ready replace the old ones
# Painted before anybody paints, so that the first stroke waits for no encoder and no import.
REHEARSAL = tuple(
    Stroke(name, (0, 0, 0), ((at, at),), 0.05) for name, at in (("a", 0.25), ("b", 0.75))
)
Shown = tuple[Any, dict[str, str]]  # grid, status


def scribble_options(
    options: Options,
    strokes: list[Stroke],
    show: str = "prediction",
    opacity: float = ProbeParams.opacity,
    **further: Any,
) -> Options:
    """Return the options of the probe view for these strokes."""
    view = {"probe": SCRIBBLE, "show": show, "opacity": opacity}
    return replace(options, view=view | {"strokes": [one.to_json() for one in strokes]} | further)


def scribbled(
    session: Session, options: Options, query: tuple[float, float] | None
) -> Iterator[Shown]:
    """Yield (grid value, status): what is being prepared, then predictions, or what to paint."""
    status = {"text": "Working…", "kind": "work"}
    for text in prepare(session, options):
        status = {"text": text, "kind": "work"}
        yield gr.skip(), status
    strokes = strokes_of(options)
    size = options.output
    try:
        classes, _ = check_strokes(strokes, size)
    except ExplorerError as error:
        yield None, {"text": str(error) if strokes else TODO, "kind": "done"}
        return
    view = VIEWS.create("probe")
    methods = view.methods(options)
    panels: list[Panel] = []

    def grid() -> dict[str, Any]:
        columns, waiting = awaited(panels, methods)
        return grid_value(panels, query=query, pending=waiting, columns=columns, output_size=size)

    shown = time.monotonic()
    for panel in view.stream(session, options):
        if panel.role == "method":
            panels.append(panel)
            if time.monotonic() - shown > PATIENCE:
                shown = time.monotonic()
                yield grid(), status
    text = (
        f"{len(strokes)} strokes of {len(classes)} classes, {size[0]}×{size[1]} pixels labelled on "
        f"{session.device.type}"
    )
    yield grid(), {"text": text, "kind": "done"}


def prepare(session: Session, options: Options) -> Iterator[str]:
    """Do what does not depend on the strokes, saying what comes next once something was slow."""
    rehearsed = replace(options, view={"probe": SCRIBBLE, "strokes": _plain(REHEARSAL)})
    slow = False
    pairs = [(b, m) for b in options.backbones for m in options.upsamplers]
    for number, (backbone, method) in enumerate(pairs, 1):
        if slow:
            yield f"Preparing {method_title(method)} on {backbone}, {number} of {len(pairs)}"
        place = PairContext(session, rehearsed, backbone, backbone, method)
        start = time.monotonic()
        try:
            session.memoize(
                rehearsed, backbone, method, ("scribble rehearsal",), lambda _, p=place: _try(p)
            )
        except ExplorerError:  # its panel will say so
            continue
        slow = slow or time.monotonic() - start > SLOW


def probabilities(session: Session, options: Options, click: PanelClick) -> str:
    """Return a sentence: the classes' probabilities at the picked point, for the panel it was
    picked in.

    Raises:
        ExplorerError: there is no such panel, or too little is painted.
    """
    if click.backbone not in options.backbones or click.method not in options.upsamplers:
        raise ExplorerError("that panel is gone; click in one that is on screen")
    place = PairContext(session, options, click.backbone, "", click.method)
    found = ", ".join(f"{name} {percent(share)}" for name, share in at_query(place))
    row, col = place.query
    return f"{place.column} at row {row}, column {col}: {found}"


def _try(place: PairContext) -> bool:
    predict(place)
    return True


def _plain(strokes: tuple[Stroke, ...]) -> list[dict[str, Any]]:
    return [stroke.to_json() for stroke in strokes]
