"""Which style a figure gets: the preset's until somebody changes it, then the fields'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from explorer.figure import PRESETS, FigureStyle, Inset, suggest_insets
from explorer.ui.export_canvas import Drawn
from explorer.ui.export_fields import (
    CUSTOM,
    FLAGS,
    INSETS,
    NAMES,
    of_document,
    read_style,
    values_of,
    without,
)
from explorer.ui.export_figure import Content

# what a change is about: the panels, a field of the style, one that no preset decides, the boxes
PANELS, STYLE, DOCUMENT, BOXES, SUGGEST = "panels", "style", "document", "boxes", "suggest"
ZOOM_BOXES = next(label for label, name in FLAGS.items() if name == INSETS)


@dataclass(frozen=True, eq=False)
class Look:
    """A figure's style and what the page should show of it.

    ``preset`` is the menu's value; ``updates`` are new values of fields by name; ``boxes`` replace
    what is drawn, None leaves it; ``note`` is the start of the status line.
    """

    style: FigureStyle
    preset: str
    updates: dict[str, Any]
    boxes: tuple[Inset, ...] | None
    note: str


def look(
    change: str, preset: str, values: Sequence[Any], drawn: Drawn, shown: Content, suits: str
) -> Look:
    """Return the look after a ``change``; ``values`` are the fields' by name, ``suits`` is the
    preset that "automatic" stands for.

    Raises:
        ExplorerError: fields that make no style.
    """
    known = shown.names()
    updates: dict[str, Any] = {name: gr.update(choices=found) for name, found in known.items()}
    if preset == CUSTOM or change in (STYLE, BOXES, SUGGEST):
        return _custom(change, values, drawn, shown, updates)
    name = preset if preset in PRESETS else suits
    style = of_document(PRESETS[name](shown.panels), values)
    for field, value in values_of(style).items():
        if value == values[NAMES.index(field)]:
            continue  # writing it again would undo what is typed meanwhile
        updates[field] = gr.update(choices=known[field], value=value) if field in known else value
    boxes = style.insets
    if not boxes:  # a start for whoever wants some
        boxes = None if drawn.boxes else suggest_insets(shown.panels)
    note = "" if preset == name else f"automatic: {name} · "
    return Look(style, preset, updates, boxes, note)


def _custom(
    change: str, values: Sequence[Any], drawn: Drawn, shown: Content, updates: dict[str, Any]
) -> Look:
    kept, gone = without(values, shown.names())
    boxes, sent = drawn.boxes or (), None
    if change == SUGGEST:
        sent = suggest_insets(shown.panels)
        boxes = tuple(inset.box for inset in sent)
    at = NAMES.index("flags")
    if change in (BOXES, SUGGEST) and boxes and ZOOM_BOXES not in (kept[at] or ()):
        kept[at] = updates["flags"] = [*(kept[at] or ()), ZOOM_BOXES]
    return Look(read_style(kept, boxes), CUSTOM, updates, sent, f"{gone} · " if gone else "")
