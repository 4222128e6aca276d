"""The scribble probe for gradio_client: strokes in, predictions and label maps out."""

from __future__ import annotations

import gradio as gr

from explorer.core import ALIGN
from explorer.probes.scribble import check_strokes
from explorer.probes.strokes import read_strokes
from explorer.session import Session
from explorer.ui.api import BACKBONES, UPSAMPLERS, described, one_sentence, read_options
from explorer.ui.file_store import stored
from explorer.ui.scribble_files import labels_file
from explorer.ui.scribble_panels import scribble_options
from explorer.views import VIEWS
from explorer.views.predictions import ProbeParams


def expose(session: Session) -> None:
    """Declare the endpoint; call inside ``gr.Blocks``."""

    def scribble(
        photo: dict,
        strokes: list[dict],
        backbones: list[str] = BACKBONES,
        upsamplers: list[str] = UPSAMPLERS,
        input_size: int = 448,
        output_size: int = 448,
        show: str = "prediction",
        opacity: float = ProbeParams.opacity,
        reference: str | None = None,
        checkpoints: dict = {},  # noqa: B006  (read by Gradio as the default)
        align: bool = ALIGN,
    ) -> list[dict]:
        """Label every pixel from strokes: [{"name", "colour": [r, g, b], "points": [[row, col],
        ...], "radius"}, ...], rows and columns in fractions of the photo, the radius in longer
        sides. One dict per panel; each method's prediction has "labels": an indexed PNG of class
        numbers, their names in its text "classes".
        """
        sizes = (backbones, upsamplers, input_size, output_size, checkpoints)
        options = read_options(photo, *sizes, align=align)
        found = read_strokes(strokes)
        check_strokes(found, options.output)
        further = {"reference": reference} if reference else {}
        options = scribble_options(options, found, show, opacity, **further)
        answer = []
        for panel in VIEWS.create("probe").render(session, options):
            answer.append(described(panel))
            if show == "prediction" and panel.role == "method" and panel.error is None:
                data, name, _ = labels_file(session, options, panel.backbone, panel.method, "png")
                answer[-1]["labels"] = stored(data, name).model_dump()
        return answer

    gr.api(one_sentence(scribble), api_name="scribble")
