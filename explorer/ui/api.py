"""Typed endpoints for gradio_client: the same things as the page, without it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

import gradio as gr

from explorer.core import Panel
from explorer.options import MOST_NAMES
from explorer.reproduce import check_checkpoints
from explorer.session import Options, Session
from explorer.ui.grid import metrics_of, picture_file
from explorer.ui.photo_input import read_photo
from explorer.ui.settings import Settings
from explorer.ui.status import trouble
from explorer.validation import distinct
from explorer.views import VIEWS

BACKBONES = ["efficientnet_lite0"]
UPSAMPLERS = ["bilinear", "jafar", "anyup"]
log = logging.getLogger(__name__)


def expose(session: Session) -> None:
    """Declare the endpoints; call inside ``gr.Blocks``."""

    def explore(
        photo: dict,
        backbones: list[str] = BACKBONES,
        upsamplers: list[str] = UPSAMPLERS,
        input_size: int = 448,
        output_size: int = 448,
        components: str = "1-3",
        percentile: float = 1.0,
        checkpoints: dict = {},  # noqa: B006  (read by Gradio as the default)
    ) -> list[dict]:
        """PCA panels of a photo: one dict per panel with row, column, image (PNG), caption,
        origin, error.
        """
        sizes = (backbones, upsamplers, input_size, output_size, checkpoints)
        options = read_options(photo, *sizes, components=components, percentile=percentile)
        return [described(panel) for panel in VIEWS.create("pca").render(session, options)]

    def attention(
        photo: dict,
        row: int,
        col: int,
        backbones: list[str] = BACKBONES,
        upsamplers: list[str] = UPSAMPLERS,
        input_size: int = 448,
        output_size: int = 448,
        head: str = "mean",
        window_ratio: float | None = None,
        checkpoints: dict = {},  # noqa: B006
    ) -> list[dict]:
        """What output pixel (row, col) reads: panels, each method's with "cells": its weights,
        rows of the coarse grid. head: "mean" or an index from 0; window_ratio: AnyUp's, else the
        checkpoint's.
        """
        view = {"head": head} | ({} if window_ratio is None else {"window_ratio": window_ratio})
        options = read_options(
            photo, backbones, upsamplers, input_size, output_size, checkpoints, (row, col), view
        )
        return [described(panel) for panel in VIEWS.create("attention").render(session, options)]

    def similarity(
        photo: dict,
        row: int,
        col: int,
        backbones: list[str] = BACKBONES,
        upsamplers: list[str] = UPSAMPLERS,
        input_size: int = 448,
        output_size: int = 448,
        threshold: float | None = None,
        second: dict | None = None,
        checkpoints: dict = {},  # noqa: B006
    ) -> list[dict]:
        """Cosine of every pixel with output pixel (row, col), per method; a second photo gets rows
        of its own, with the best match in "marker" (row, col in fractions).
        """
        view = {} if threshold is None else {"threshold": threshold}
        options = read_options(
            photo, backbones, upsamplers, input_size, output_size, checkpoints, (row, col), view
        )
        other = read_photo(second.get("path")) if second else None
        made = VIEWS.create("similarity", second=other).render(session, options)
        return [described(panel) for panel in made]

    def probe(
        photo: dict,
        probe: str = "segmentation",
        show: str = "prediction",
        backbones: list[str] = BACKBONES,
        upsamplers: list[str] = UPSAMPLERS,
        input_size: int = 448,
        output_size: int = 448,
        opacity: float = 0.7,
        reference: str | None = None,
        checkpoints: dict = {},  # noqa: B006
    ) -> list[dict]:
        """What a probe ("segmentation", "depth", "normals" or a checkpoint's name) predicts per
        method. show: "prediction", "confidence" or "disagreement" with the reference method.
        """
        view = {"probe": probe, "show": show, "opacity": opacity}
        if reference:
            view["reference"] = reference
        options = read_options(
            photo, backbones, upsamplers, input_size, output_size, checkpoints, None, view
        )
        return [described(panel) for panel in VIEWS.create("probe").render(session, options)]

    for endpoint in (explore, attention, similarity, probe):
        gr.api(one_sentence(endpoint), api_name=endpoint.__name__)


def one_sentence(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Return the endpoint with every error as one sentence to the client."""

    @wraps(endpoint)
    def answer(*args: Any, **named: Any) -> Any:
        try:
            return endpoint(*args, **named)
        except Exception as error:
            raise gr.Error(trouble(error, log)["text"], print_exception=False) from None

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
    **settings: Any,
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
        **settings,
    )
    made = chosen.options(read_photo((photo or {}).get("path")))
    check_checkpoints(made.checkpoints, made.backbones, made.upsamplers, [view or {}])
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
