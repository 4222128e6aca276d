"""Typed endpoints for gradio_client: the same things as the page, without it."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from explorer.core import ExplorerError, Panel
from explorer.session import Session
from explorer.ui.photo_input import read_photo
from explorer.ui.settings import Settings
from explorer.views import VIEWS


def expose(session: Session) -> None:
    """Declare the endpoints; call inside ``gr.Blocks``."""

    def explore(
        photo: dict,
        backbones: list[str] = ["efficientnet_lite0"],  # noqa: B006  (read by Gradio as the default)
        upsamplers: list[str] = ["bilinear", "jafar", "anyup"],  # noqa: B006
        input_size: int = 448,
        output_size: int = 448,
        components: str = "1-3",
        percentile: float = 1.0,
        checkpoints: dict = {},  # noqa: B006
    ) -> list[dict]:
        """PCA panels of a photo: one dict per panel with row, column, image (PNG), caption,
        origin, error.
        """
        try:
            chosen = Settings(
                backbones=tuple(backbones),
                upsamplers=tuple(upsamplers),
                input_size=input_size,
                output_size=output_size,
                components=components,
                percentile=percentile,
                checkpoints={str(k): str(v) for k, v in checkpoints.items()},
            )
            options = chosen.options(read_photo((photo or {}).get("path")))
            return [described(panel) for panel in VIEWS.create("pca").render(session, options)]
        except ExplorerError as error:
            raise gr.Error(str(error), print_exception=False) from None

    gr.api(explore, api_name="explore")


def described(panel: Panel) -> dict[str, Any]:
    """Return a panel as JSON with its picture as a lossless PNG file."""
    found = {
        "row": panel.row,
        "column": panel.column,
        "caption": panel.caption,
        "origin": panel.origin,
        "metrics": dict(panel.metrics),
        "recipe": dict(panel.recipe),
        "error": panel.error,
        "image": None,
    }
    if panel.error is None:
        found["image"] = gr.FileData(path=png_file(panel), mime_type="image/png").model_dump()
    return found


def png_file(panel: Panel) -> str:
    """Write a panel's picture where Gradio may serve it from."""
    buffer = io.BytesIO()
    Image.fromarray(panel.image).save(buffer, "PNG", compress_level=1)
    folder = Path(tempfile.mkdtemp(dir=_served_folder()))
    path = folder / "panel.png"
    path.write_bytes(buffer.getvalue())
    return str(path)


def _served_folder() -> Path:
    from gradio.utils import get_upload_folder

    folder = Path(get_upload_folder())
    folder.mkdir(parents=True, exist_ok=True)
    return folder
