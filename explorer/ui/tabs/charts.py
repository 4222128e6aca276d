"""Charts: the numbers behind the chosen view's panels, to point at and turn."""

from __future__ import annotations

import logging
from typing import Any

import gradio as gr

from explorer.session import Session
from explorer.ui.charts import chart
from explorer.ui.page import Page
from explorer.ui.status import error_status, status_line

TITLE = "Charts"
log = logging.getLogger(__name__)


def build(page: Page, session: Session) -> None:
    """Make the tab; call inside ``gr.Tabs``."""
    with gr.Tab(TITLE, id="charts") as tab:
        status = status_line("charts-status")
        plot = gr.Plot(show_label=False, elem_id="chart")

    def run(photo: str | None, *values: Any) -> tuple[Any, dict[str, str]]:
        try:
            options = page.options(photo, *values)
            figure, text = chart(session, options, page.settings(*values).view)
        except Exception as error:
            return None, error_status(error, log)
        return figure, {"text": text, "kind": "done"}

    tab.select(run, page.inputs(), [plot, status], api_visibility="private")
