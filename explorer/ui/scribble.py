"""The canvas to paint strokes on: what it is told, and what it tells."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from explorer.core import ExplorerError, Panel
from explorer.imaging import Photo, fit_size
from explorer.probes import Stroke
from explorer.probes.scribble import MAX_CLASSES
from explorer.probes.strokes import (
    MAX_NAME,
    MAX_POINTS,
    MAX_POINTS_TOGETHER,
    MAX_STROKES,
    read_strokes,
)
from explorer.ui.grid import SHARED, STATIC, TEMPLATE, PanelClick, picture_file, read_click
from explorer.views import palette

LONGEST = 1024  # px of the photo on the canvas
BRUSH, THIN, THICK = 0.012, 0.002, 0.1  # radii in longer sides
SCRIPTS = (*SHARED, "scribble_doc.js", "scribble_classes.js", "scribble.js")


@dataclass(frozen=True)
class Painted:
    """What a browser says is painted: ``photo`` is the digest of the photo it shows, or None.

    ``visible`` is whether anybody sees the canvas.
    """

    photo: str | None
    visible: bool
    strokes: list[Stroke]


def scribble_canvas(elem_id: str) -> gr.HTML:
    """Make the canvas; ``on_paint`` tells who hears of strokes. ``elem_id`` is unique."""
    return gr.HTML(
        value=canvas_value(),
        elem_id=elem_id,
        html_template=TEMPLATE,
        css_template="\n".join(_static(name) for name in ("grid.css", "scribble.css")),
        js_on_load="\n".join(_static(name) for name in SCRIPTS),
        apply_default_css=False,
    )


def canvas_value(
    photo: Photo | None = None, strokes: Sequence[Stroke] | None = None, note: str = ""
) -> dict[str, Any]:
    """Describe for the browser which photo to paint on; ``strokes`` replace what is painted, with
    a ``note`` about them.
    """
    file = None
    if strokes is not None:
        serial = int(1000 * time.time())  # the same strokes may be loaded twice
        file = {"serial": serial, "strokes": [one.to_json() for one in strokes], "note": note}
    return {
        "palette": [list(colour) for colour in palette.categorical(MAX_CLASSES)],
        "brush": BRUSH,
        "limits": {
            "strokes": MAX_STROKES,
            "points": MAX_POINTS,
            "together": MAX_POINTS_TOGETHER,
            "name": MAX_NAME,
            "thin": THIN,
            "thick": THICK,
        },
        "photo": None if photo is None else _described(photo),
        "file": file,
    }


def on_paint(
    canvas: gr.HTML,
    grid: gr.HTML,
    triggers: Sequence[Any],
    listener: Callable[..., Any],
    inputs: Sequence[gr.components.Component],
    outputs: Sequence[gr.components.Component],
    **options: Any,
) -> Any:
    """Call ``listener(painted, *inputs)`` for each trigger with what is painted at that moment.

    ``read_painted(painted)`` reads it, and ``read_picked(painted)`` the point picked last in
    ``grid``. While a listener runs, only the latest of further triggers
    waits for it.
    """
    # Whatever set it off, the browser is asked when the listener is about to run.
    painted = gr.JSON(visible=False)
    latest = f"""(_, ...rest) => {{
        const painted = document.querySelector("#{canvas.elem_id} .fx")?.painted ?? null;
        const picked = document.querySelector("#{grid.elem_id} .fx")?.picked ?? null;
        return [painted && {{ ...painted, picked }}, ...rest];
    }}"""
    settings = {
        "trigger_mode": "always_last",
        "show_progress": "hidden",
        "api_visibility": "private",
        **options,
    }
    return gr.on(list(triggers), listener, [painted, *inputs], list(outputs), js=latest, **settings)


def read_painted(data: Any) -> Painted:
    """Read what ``on_paint`` hands a listener, trusting nothing a browser sends.

    Raises:
        ExplorerError: it holds no strokes that anybody could have painted.
    """
    if data is None:  # the canvas is not on the page yet
        return Painted(None, False, [])
    if not isinstance(data, dict):
        raise ExplorerError("what is painted cannot be read; clear the strokes and paint again")
    photo = data.get("photo")
    strokes = read_strokes(data.get("strokes"))
    return Painted(photo if isinstance(photo, str) else None, bool(data.get("visible")), strokes)


def read_picked(data: Any) -> PanelClick:
    """Read which point was picked; raises ExplorerError if none was."""
    return read_click(data.get("picked") if isinstance(data, dict) else None)


def _described(photo: Photo) -> dict[str, Any]:
    size = fit_size(photo.size, min(LONGEST, max(photo.size)))
    image = photo.tensor(size)[0].mul(255).round().byte().permute(1, 2, 0).numpy()
    file = gr.FileData(path=picture_file(Panel("", "", image)), mime_type="image/png")
    return {"id": photo.digest, "size": list(size), "image": file.model_dump()}


def _static(name: str) -> str:
    return (STATIC / name).read_text("utf-8")
