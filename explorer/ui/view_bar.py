"""Which view the grid shows, and the options of that view."""

from __future__ import annotations

from collections import Counter
from typing import Any

import gradio as gr

from explorer.ui import choices
from explorer.ui.photo_input import photo_input
from explorer.ui.settings import Settings, page_options
from explorer.views import VIEWS
from explorer.views.params import FIRST, METHODS, PROBES, Option


def build(defaults: Settings) -> tuple[dict[str, gr.components.Component], gr.Image]:
    """Make the fields, by the name of the setting they hold, and the second photo; only what the
    chosen view reads is shown, what it shares with other views last.
    """
    kinds = {name: VIEWS.get(name) for name in VIEWS}
    titles = [(kind.title, name) for name, kind in kinds.items()]
    read = {name: {option.key for option in kind.options()} for name, kind in kinds.items()}
    users = Counter(key for keys in read.values() for key in keys)
    view = gr.Radio(titles, value=defaults.view, show_label=False, container=False, elem_id="view")
    with gr.Row(elem_id="view-options"):
        fields = {
            key: _control(option, getattr(defaults, key), key in read[defaults.view])
            for key, option in sorted(page_options().items(), key=lambda one: users[one[0]] > 1)
        }
    second = photo_input(
        label="Second photo, to look for the query in",
        sources=["upload", "clipboard"],
        height=150,
        visible=kinds[defaults.view].takes_second_photo,
        elem_id="second",
    )
    view.change(
        lambda chosen: [
            *(gr.update(visible=key in read[chosen]) for key in fields),
            gr.update(visible=kinds[chosen].takes_second_photo),
        ],
        view,
        [*fields.values(), second],
        show_progress="hidden",
        api_visibility="private",
    )
    return {"view": view, **fields}, second


def _control(option: Option, value: Any, visible: bool) -> gr.components.Component:
    """Return the control that suits an option's type."""
    control = option.control
    about = {"value": value, "label": control.label, "visible": visible}
    if control.choices or option.choices:
        return gr.Dropdown(_menu(option), min_width=140, **about)
    if option.ends:
        return gr.Slider(*option.ends, step=control.step, **about)
    if option.kind is bool:
        return gr.Checkbox(**about)
    kind = gr.Number if isinstance(value, int | float) else gr.Textbox
    return kind(min_width=140, **about)


def _menu(option: Option) -> list[tuple[str, Any]]:
    if option.control.choices == METHODS:
        return [(FIRST, FIRST), *choices.upsampler_choices()]
    if option.control.choices == PROBES:
        return choices.probe_choices()
    named = option.control.choices or [(value,) for value in option.choices]
    return [(str(one[-1] if len(one) == 3 else one[0]), one[0]) for one in named]
