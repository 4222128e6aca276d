"""The paper figure for gradio_client: settings in, one file out."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import gradio as gr

from explorer.core import ALIGN, ExplorerError
from explorer.core.validation import checked
from explorer.figure import DOUBLE, FORMATS, PRESETS
from explorer.imaging import Photo
from explorer.probes.strokes import read_strokes
from explorer.reproduce import Shown, complete
from explorer.session import Session
from explorer.ui.api import BACKBONES, UPSAMPLERS, one_sentence, read_options
from explorer.ui.export_figure import content, figure_file, file_name
from explorer.ui.file_store import stored
from explorer.ui.photo_input import read_photo
from explorer.views import VIEWS
from explorer.views.base import check_second_photo, check_view_options

KINDS = (*FORMATS, "zip", "bib")


def expose(session: Session) -> None:
    """Declare the endpoint; call inside ``gr.Blocks``."""

    def figure(
        photo: dict,
        backbones: list[str] = BACKBONES,
        upsamplers: list[str] = UPSAMPLERS,
        view: str = "pca",
        query: list[int] | None = None,
        preset: str = "method comparison with insets",
        width: float = DOUBLE,
        format: str = "pdf",
        input_size: int = 448,
        output_size: int = 448,
        theme: str = "light",
        font: str = "serif",
        dpi: int = 300,
        view_options: dict = {},  # noqa: B006  (read by Gradio as the default)
        second: dict | None = None,
        checkpoints: dict = {},  # noqa: B006
        align: bool = ALIGN,
    ) -> gr.FileData:
        """A paper figure with its recipe inside. view: "pca", "attention", "similarity" ...; query:
        [row, col] on the output grid; preset: "teaser strip", "method comparison with insets",
        "attention figure", "probe figure", "backbone grid"; width in inches; format: "png", "pdf",
        "svg", "zip" (panels and LaTeX) or "bib" (citations).
        """
        checked(Literal[KINDS], format, "format")
        styled = PRESETS.get(preset)
        view = VIEWS.get(view).name
        options = read_options(
            photo,
            backbones,
            upsamplers,
            input_size,
            output_size,
            checkpoints,
            _point(query),
            _view_options(view, view_options),
            align,
        )
        shown = Shown(view, options.view, _second(view, second))
        made = content(session, options, [shown])
        complete(list(made.panels))
        style = replace(styled(made.panels), width_in=width, theme=theme, font=font, dpi=dpi)
        name = file_name(options.photo, [shown], format)
        return stored(figure_file(made, style, format), name)

    gr.api(one_sentence(figure), api_name="figure")


def _point(query: list[int] | None) -> tuple[int, int] | None:
    if query is None:
        return None
    if len(query) != 2:
        raise ExplorerError("query is [row, col] on the output grid")
    return query[0], query[1]


def _view_options(view: str, given: dict) -> dict:
    check_view_options(given, [view])
    found = dict(VIEWS.get(view).figure_options) | given
    if "strokes" in found:
        found["strokes"] = [stroke.to_json() for stroke in read_strokes(found["strokes"])]
    return found


def _second(view: str, second: dict | None) -> Photo | None:
    if second is None:
        return None
    check_second_photo(view, True)
    return read_photo(second.get("path"))
