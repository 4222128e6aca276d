"""What a view is: settings in, panels out, one after the other as they are ready."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from explorer.core import ExplorerError, Panel, Registry
from explorer.core.messages import join_names, quoted, suggestion
from explorer.resources.user_message import user_message
from explorer.session import Options, Session
from explorer.upsamplers import UPSAMPLERS
from explorer.views.params import Option, Params, declared

log = logging.getLogger(__name__)
VIEWS: Registry[View] = Registry("view")


class View(ABC):
    """Turns a session and its options into panels: rows are backbones, columns photo, coarse
    features, methods.

    ``Params`` declares the view's own options. The other attributes are what menus, the page, the
    API and figures need to know of it.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    order: ClassVar[float] = 1000  # in menus, lowest first
    aliases: ClassVar[tuple[str, ...]] = ()  # old names that links and recipes still have
    Params: ClassVar[type[Params]] = Params
    needs_query: ClassVar[bool] = False  # nothing to show without a query pixel
    shows_query: ClassVar[bool] = False  # another query pixel changes what is shown
    takes_second_photo: ClassVar[bool] = False  # ``__init__`` has a parameter ``second``
    preset: ClassVar[str] = "probe figure"  # of figures that suits it
    figure_options: ClassVar[Mapping[str, Any]] = {}  # what figures set where nobody else does
    endpoint: ClassVar[str] = ""  # of the API, if not ``name``
    leading_arguments: ClassVar[tuple[str, ...]] = ()  # options that come first in the API
    api_defaults: ClassVar[Mapping[str, Any]] = {}  # promised to clients, where they differ

    @classmethod
    def options(cls) -> tuple[Option, ...]:
        """Return the declared options, in order."""
        return declared(cls.Params, cls.name)

    @classmethod
    def params(cls, options: Options) -> Any:
        """Return the view's own options as an instance of ``Params``; raises ExplorerError."""
        return cls.Params.read(options.view)

    @classmethod
    def check(cls, options: Options) -> None:
        """Raise ExplorerError if an option of this view has a value that it cannot take.

        Options of other views are not looked at: a figure of several views hands all to each.
        """
        cls.params(options)

    @classmethod
    def check_given(cls, given: Mapping[str, Any]) -> None:
        """Check options as they come from outside; what each panel would say is said at once."""
        cls.Params.read(given)

    def methods(self, options: Options) -> tuple[str, ...]:
        """Return the upsamplers that have panels."""
        return options.upsamplers

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
    names = [name for kind in kinds for option in kind.options() for name in option.names]
    known = dict.fromkeys(names)
    for name in given:
        if name not in known:
            which = " and ".join(kind.name for kind in kinds)
            raise ExplorerError(
                f"the {which} view has no option {quoted(name)}; {suggestion(name, known)}"
            )
    for kind in kinds:
        kind.check_given(given)


def check_second_photo(view: str, given: bool) -> None:
    """Raise ExplorerError if a second photo is given to a view that looks at one photo."""
    if given and not VIEWS.get(view).takes_second_photo:
        able = [name for name in VIEWS if VIEWS.get(name).takes_second_photo]
        raise ExplorerError(
            f"the {view} view looks at one photo; a second one is for: {join_names(able)}"
        )


def method_title(name: str) -> str:
    """Return an upsampler's name as papers write it."""
    return UPSAMPLERS.get(name).title if name in UPSAMPLERS else name


def joined(*notes: str) -> str:
    """Return a caption: the notes that say something."""
    return " · ".join(note for note in notes if note)


def error_panel(
    row: str, column: str, size: tuple[int, int], error: Exception, **fields: Any
) -> Panel:
    """Return a panel that carries a sentence instead of a picture; see ``trouble.sentence``.

    ``fields`` are further ones of the panel: role, backbone, method ...
    """
    blank = np.full((*size, 3), 128, dtype=np.uint8)
    return Panel(row, column, blank, error=user_message(error, log), **fields)


def photo_panel(session: Session, options: Options, row: str, backbone: str = "") -> Panel:
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
        role="photo",
        backbone=backbone,
    )
