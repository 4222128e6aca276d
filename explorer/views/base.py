"""What a view is: settings in, panels out, one after the other as they are ready."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from explorer.core import Panel, Registry
from explorer.session import Options, Session
from explorer.trouble import sentence
from explorer.upsamplers import UPSAMPLERS

log = logging.getLogger(__name__)
VIEWS: Registry[View] = Registry("view")


class View(ABC):
    """Turns a session and its options into panels: rows are backbones, columns photo, coarse
    features, methods.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    @abstractmethod
    def stream(self, session: Session, options: Options) -> Iterator[Panel]:
        """Yield panels as they become ready; a panel seen again (same row and column) replaces the
        earlier one.
        """

    def render(self, session: Session, options: Options) -> list[Panel]:
        """Return all final panels, row by row."""
        panels = {(panel.row, panel.column): panel for panel in self.stream(session, options)}
        return list(panels.values())


def method_title(name: str) -> str:
    """Return an upsampler's name as papers write it."""
    return UPSAMPLERS.get(name).title if name in UPSAMPLERS else name


def error_panel(row: str, column: str, size: tuple[int, int], error: Exception) -> Panel:
    """Return a panel that carries a sentence instead of a picture; see ``trouble.sentence``."""
    blank = np.full((*size, 3), 128, dtype=np.uint8)
    return Panel(row, column, blank, error=sentence(error, log))


def photo_panel(session: Session, options: Options, row: str) -> Panel:
    """Return the photo at the output size."""
    image = session.guidance(options)[0].mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
    height, width = options.photo.size
    return Panel(
        row,
        "Photo",
        image,
        caption=f"{width}×{height} shown at {image.shape[1]}×{image.shape[0]}",
        origin="photo",
        recipe={"view": "photo"} | options.recipe(),
    )
