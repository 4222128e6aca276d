"""The linked grid: Panels in the browser under one crosshair, one zoom and one query point."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from explorer.core import Colorbar, ExplorerError, Panel
from explorer.ui.file_store import served
from explorer.views.base import method_title

STATIC = Path(__file__).parent / "static"
SHARED = ("geometry.js", "picture.js", "card.js", "input.js")  # one scope, in this order
KEY_SEPARATOR = "\x1f"  # the ASCII unit separator: no label holds one

# Gradio evaluates this as a JavaScript template, so nothing of the value may enter it: `${value}`
# is raw HTML, and even an escaped `{{value}}` runs a "${...}" that is found inside the value.
TEMPLATE = """
<style>@keyframes fx-pulse { 50% { opacity: .45 } }</style>
<div class="fx"></div>
"""


@dataclass(frozen=True)
class PanelClick:
    """A query point picked in the grid: fractions (row, col) in [0, 1], and the names of the
    panel's backbone and method, "" for none.
    """

    row: float
    col: float
    backbone: str = ""
    method: str = ""

    def pixel(self, size: tuple[int, int]) -> tuple[int, int]:
        """The (row, col) index of this point on a grid of ``size`` (H, W)."""
        height, width = size
        return min(int(self.row * height), height - 1), min(int(self.col * width), width - 1)


def panel_grid(elem_id: str, value: Mapping[str, Any] | None = None, **options: Any) -> gr.HTML:
    """Make the component that shows a ``grid_value``; ``on_pick`` says who hears of picked points.

    ``elem_id`` is unique on the page; further ``options`` (visible, scale ...) go to ``gr.HTML``.
    """
    return linked_html(elem_id, value, "grid", **options)


def linked_html(elem_id: str, value: Any, name: str, **options: Any) -> gr.HTML:
    """Make a component from ``static/{name}.js``, the scripts it shares and both style sheets."""
    styles = dict.fromkeys(["grid.css", f"{name}.css"])
    return gr.HTML(
        value=value,
        elem_id=elem_id,
        html_template=TEMPLATE,
        css_template="\n".join(_static(file) for file in styles),
        js_on_load="\n".join(_static(file) for file in [*SHARED, f"{name}.js"]),
        apply_default_css=False,
        **options,
    )


def on_pick(
    grid: gr.HTML,
    listener: Callable[..., Any],
    inputs: Sequence[gr.components.Component] = (),
    outputs: Any = None,
    **options: Any,
) -> Any:
    """Call ``listener(picked, *inputs)`` when a click or an arrow key picks a point.

    ``read_click(picked)`` reads the point. While a listener runs, only the latest of the points
    picked meanwhile is kept for it. ``options`` go to Gradio's event. Call inside ``gr.Blocks``.
    """
    # Gradio 6.31 reruns a deferred event with the data of the first one but gathers the inputs
    # anew, so the point travels as an input that the page fills in at that moment.
    picked = gr.JSON(visible=False)
    latest = f"""(_, ...rest) => [
        document.querySelector("#{grid.elem_id} .fx")?.picked ?? null, ...rest
    ]"""
    settings = {
        "trigger_mode": "always_last",
        "show_progress": "hidden",
        "api_visibility": "private",
        **options,
    }
    return grid.select(listener, [picked, *inputs], outputs, js=latest, **settings)


def grid_value(
    panels: Sequence[Panel],
    *,
    query: tuple[float, float] | None = None,
    selected: str | None = None,
    pending: Collection[tuple[str, str]] = (),
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    output_size: tuple[int, int] | None = None,
    shows: str = "",
) -> dict[str, Any]:
    """Describe panels for the browser: text and numbers inline, pictures as lossless PNG files.

    Args:
        panels: In any order; of two with the same row and column the later one is shown.
        query: (row, col) fractions in [0, 1] of the fixed point, drawn in every panel of its photo.
        selected: ``panel_key`` of the panel to highlight.
        pending: (row, column) labels still being computed; one that also has a panel shows that
            panel dimmed.
        rows: Row labels in display order; by default the order in which they appear.
        columns: Column labels in display order, likewise.
        output_size: (H, W) pixels that a query and an arrow key step on; by default the largest
            picture's.
        shows: What the pictures are of: while a panel is pending, its old picture stays if this is
            the same.

    Returns:
        A JSON-able dict, the value of ``panel_grid``. Files live in Gradio's cache, one for each
        distinct picture, so repeating a panel costs neither encoding nor download.

    Raises:
        ExplorerError: A picture that isn't (H, W, 3) uint8, or a query outside the picture.
    """
    shown = {panel_key(panel.row, panel.column): panel for panel in panels}
    waiting = {panel_key(row, column): (row, column) for row, column in pending}
    labels = [(panel.row, panel.column) for panel in shown.values()] + list(waiting.values())
    sizes = [panel.image.shape[:2] for panel in shown.values() if panel.error is None]
    size = output_size or max(sizes, key=math.prod, default=(1, 1))
    if query is not None and not all(0 <= part <= 1 for part in query):
        raise ExplorerError(f"the query must be fractions (row, col) in [0, 1], got {query}")
    cells = {key: {"row": row, "column": column} for key, (row, column) in waiting.items()}
    cells |= {key: _describe(panel) for key, panel in shown.items()}
    for key in waiting:
        cells[key]["pending"] = True
    return {
        "rows": list(dict.fromkeys([*rows, *(row for row, _ in labels)])),
        "columns": list(dict.fromkeys([*columns, *(column for _, column in labels)])),
        "grids": {panel.row: list(panel.grid) for panel in shown.values() if panel.grid},
        "output_size": [int(size[0]), int(size[1])],
        "query": None if query is None else [float(query[0]), float(query[1])],
        "selected": selected,
        "shows": shows,
        "panels": cells,
    }


def panel_key(row: str, column: str) -> str:
    """The name of a panel in the grid, from its two labels."""
    return f"{row}{KEY_SEPARATOR}{column}"


def awaited(
    panels: Sequence[Panel], methods: Sequence[str]
) -> tuple[list[str], list[tuple[str, str]]]:
    """The column labels of methods in their order, and the (row, column) labels of the panels that
    are still to come in the rows that have begun.
    """
    drawn = [panel for panel in panels if panel.role == "method"]
    known = {panel.method: panel.column for panel in drawn}
    columns = {name: known.get(name, method_title(name)) for name in methods}
    failed = {panel.row for panel in panels if panel.error and panel.role != "method"}
    ready = {(panel.row, panel.method) for panel in drawn if not panel.preview}
    waiting = [
        (row, column)
        for row in dict.fromkeys(panel.row for panel in panels)
        if row not in failed
        for name, column in columns.items()
        if (row, name) not in ready
    ]
    return list(columns.values()), waiting


def metrics_of(panel: Panel) -> tuple[tuple[str, str], ...]:
    """The numbers shown under a panel: its metrics and the time it took, where known."""
    if panel.seconds is None:
        return panel.metrics
    return *panel.metrics, ("time", f"{panel.seconds:.2f} s")


def centre_of(pixel: tuple[int, int], size: tuple[int, int]) -> tuple[float, float]:
    """The (row, col) fractions of a pixel's centre on a grid of ``size`` (H, W)."""
    return (pixel[0] + 0.5) / size[0], (pixel[1] + 0.5) / size[1]


def read_click(picked: Any) -> PanelClick:
    """Read what ``on_pick`` hands a listener, trusting nothing a browser sends.

    Raises:
        ExplorerError: It names no point inside the picture.
    """
    data = picked if isinstance(picked, dict) else {}
    point = [data.get("row"), data.get("col")]
    if not all(isinstance(part, int | float) and 0 <= part <= 1 for part in point):
        raise ExplorerError("the picked point must be fractions (row, col) in [0, 1]; click again")
    names = [str(data.get(name) or "") for name in ("backbone", "method")]
    return PanelClick(float(point[0]), float(point[1]), *names)


def _static(name: str) -> str:
    return (STATIC / name).read_text("utf-8")


def _describe(panel: Panel) -> dict[str, Any]:
    described: dict[str, Any] = {
        "row": panel.row,
        "column": panel.column,
        "caption": panel.caption,
        "origin": panel.origin,
        "metrics": [[str(name), str(text)] for name, text in metrics_of(panel)],
        "legend": [[str(name), [int(part) for part in color]] for name, color in panel.legend],
        "colorbar": _colorbar(panel.colorbar) if panel.colorbar else None,
        "rectangle": [float(part) for part in panel.rectangle] if panel.rectangle else None,
        "marker": [float(part) for part in panel.marker] if panel.marker else None,
        "queried": panel.queried,
        "cells": _cells(panel),
        "error": panel.error,
        "backbone": panel.backbone,
        "method": panel.method,
        "weights": panel.weights,
    }
    if panel.error is None:
        described["size"] = [int(side) for side in panel.image.shape[:2]]
        described["image"] = gr.FileData(
            path=picture_file(panel), mime_type="image/png"
        ).model_dump()
    return described


def _cells(panel: Panel) -> dict[str, Any] | None:
    if panel.cells is None or panel.error is not None:
        return None
    height, width = panel.cells.shape
    return {"size": [height, width], "values": [f"{v:.3g}" for v in panel.cells.ravel().tolist()]}


def _colorbar(bar: Colorbar, stops: int = 33) -> dict[str, Any]:
    picks = np.linspace(0, len(bar.colors) - 1, min(stops, len(bar.colors))).round().astype(int)
    return {
        "low": f"{bar.low:.3g}",  # text, because JSON has no NaN
        "high": f"{bar.high:.3g}",
        "label": bar.label,
        "colors": [[int(part) for part in bar.colors[pick]] for pick in picks],
    }


def picture_file(panel: Panel) -> str:
    """Write a panel's picture, its recipe inside, where Gradio may serve it from; return the path.

    Raises:
        ExplorerError: the picture isn't (H, W, 3) uint8.
    """
    image = np.ascontiguousarray(panel.image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ExplorerError(
            f"the picture of panel {panel.row!r} / {panel.column!r} is {image.dtype} "
            f"{image.shape}; expected uint8 (H, W, 3)"
        )
    recipe = json.dumps(panel.recipe, sort_keys=True, default=str)
    digest = hashlib.sha256(f"{image.shape}{recipe}".encode())
    digest.update(image)
    text = PngInfo()
    text.add_itxt("recipe", recipe)
    picture = Image.fromarray(image)
    return served(
        digest.hexdigest(),
        "panel.png",
        lambda file: picture.save(file, "PNG", compress_level=1, pnginfo=text),
    )
