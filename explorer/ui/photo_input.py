"""The photo's input: Gradio shows it, only ``image.py`` opens it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from explorer.core import ImageError
from explorer.image import Photo, open_photo


def photo_input(**options: Any) -> gr.Image:
    """Return an image field that hands over the uploaded file as it is: orientation, depth and all.

    Gradio's own ``preprocess`` would decode and convert it first. A subclass could override that,
    but Gradio writes a ``.pyi`` file beside every subclass.
    """
    field = gr.Image(type="filepath", image_mode=None, **options)
    field.preprocess = lambda payload: None if payload is None else payload.path
    return field


def read_photo(path: str | None) -> Photo:
    """Open what was uploaded.

    Raises:
        ImageError: nothing was chosen, or it is no photo.
    """
    if not path:
        raise ImageError("choose a photo first: upload one, paste one, or take an example")
    return open_photo(path, Path(path).name)
