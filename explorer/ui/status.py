"""The status line: what is being done, what is done, or one sentence about what went wrong."""

from __future__ import annotations

import logging
from pathlib import Path

import gradio as gr

from explorer.resources.user_message import user_message

SCRIPT = Path(__file__).parent / "static" / "status.js"
STARTING = {"text": "Starting…", "kind": "work"}


def status_line(elem_id: str, value: dict[str, str] = STARTING) -> gr.HTML:
    """Make the line; its value is {"text", "kind"} with kind "work", "done" or "error".

    The template is constant: Gradio evaluates ``${...}`` inside values that templates insert.
    """
    return gr.HTML(
        value=value,
        elem_id=elem_id,
        html_template='<div class="status" role="status"></div>',
        js_on_load=SCRIPT.read_text("utf-8"),
    )


def error_status(error: Exception, log: logging.Logger) -> dict[str, str]:
    """Return the line for an error: the sentence of ours, or that it is in the log."""
    return {"text": user_message(error, log), "kind": "error"}
