"""The photo's input: Gradio shows it, only ``image.py`` opens it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from explorer.core import ImageError
from explorer.files.bundled import EXAMPLES
from explorer.imaging import Photo, open_photo
from explorer.resources.cache import Cache

_PHOTOS = Cache(256 * 2**20)  # every event hands over the file anew; it is decoded once


def photo_input(**options: Any) -> gr.Image:
    """Return an image field that hands over the uploaded file as it is: orientation, depth and all.

    Gradio's own ``preprocess`` would decode and convert it first. A subclass could override that,
    but Gradio writes a ``.pyi`` file beside every subclass.
    """
    field = gr.Image(type="filepath", image_mode=None, **options)
    field.preprocess = lambda payload: None if payload is None else payload.path
    return field


def read_photo(path: str | None) -> Photo:
    """Open what was uploaded, or one of the examples; no other file of the server is ever opened.

    Raises:
        ImageError: nothing was chosen, it was not uploaded here, or it is no photo.
    """
    if not path:
        raise ImageError("choose a photo first: upload one, paste one, or take an example")
    if not isinstance(path, str) or not _is_ours(path):
        raise ImageError("the photo must be a file uploaded here; upload it again")
    try:
        stat = os.stat(path)
    except OSError:
        return open_photo(path, Path(path).name)  # which says what is wrong
    key = (path, stat.st_mtime_ns, stat.st_size)
    return _PHOTOS.get(key, lambda: open_photo(path, Path(path).name))


def _is_ours(path: str) -> bool:
    try:
        place = Path(path).resolve()
    except (OSError, ValueError, RuntimeError):  # null bytes, loops of links
        return False
    return any(
        place.is_relative_to(Path(root).resolve()) for root in (get_upload_folder(), EXAMPLES)
    )
