"""What a view is: settings in, panels out, one after the other as they are ready."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import AfterValidator

from explorer.core import ExplorerError, Panel, Registry, unknown_name
from explorer.messages import shown, suggestion
from explorer.session import Options, Session
from explorer.trouble import sentence
from explorer.upsamplers import UPSAMPLERS
from explorer.validation import Name, checked

log = logging.getLogger(__name__)
VIEWS: Registry[View] = Registry("view")


def _registered(name: str) -> str:
    if name not in UPSAMPLERS:
        raise unknown_name("upsampler", name, UPSAMPLERS)
    return name


Method = Annotated[Name, AfterValidator(_registered)]  # the name of an upsampler


class View(ABC):
    """Turns a session and its options into panels: rows are backbones, columns photo, coarse
    features, methods.

    ``OPTIONS`` are the view's own: name to type (see `explorer.validation`) and default.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    OPTIONS: ClassVar[Mapping[str, tuple[Any, Any]]] = {}

    @classmethod
    def option(cls, options: Options, name: str) -> Any:
        """Return one of the view's own options, or its default; raises ExplorerError."""
        kind, default = cls.OPTIONS[name]
        return checked(kind, options.view[name], name) if name in options.view else default

    @classmethod
    def check(cls, options: Options) -> None:
        """Raise ExplorerError if an option of this view has a value that it cannot take.

        Options of other views are not looked at: a figure of several views hands all to each.
        """
        for name in cls.OPTIONS:
            cls.option(options, name)

    @classmethod
    def check_given(cls, given: Mapping[str, Any]) -> None:
        """Check options as they come from outside; what each panel would say is said at once."""
        for name, (kind, _) in cls.OPTIONS.items():
            if name in given:
                checked(kind, given[name], name)

    @abstractmethod
    def stream(self, session: Session, options: Options) -> Iterator[Panel]:
        """Yield panels as they become ready; a panel seen again (same row and column) replaces the
        earlier one.
        """

    def render(self, session: Session, options: Options) -> list[Panel]:
        """Return all final panels, row by row."""
        panels = {(panel.row, panel.column): panel for panel in self.stream(session, options)}
        return list(panels.values())


def check_view_options(given: Mapping[str, Any], views: Sequence[str]) -> None:
    """Check options that are given to all of these views together.

    Raises:
        ExplorerError: none of the views has such an option, or one cannot take the value.
    """
    kinds = [VIEWS.get(view) for view in dict.fromkeys(views)]
    known = dict.fromkeys(name for kind in kinds for name in kind.OPTIONS)
    for name in given:
        if name not in known:
            which = " and ".join(kind.name for kind in kinds)
            raise ExplorerError(
                f"the {which} view has no option {shown(name)}; {suggestion(name, known)}"
            )
    for kind in kinds:
        kind.check_given(given)


def method_title(name: str) -> str:
    """Return an upsampler's name as papers write it."""
    return UPSAMPLERS.get(name).title if name in UPSAMPLERS else name


def joined(*notes: str) -> str:
    """Return a caption: the notes that say something."""
    return " · ".join(note for note in notes if note)


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
