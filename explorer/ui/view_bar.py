"""Which view the grid shows, and the options of that view."""

from __future__ import annotations

import gradio as gr

from explorer.ui import choices
from explorer.ui.photo_input import photo_input
from explorer.ui.settings import (
    COMPONENTS,
    FIRST,
    VIEWS_ON_SCREEN,
    WINDOWS,
    Settings,
)
from explorer.views import VIEWS
from explorer.views.probe import SHOWN
from explorer.views.reach import KINDS


def build(defaults: Settings) -> tuple[dict[str, gr.components.Component], gr.Image]:
    """Make the fields, by the name of the setting they hold, and the second photo; only what the
    chosen view reads is shown.
    """
    titles = [(VIEWS.get(name).title, name) for name in VIEWS_ON_SCREEN]
    view = gr.Radio(titles, value=defaults.view, show_label=False, container=False, elem_id="view")
    references = [(FIRST, FIRST), *choices.upsampler_choices()]
    with gr.Row(elem_id="view-options"):
        fields = {
            "components": gr.Dropdown(
                list(COMPONENTS), value=defaults.components, label="Components", min_width=120
            ),
            "percentile": gr.Slider(0, 10, defaults.percentile, step=0.5, label="Clipped, %"),
            "head": _menu(choices.head_choices(), defaults.head, "Head"),
            "window": _menu(WINDOWS, defaults.window, "AnyUp's window ±"),
            "what": _menu(KINDS, defaults.what, "Colours show"),
            "threshold": gr.Slider(
                -1, 1, defaults.threshold, step=0.05, label="Fade below cosine", visible=False
            ),
            "probe": _menu(choices.probe_choices(), defaults.probe, "Probe"),
            "show": _menu(SHOWN, defaults.show, "Show"),
            "opacity": gr.Slider(0, 1, defaults.opacity, step=0.05, label="Opacity", visible=False),
            "reference": _menu(references, defaults.reference, "Compared with"),
        }
    owners = {
        "components": ("pca",),
        "percentile": ("pca",),
        "head": ("attention",),
        "window": ("attention", "reach"),
        "what": ("reach",),
        "threshold": ("similarity",),
        "probe": ("probe",),
        "show": ("probe",),
        "opacity": ("probe",),
        "reference": ("difference", "probe"),
    }
    second = photo_input(
        label="Second photo, to look for the query in",
        sources=["upload", "clipboard"],
        height=150,
        visible=False,
        elem_id="second",
    )
    view.change(
        lambda chosen: [
            *(gr.update(visible=chosen in owners[name]) for name in fields),
            gr.update(visible=chosen == "similarity"),
        ],
        view,
        [*fields.values(), second],
        show_progress="hidden",
        api_visibility="private",
    )
    return {"view": view, **fields}, second


def _menu(options, value: str, label: str) -> gr.Dropdown:
    return gr.Dropdown(list(options), value=value, label=label, visible=False, min_width=140)
