"""The fields of a figure's style: made, filled from a style, and read as one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from explorer.core import ExplorerError
from explorer.figure import DOUBLE, FONTS, PRESETS, SINGLE, THEMES, FigureStyle, Inset
from explorer.figure.style import COLORBAR_PLACES, INSET_PLACES, MIN_FONT_PT

AUTOMATIC, CUSTOM = "automatic", "custom"
INSETS = "insets"
FLAGS = {
    "Row labels": "row_labels",
    "Column labels": "column_labels",
    "Captions": "captions",
    "Metrics": "metrics",
    "Origin of weights": "origins",
    "Colour bars": "colorbars",
    "Legends": "legends",
    "Query markers": "markers",
    "Windows": "rectangles",
    "Zoom boxes": INSETS,
    "Swap rows and columns": "transposed",
}
# What no preset decides: changing one of these keeps the preset.
OF_DOCUMENT = ("dpi", "theme", "font", "names")
WIDTHS = {"3.25 (single)": SINGLE, "6.75 (double)": DOUBLE}
NUMBERS = ("dpi", "font_size_pt", "column_gap_pt", "row_gap_pt")
PLACES = ("theme", "font", "colorbar_place")
NAMES = (
    "width_in",
    *NUMBERS,
    *PLACES,
    "inset_place",
    "flags",
    "rows",
    "columns",
    "names",
)


def preset_field() -> gr.Dropdown:
    """Make the menu of presets."""
    options = [("Automatic", AUTOMATIC)]
    options += [(name.capitalize(), name) for name in PRESETS]
    return gr.Dropdown(
        [*options, ("Custom", CUSTOM)],
        value=AUTOMATIC,
        label="Preset",
        elem_id="export-preset",
        min_width=200,
    )


def style_fields() -> dict[str, gr.components.Component]:
    """Make the fields, by ``NAMES``."""
    usual = FigureStyle()
    made: dict[str, gr.components.Component] = {}
    with gr.Row():
        made["width_in"] = gr.Dropdown(
            list(WIDTHS),
            value=_width_text(usual.width_in),
            label="Column width, inches",
            allow_custom_value=True,
            elem_id="export-width",
            min_width=180,
        )
        made["dpi"] = gr.Number(usual.dpi, label="PNG, dpi", precision=0, min_width=90)
        made["theme"] = gr.Dropdown(list(THEMES), value=usual.theme, label="Theme", min_width=110)
        made["font"] = gr.Dropdown(list(FONTS), value=usual.font, label="Font", min_width=90)
    made["flags"] = gr.CheckboxGroup(
        list(FLAGS), value=_flags_of(usual), label="Show", elem_id="export-flags"
    )
    with gr.Row():
        made["rows"] = _names_menu("Rows (none chosen: all)", "export-rows")
        made["columns"] = _names_menu("Columns, in this order (none chosen: all)", "export-columns")
    with gr.Accordion("Text, spacing and places", open=False):
        with gr.Row():
            made["font_size_pt"] = gr.Slider(
                MIN_FONT_PT, 14, usual.font_size_pt, step=0.5, label="Labels, pt", min_width=130
            )
            made["column_gap_pt"] = gr.Slider(
                0, 24, usual.column_gap_pt, step=0.5, label="Between columns, pt", min_width=130
            )
            made["row_gap_pt"] = gr.Slider(
                0, 24, usual.row_gap_pt, step=0.5, label="Between rows, pt", min_width=130
            )
        with gr.Row():
            made["inset_place"] = gr.Radio(
                list(INSET_PLACES), value=INSET_PLACES[0], label="Enlarged boxes", min_width=130
            )
            made["colorbar_place"] = gr.Radio(
                list(COLORBAR_PLACES), value=usual.colorbar_place, label="Colour bar", min_width=130
            )
        made["names"] = gr.Textbox(
            label="Other labels, one per line",
            placeholder="Joint bilateral = JBU",
            lines=2,
            elem_id="export-names",
        )
    return {name: made[name] for name in NAMES}


def read_style(values: Sequence[Any], boxes: Sequence[Sequence[float]]) -> FigureStyle:
    """Return the style that the fields' values (by ``NAMES``) and boxes in fractions stand for.

    Raises:
        ExplorerError: a value out of range, with the range.
    """
    found = dict(zip(NAMES, values, strict=True))
    flags = {FLAGS[name] for name in found["flags"] or () if name in FLAGS}
    place = found["inset_place"]
    insets = tuple(Inset(tuple(box), place=place) for box in boxes) if INSETS in flags else ()
    return FigureStyle(
        width_in=_width(found["width_in"]),
        **{name: found[name] for name in (*NUMBERS, *PLACES)},
        **{name: name in flags for name in FLAGS.values() if name != INSETS},
        rows=tuple(found["rows"] or ()) or None,
        columns=tuple(found["columns"] or ()) or None,
        names=_relabelled(found["names"]),
        insets=insets,
    )


def of_document(style: FigureStyle, values: Sequence[Any]) -> FigureStyle:
    """Return a preset's style with what no preset decides taken from the fields."""
    found = dict(zip(NAMES, values, strict=True))
    return replace(
        style,
        **{name: found[name] for name in OF_DOCUMENT if name != "names"},
        names=_relabelled(found["names"]),
    )


def values_of(style: FigureStyle) -> dict[str, Any]:
    """Return the values of the fields that show a style, but for those of ``OF_DOCUMENT``."""
    found: dict[str, Any] = {name: getattr(style, name) for name in (*NUMBERS, *PLACES)}
    found |= {
        "width_in": _width_text(style.width_in),
        "inset_place": style.insets[0].place if style.insets else INSET_PLACES[0],
        "flags": _flags_of(style),
        "rows": list(style.rows or ()),
        "columns": list(style.columns or ()),
    }
    return {name: value for name, value in found.items() if name not in OF_DOCUMENT}


def without(values: Sequence[Any], known: Mapping[str, Sequence[str]]) -> tuple[list[Any], str]:
    """Return the fields' values without chosen rows and columns that are not ``known``, and a
    sentence about those.
    """
    kept, gone = list(values), []
    for name, present in known.items():
        at = NAMES.index(name)
        chosen = list(values[at] or ())
        kept[at] = [one for one in chosen if one in present]
        gone += [one for one in chosen if one not in present]
    if not gone:
        return kept, ""
    return kept, f"left out, because these settings have no such panel: {', '.join(gone)[:200]}"


def _names_menu(label: str, elem_id: str) -> gr.Dropdown:
    return gr.Dropdown(
        [],
        value=[],
        multiselect=True,
        allow_custom_value=True,
        label=label,
        elem_id=elem_id,
        min_width=200,
    )


def _flags_of(style: FigureStyle) -> list[str]:
    return [label for label, name in FLAGS.items() if getattr(style, name)]


def _width_text(width: float) -> str:
    return next((text for text, known in WIDTHS.items() if known == width), f"{width:g}")


def _width(text: Any) -> float:
    found = re.match(r"\s*(\d+(?:[.,]\d+)?)\s*(in\b|\(|$)", str(text))
    if not found:
        raise ExplorerError(f"the width is a number of inches such as 3.25, not {str(text)[:40]!r}")
    return float(found[1].replace(",", "."))


def _relabelled(text: str | None) -> tuple[tuple[str, str], ...]:
    pairs = []
    for line in (text or "").splitlines():
        if not line.strip():
            continue
        old, equals, new = line.partition("=")
        if not equals or not old.strip():
            raise ExplorerError(
                f"other labels are written as OLD = NEW, one per line, not {line.strip()[:40]!r}"
            )
        pairs.append((old.strip(), new.strip()))
    return tuple(pairs)
