"""Hands files that the server made to the browser's downloads."""

from __future__ import annotations

import time
from typing import Any

import gradio as gr

from explorer.ui.file_store import stored
from explorer.ui.grid import STATIC


def downloads(elem_id: str) -> gr.HTML:
    """Make the component whose value is a ``download_value``; it shows nothing."""
    return gr.HTML(
        elem_id=elem_id,
        html_template="<div></div>",
        js_on_load=(STATIC / "downloads.js").read_text("utf-8"),
        apply_default_css=False,
    )


def download_value(data: bytes, name: str) -> dict[str, Any]:
    """Describe a file for ``downloads``."""
    file = stored(data, name).model_dump()
    return {"file": file, "name": name, "serial": int(1000 * time.time())}
