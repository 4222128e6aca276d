"""The photo's input: Gradio shows it, only ``image.py`` opens it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from explorer.core import ImageError
from explorer.image import Photo, open_photo


class PhotoInput(gr.Image):
    """An image field that hands over the uploaded file as it is: orientation, depth and all."""

    is_template = True

    def preprocess(self, payload: Any) -> str | None:
        """Return the uploaded file's path."""
        return None if payload is None else payload.path

    def postprocess(self, value: Any) -> Any:
        """Show a file of ours (an example) without converting it."""
        return None if value is None else gr.FileData(path=str(value), orig_name=Path(value).name)


def read_photo(path: str | None) -> Photo:
    """Open what was uploaded.

    Raises:
        ImageError: nothing was chosen, or it is no photo.
    """
    if not path:
        raise ImageError("choose a photo first: upload one, paste one, or take an example")
    return open_photo(path, Path(path).name)
