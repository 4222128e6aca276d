"""The components of the page that events read and write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from explorer.session import Options
from explorer.ui.photo_input import read_photo
from explorer.ui.settings import Settings
from explorer.views import VIEWS, View

AUTOMATIC = "best available"


@dataclass(frozen=True)
class Page:
    """Fields by the name of the setting they hold, and what shows the results."""

    photo: gr.Image
    fields: dict[str, gr.components.Component]
    checkpoints: dict[str, gr.Dropdown]
    second: gr.Image  # the photo that similarities are also looked for in
    query: gr.State
    grid: gr.HTML
    status: gr.HTML
    link: gr.Textbox
    tabs: gr.Tabs
    tab: gr.State  # the id of the open one

    def inputs(self) -> list[gr.components.Component]:
        """Everything a run depends on, in the order ``settings`` and ``values`` keep."""
        return [
            self.photo,
            self.query,
            *self.fields.values(),
            *self.checkpoints.values(),
            self.second,
        ]

    def changes(self, *names: str) -> list[Any]:
        """Return the events of a user changing these fields (none named: any) or the weights."""
        fields = [self.fields[name] for name in names] or list(self.fields.values())
        return [edited(field) for field in (*fields, *self.checkpoints.values())]

    def settings(self, query: Any, *values: Any) -> Settings:
        """Return the settings that the fields' values (without the photos) stand for."""
        count = len(self.fields)
        named = dict(zip(self.fields, values[:count], strict=True))
        weights = dict(zip(self.checkpoints, values[count:-1], strict=True))
        chosen = {k: v for k, v in weights.items() if v and v != AUTOMATIC}
        return Settings(
            **(named | {key: tuple(named[key] or ()) for key in ("backbones", "upsamplers")}),
            query=None if query is None else tuple(query),
            checkpoints=chosen,
        )

    def options(self, photo: str | None, *values: Any) -> Options:
        """Return the options of views for the photo and the fields' values.

        Raises:
            ExplorerError: there is no photo, it cannot be read, or a setting nobody can compute.
        """
        return self.settings(*values).options(read_photo(photo))

    def view(self, *values: Any) -> View:
        """Return the chosen view, with the second photo if it looks at one.

        Raises:
            ExplorerError: the second photo cannot be read.
        """
        name = self.settings(*values).view
        if VIEWS.get(name).takes_second_photo and values[-1]:
            return VIEWS.create(name, second=read_photo(values[-1]))
        return VIEWS.create(name)

    def values(self, chosen: Settings) -> list[Any]:
        """Return the query and the fields' values for settings, in the order of ``inputs``."""
        found = [getattr(chosen, name) for name in self.fields]
        found = [list(value) if isinstance(value, tuple) else value for value in found]
        weights = [chosen.checkpoints.get(method, AUTOMATIC) for method in self.checkpoints]
        return [chosen.query, *found, *weights, None]


def edited(field: gr.components.Component) -> Any:
    """Return the event of a user having changed a field; a slider is changed when let go."""
    return field.release if isinstance(field, gr.Slider) else field.input
