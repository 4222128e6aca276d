"""The figure's preview, the boxes drawn on a panel, and what the browser says about both."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from explorer.core import ExplorerError, Panel
from explorer.figure import INSET_COLORS, Inset
from explorer.figure.style import MAX_INSETS
from explorer.probes.strokes import Stroke, read_strokes
from explorer.ui.grid import STATIC, TEMPLATE, picture_file

SCRIBBLE = "scribble"  # the elem_id of the canvas with strokes


@dataclass(frozen=True)
class Drawn:
    """What the browser holds: boxes (row0, row1, col0, col1) in fractions, or None if nobody drew
    any yet; strokes painted on the photo with digest ``photo``; whether the tab is ``visible``.
    """

    boxes: tuple[tuple[float, ...], ...] | None
    visible: bool
    photo: str | None
    strokes: list[Stroke]


def inset_canvas(elem_id: str) -> gr.HTML:
    """Make the picture to draw boxes on; ``on_drawn`` says who hears of them."""
    return _html(elem_id, ["geometry.js", "card.js", "export.js"])


def figure_preview(elem_id: str) -> gr.HTML:
    """Make what shows a figure, a ``preview_value``."""
    return _html(elem_id, ["export_preview.js"])


def canvas_value(
    panels: Sequence[Panel],
    frame: tuple[int, int],
    boxes: Sequence[Inset] | None = None,
    used: bool = True,
) -> dict[str, Any]:
    """Describe the pictures to draw on, and the ``boxes`` that replace what is drawn, if any.

    ``frame`` is the output's (H, W) in pixels, on which boxes start and end; ``used`` is whether
    the figure shows them.
    """
    shown = [panel for panel in panels if panel.error is None]
    several = len({panel.row for panel in shown}) > 1
    return {
        "pictures": [
            {
                "title": f"{panel.column}, {panel.row}" if several else panel.column,
                "size": list(panel.image.shape[:2]),
                "image": gr.FileData(path=picture_file(panel), mime_type="image/png").model_dump(),
            }
            for panel in shown
        ],
        "frame": list(frame),
        "limit": MAX_INSETS,
        "colors": list(INSET_COLORS),
        "used": used,
        "boxes": None if boxes is None else [list(inset.box) for inset in boxes],
        "serial": int(1000 * time.time()),
    }


def on_drawn(
    canvas: gr.HTML,
    triggers: Sequence[Any],
    listener: Callable[..., Any],
    inputs: Sequence[gr.components.Component],
    outputs: Sequence[gr.components.Component],
    in_turn: str | None = None,
) -> Any:
    """Call ``listener(drawn, *inputs)`` for each trigger with what is drawn at that moment.

    ``read_drawn(drawn)`` reads it. Of triggers that come while it runs only the latest waits.
    Listeners of one name ``in_turn`` run in the order they were asked: the latest is seen last.
    """
    drawn = gr.JSON(visible=False)
    latest = f"""(_, ...rest) => {{
        const root = document.querySelector("#{canvas.elem_id} .fx");
        const painted = document.querySelector("#{SCRIBBLE} .fx")?.painted;
        return [{{
            boxes: root?.boxes ?? null,
            visible: !!root && root.offsetParent !== null,
            photo: painted?.photo ?? null,
            strokes: painted?.strokes ?? [],
        }}, ...rest];
    }}"""
    return gr.on(
        list(triggers),
        listener,
        [drawn, *inputs],
        list(outputs),
        js=latest,
        trigger_mode="always_last",
        show_progress="hidden",
        api_visibility="private",
        concurrency_id=in_turn,
    )


def read_drawn(data: Any) -> Drawn:
    """Read what ``on_drawn`` hands a listener, trusting nothing a browser sends.

    Raises:
        ExplorerError: the boxes or strokes are none.
    """
    if not isinstance(data, dict):
        return Drawn(None, False, None, [])
    boxes, photo = data.get("boxes"), data.get("photo")
    if boxes is not None:
        if not isinstance(boxes, list) or not all(isinstance(box, list) for box in boxes):
            raise ExplorerError("the zoom boxes cannot be read; delete them and draw them again")
        boxes = tuple(Inset(tuple(box)).box for box in boxes[: MAX_INSETS + 1])
    strokes = read_strokes(data.get("strokes") or [])
    return Drawn(
        boxes, bool(data.get("visible")), photo if isinstance(photo, str) else None, strokes
    )


def _html(elem_id: str, scripts: Sequence[str]) -> gr.HTML:
    return gr.HTML(
        value={},
        elem_id=elem_id,
        html_template=TEMPLATE,
        css_template="\n".join(_static(name) for name in ("grid.css", "export.css")),
        js_on_load="\n".join(_static(name) for name in scripts),
        apply_default_css=False,
    )


def _static(name: str) -> str:
    return (STATIC / name).read_text("utf-8")
