"""The components of the page that events read and write."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr


@dataclass(frozen=True)
class Page:
    """The components that events read and write."""

    photo: gr.Image
    backbones: gr.Dropdown
    upsamplers: gr.CheckboxGroup
    input_size: gr.Slider
    output_size: gr.Slider
    components: gr.Dropdown
    percentile: gr.Slider
    checkpoints: dict[str, gr.Dropdown]
    grid: gr.HTML
    status: gr.HTML
    link: gr.Textbox

    def inputs(self) -> list[gr.components.Component]:
        """Everything a run depends on, in the order ``events`` expects."""
        return [
            self.photo,
            self.backbones,
            self.upsamplers,
            self.input_size,
            self.output_size,
            self.components,
            self.percentile,
            *self.checkpoints.values(),
        ]
