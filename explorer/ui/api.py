"""Typed endpoints for gradio_client: the same things as the page, without it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from inspect import Parameter, Signature
from typing import Annotated, Any, Literal, get_args, get_origin

import gradio as gr

from explorer.core import ALIGN, Panel
from explorer.core.validation import checked, distinct
from explorer.options import MOST_NAMES
from explorer.reproduce import check_checkpoints
from explorer.session import Options, Session
from explorer.ui.grid import metrics_of, picture_file
from explorer.ui.photo_input import read_photo
from explorer.ui.settings import Settings
from explorer.ui.status import error_status
from explorer.views import VIEWS, View
from explorer.views.params import Option

BACKBONES = ["efficientnet_lite0"]
UPSAMPLERS = ["bilinear", "jafar", "anyup"]
COMMON = {
    "backbones": (list[str], BACKBONES),
    "upsamplers": (list[str], UPSAMPLERS),
    "input_size": (int, 448),
    "output_size": (int, 448),
}
log = logging.getLogger(__name__)


def expose(session: Session) -> None:
    """Declare an endpoint for every view; call inside ``gr.Blocks``."""
    for name in VIEWS:
        kind = VIEWS.get(name)
        gr.api(one_sentence(endpoint(session, kind)), api_name=kind.endpoint or name)


def endpoint(session: Session, kind: type[View]) -> Callable[..., list[dict]]:
    """Return a view as a function of a photo, names, sizes and the view's options."""
    options = [option for option in kind.options() if option.control.on_page]

    def answer(*args: Any, **named: Any) -> list[dict]:
        bound = signature.bind(*args, **named)
        bound.apply_defaults()
        given = bound.arguments
        view = {
            one.name: one.read(given[one.name])
            for one in options
            if given[one.name] not in (None, "") or one.default is not None
        }
        query = (given["row"], given["col"]) if kind.needs_query else None
        common = [given[name] for name in ("photo", *COMMON, "checkpoints")]
        chosen = read_options(*common, query, view, given["align"])
        second = given.get("second")
        extra = {"second": read_photo(second.get("path"))} if second else {}
        return [described(panel) for panel in kind(**extra).render(session, chosen)]

    signature = _signature(kind, options)
    answer.__signature__ = signature
    answer.__annotations__ = {name: one.annotation for name, one in signature.parameters.items()}
    answer.__annotations__["return"] = list[dict]
    answer.__name__ = kind.endpoint or kind.name
    answer.__doc__ = _documentation(kind, options)
    return answer


def _signature(kind: type[View], options: Sequence[Option]) -> Signature:
    """Return the arguments of a view's endpoint; those promised to clients come first."""
    own = {}
    for one in options:
        default = kind.api_defaults.get(one.name, one.default)
        own[one.name] = (_plain(one, default), default)
    first = {name: own.pop(name) for name in kind.leading_arguments}
    required = {"photo": (dict, Parameter.empty)}
    if kind.needs_query:
        required |= {"row": (int, Parameter.empty), "col": (int, Parameter.empty)}
    second = {"second": (dict | None, None)} if kind.takes_second_photo else {}
    every = required | first | COMMON | own | second | {"checkpoints": (dict, {})}
    every |= {"align": (bool, ALIGN)}
    return Signature(
        [
            Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation)
            for name, (annotation, default) in every.items()
        ],
        return_annotation=list[dict],
    )


def _plain(option: Option, default: Any) -> Any:
    """Return an option's type without bounds, as clients are told it."""
    if default is not None:
        return list if isinstance(default, tuple) else type(default)
    kind = get_args(option.kind)[0] if get_args(option.kind) else option.kind
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return (type(get_args(kind)[0]) if get_origin(kind) is Literal else kind) | None


def _documentation(kind: type[View], options: Sequence[Option]) -> str:
    what = VIEWS.describe(kind.name)
    told = [f"{one.name}: {one.control.help}" for one in options]
    panels = "One dict per panel with row, column, image (PNG), caption, origin, cells, error."
    return " ".join([what, panels, *told])


def one_sentence(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Return the endpoint with every error as one sentence to the client."""

    @wraps(endpoint)
    def answer(*args: Any, **named: Any) -> Any:
        try:
            return endpoint(*args, **named)
        except Exception as error:
            raise gr.Error(error_status(error, log)["text"], print_exception=False) from None

    return answer


def read_options(
    photo: dict | None,
    backbones: list[str],
    upsamplers: list[str],
    input_size: int,
    output_size: int,
    checkpoints: dict,
    query: tuple[int, int] | None = None,
    view: dict[str, Any] | None = None,
    align: bool = ALIGN,
) -> Options:
    """Return the options for a client's arguments; ``query`` is (row, col) on the output grid.

    Raises:
        ExplorerError: no photo, or a setting nobody can compute.
    """
    chosen = Settings(
        backbones=distinct(backbones, "backbones", MOST_NAMES),
        upsamplers=distinct(upsamplers, "upsamplers", MOST_NAMES),
        input_size=input_size,
        output_size=output_size,
        checkpoints=checkpoints,
    )
    made = chosen.options(read_photo((photo or {}).get("path")))
    check_checkpoints(made.checkpoints, made.backbones, made.upsamplers, [view or {}])
    made = replace(made, align=checked(bool, align, "align"))
    if view is not None:
        made = replace(made, view=dict(view))
    if query is not None:
        made = made.with_query(tuple(query))
        made.check_query()
    return made


def described(panel: Panel) -> dict[str, Any]:
    """Return a panel as JSON with its picture as a lossless PNG file."""
    found = {
        "row": panel.row,
        "column": panel.column,
        "caption": panel.caption,
        "origin": panel.origin,
        "metrics": dict(metrics_of(panel)),
        "legend": [[name, list(colour)] for name, colour in panel.legend],
        "marker": None if panel.marker is None else list(panel.marker),
        "rectangle": None if panel.rectangle is None else list(panel.rectangle),
        "recipe": dict(panel.recipe),
        "cells": None if panel.cells is None else panel.cells.tolist(),
        "error": panel.error,
        "image": None,
    }
    if panel.error is None:
        file = gr.FileData(path=picture_file(panel), mime_type="image/png")
        found["image"] = file.model_dump()
    for name in ("role", "backbone", "method", "against", "weights", "seconds"):
        found[name] = getattr(panel, name)
    return found | {"grid": panel.grid and list(panel.grid)}
