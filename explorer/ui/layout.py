"""The page: settings on the left, the linked grid on the right."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from explorer.session import Session
from explorer.ui import api, choices, events, figure_api, scribble_api, view_bar
from explorer.ui.grid import panel_grid
from explorer.ui.page import AUTOMATIC, Page
from explorer.ui.photo_input import photo_input
from explorer.ui.settings import MAX_BACKBONES, RANGES, Settings
from explorer.ui.status import status_line
from explorer.ui.tabs import TABS

TITLE = "Feature Upsampling Explorer"
THEME = gr.themes.Default(  # the bundled semi-bold cuts lack most letters
    font=[gr.themes.LocalFont("Source Sans Pro", weights=(400, 700)), "system-ui", "sans-serif"],
    font_mono=[gr.themes.LocalFont("IBM Plex Mono", weights=(400, 700)), "monospace"],
)
CSS = (Path(__file__).parent / "static" / "page.css").read_text("utf-8")


def build(session: Session) -> gr.Blocks:
    """Return the app for a session, which every visitor shares: its keys are contents."""
    defaults = Settings()
    with gr.Blocks(title=TITLE, fill_width=True, delete_cache=(3600, 6 * 3600)) as demo:
        gr.HTML(
            f"<h1>{TITLE}</h1><p>Coarse backbone features, brought to pixels by one method per "
            "column. Methods of a row share one basis and one colour scale.</p>",
            elem_id="page-head",
        )
        # States stand here, because Gradio counts every child of Tabs as a tab.
        query, opened = gr.State(None), gr.State(defaults.tab)
        with gr.Row(elem_id="page-body"):
            with gr.Column(scale=0, min_width=300, elem_id="page-settings"):
                photo, fields, checkpoints = _settings_column(defaults)
            with gr.Column(scale=1, min_width=480, elem_id="page-main"):
                link = gr.Textbox(
                    label="Permalink (settings; the photo only if it is an example)",
                    interactive=False,
                    buttons=["copy"],
                    elem_id="permalink",
                    render=False,
                )
                with gr.Tabs(elem_id="tabs") as tabs:
                    with gr.Tab("Panels", id="panels"):
                        viewed, second = view_bar.build(defaults)
                        status = status_line("status")
                        grid = panel_grid("grid")
                page = Page(
                    photo,
                    fields | viewed,
                    checkpoints,
                    second,
                    query,
                    grid,
                    status,
                    link,
                    tabs,
                    opened,
                )
                # First: Gradio's page calls an event's listeners one after the other, each when
                # the one before has ended, and the tabs listen to the same events.
                events.connect(demo, page, session)
                with tabs:
                    for tab in TABS:
                        tab.build(page, session)
                link.render()  # under every tab, for it names the open one
        api.expose(session)
        scribble_api.expose(session)
        figure_api.expose(session)
    return demo


def _settings_column(
    defaults: Settings,
) -> tuple[gr.Image, dict[str, gr.components.Component], dict[str, gr.Dropdown]]:
    examples = choices.example_photos()
    photo = photo_input(label="Photo", sources=["upload", "clipboard"], height=200, elem_id="photo")
    if examples:
        gr.Examples(
            [[str(path)] for path in examples.values()],
            inputs=[photo],
            label="Examples",
            examples_per_page=6,
            elem_id="examples",
        )
    there, missing = choices.backbone_choices()
    backbones = gr.Dropdown(
        there,
        value=list(defaults.backbones),
        multiselect=True,
        max_choices=MAX_BACKBONES,
        allow_custom_value=True,
        label="Backbones (one row each)",
        info="Any other timm name can be typed in.",
        elem_id="backbones",
    )
    upsamplers = gr.CheckboxGroup(
        choices.upsampler_choices(),
        value=list(defaults.upsamplers),
        label="Upsamplers (one column each)",
        elem_id="upsamplers",
    )
    input_size = gr.Slider(
        *RANGES["input_size"], defaults.input_size, step=16, label="Backbone input, px"
    )
    output_size = gr.Slider(
        *RANGES["output_size"], defaults.output_size, step=8, label="Output, px"
    )
    align = gr.Checkbox(
        defaults.align,
        label="Align features with their pixels",
        info="The photo is moved by the backbone's measured offset, so that each cell describes "
        "the pixels under it.",
        elem_id="align",
    )
    with gr.Accordion("Weights", open=False):
        checkpoints = {
            name: gr.Dropdown(
                choices.checkpoint_choices(name),
                value=AUTOMATIC,
                label=dict((n, t) for t, n in choices.upsampler_choices())[name],
                elem_id=f"weights-{name}",
            )
            for name in choices.trained_methods()
        }
    if missing:
        with gr.Accordion(f"{len(missing)} backbones cannot be had now", open=False):
            gr.Markdown(
                "Not cached here, and the Hub could not be reached when this app started: "
                + ", ".join(missing)
                + ". Typed in by name, they are tried again."
            )
    fields = {
        "backbones": backbones,
        "upsamplers": upsamplers,
        "input_size": input_size,
        "output_size": output_size,
        "align": align,
    }
    return photo, fields, checkpoints
