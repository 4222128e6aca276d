"""The status line: what is being done, what is done, or one sentence about what went wrong."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

import gradio as gr

from explorer.core import ExplorerError
from explorer.room import is_out_of_memory

SCRIPT = Path(__file__).parent / "static" / "status.js"
TROUBLE = "Something went wrong here, not with your input; the server's log has the details."
FULL = (
    "The server's disk is full, so no picture could be stored; please try again in a few minutes."
)
CROWDED = "The server ran out of memory; choose smaller sizes or fewer methods."
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


def trouble(error: Exception, log: logging.Logger) -> dict[str, str]:
    """Return the line for an error: the sentence of ours, or that it is in the log."""
    if isinstance(error, ExplorerError):
        return {"text": str(error), "kind": "error"}
    log.error("a request failed", exc_info=error)
    text = TROUBLE
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        text = FULL
    elif is_out_of_memory(error):
        text = CROWDED
    return {"text": text, "kind": "error"}
