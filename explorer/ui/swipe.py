"""Two panels under one swipe slider, with the grid's pixel zoom, crosshair and query point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from explorer.core import ExplorerError, Panel
from explorer.ui.grid import grid_value, linked_html, panel_key


def panel_swipe(elem_id: str, value: Mapping[str, Any] | None = None, **options: Any) -> gr.HTML:
    """Make the component that shows a ``swipe_value``; ``grid.on_pick`` hears its picked points.

    ``elem_id`` is unique on the page; further ``options`` (visible, scale ...) go to ``gr.HTML``.
    """
    return linked_html(elem_id, value, "swipe", **options)


def swipe_value(left: Panel, right: Panel, **options: Any) -> dict[str, Any]:
    """Describe the two panels for ``panel_swipe``; ``options`` are those of ``grid_value``.

    Raises:
        ExplorerError: Both are the same panel, or one has no picture.
    """
    for panel in (left, right):
        if panel.error is not None:
            raise ExplorerError(f"{panel.column} of {panel.row} has no picture: {panel.error}")
    sides = [panel_key(panel.row, panel.column) for panel in (left, right)]
    if sides[0] == sides[1]:
        raise ExplorerError(f"both sides show {left.column} of {left.row}; choose two panels")
    return {**grid_value([left, right], **options), "sides": sides}
