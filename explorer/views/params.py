"""The options of a view: each is declared once, with type, bounds, default, label and help.

The page's controls, links, the API, the command line, recipes and the table in the documentation
are derived from the declaration.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from annotated_types import Ge, Le
from pydantic import AfterValidator
from pydantic.dataclasses import dataclass

from explorer.core import ExplorerError, unknown_name
from explorer.core.validation import Name, Real, Share, checked, fits
from explorer.upsamplers import UPSAMPLERS

FIRST = "the first"  # of the chosen upsamplers
METHODS, PROBES = "methods", "probes"  # menus of names that a registry holds


@dataclasses.dataclass(frozen=True)
class Control:
    """What the page needs of an option beside its type and default.

    ``choices`` are a control's value, the option's and, if it is another, the text in the menu; or
    the name of a menu. ``free`` says that other values may be typed in. ``unset`` is the control's
    value that leaves the option out, so that its default counts. ``ends`` of a slider are the
    type's bounds unless they are given. ``key`` is the name in links; views that give the same key
    share one control. Without a key it is VIEW_OPTION. ``aliases`` are old
    names that recipes, commands and links may still have.
    """

    label: str
    help: str
    step: float | None = None
    ends: tuple[float, float] | None = None
    choices: tuple[tuple[Any, ...], ...] | str = ()
    free: bool = False
    unset: Any = None
    key: str = ""
    aliases: tuple[str, ...] = ()
    on_page: bool = True


@dataclasses.dataclass(frozen=True)
class Option:
    """One declared option: ``kind`` is its type with bounds, ``key`` its name in links."""

    name: str
    kind: Any
    default: Any
    control: Control
    key: str

    @property
    def names(self) -> tuple[str, ...]:
        """The option's name, and the old ones that recipes and commands may still have."""
        return self.name, *self.control.aliases

    def read(self, value: Any) -> Any:
        """Return a value from outside as the option's type; raises ExplorerError."""
        return checked(self.kind, value, self.name)

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values of a control with a fixed list: the declared ones, or those of a Literal."""
        if isinstance(self.control.choices, str):
            return ()
        named = tuple(one[0] for one in self.control.choices)
        return named or (get_args(self.kind) if get_origin(self.kind) is Literal else ())

    @property
    def ends(self) -> tuple[float, float] | None:
        """The ends of a slider; None for options that are no number between two bounds."""
        if self.control.ends or self.choices:
            return self.control.ends
        found = {type(one): one for one in _metadata(self.kind)}
        return (found[Ge].ge, found[Le].le) if Ge in found and Le in found else None

    def shown(self) -> Any:
        """Return the control's value for the default."""
        if self.control.unset is not None:
            return self.control.unset
        pairs = self.control.choices if self.choices else ()
        return next((one[0] for one in pairs if one[1] == self.default), self.default)

    def meant(self, value: Any) -> Any:
        """Return the option's value for a control's, None for one that leaves the option out."""
        if value is None or value == "" or value == self.control.unset:
            return None
        pairs = self.control.choices if self.choices else ()
        return self.read(next((one[1] for one in pairs if one[0] == value), value))

    def check_shown(self, value: Any) -> None:
        """Raise ExplorerError unless ``value`` is one that the control can have."""
        if self.control.free or (self.default is None and value in (None, "")):
            return  # ``meant`` reads it
        if self.choices:
            checked(Literal[self.choices], value, self.key)
        elif isinstance(self.control.choices, str):
            checked(Name | None, value, self.key)
        else:
            checked(Real if self.ends else self.kind, value, self.key)

    def parse(self, text: str) -> Any:
        """Return the control's value for a link's text, None for a text that it cannot have."""
        if self.choices:
            return text if text in self.choices else None
        if isinstance(self.control.choices, str):
            return text[:80] if fits(Name, text) else None
        try:
            if self.ends is None:
                return self.read(text)
            low, high = self.ends
            value = min(max(checked(Real, text, self.key), low), high)
            return int(value) if isinstance(self.default, int) else float(value)
        except ExplorerError:
            return None


@dataclass(frozen=True)
class Params:
    """The values of a view's options; subclasses declare fields ``Annotated[type, Control]``."""

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Params:
        """Return the options in ``given``, others at their default; unknown names are ignored.

        Raises:
            ExplorerError: an option has a value that it cannot take.
        """
        found = {
            option.name: option.read(given[name])
            for option in declared(cls)
            for name in reversed(option.names)  # the present name decides
            if name in given
        }
        return cls(**found)


@lru_cache(maxsize=64)
def declared(params: type[Params], view: str = "") -> tuple[Option, ...]:
    """Return the options of a class of parameters, in order; ``view`` completes their keys."""
    hints = get_type_hints(params, include_extras=True)
    found = []
    for field in dataclasses.fields(params):
        kind = hints[field.name]
        about = _metadata(kind)
        control = next((one for one in about if isinstance(one, Control)), None)
        if control is None:
            raise TypeError(f"{params.__qualname__}.{field.name} declares no Control")
        others = tuple(one for one in about if one is not control)
        plain = get_args(kind)[0]
        kind = Annotated[(plain, *others)] if others else plain
        factory = field.default_factory
        default = field.default if factory is dataclasses.MISSING else factory()
        key = control.key or f"{view}_{field.name}"
        found.append(Option(field.name, kind, default, control, key))
    return tuple(found)


def _metadata(kind: Any) -> tuple[Any, ...]:
    return get_args(kind)[1:] if get_origin(kind) is Annotated else ()


def _registered(name: str) -> str:
    if name not in UPSAMPLERS:
        raise unknown_name("upsampler", name, UPSAMPLERS)
    return name


Method = Annotated[Name, AfterValidator(_registered)]  # the name of an upsampler
REFERENCE = Control(
    "Compared with",
    "The method that the others are compared with; without one, the first of them.",
    choices=METHODS,
    unset=FIRST,
    key="reference",
)
WindowRatio = Annotated[
    Share | None,
    Control(
        "Window half-width",
        "Half-width of the attention window as a share of the grid, for methods whose window can "
        "be set; 0 is no window, and without a value it is the checkpoint's.",
        choices=(
            ("checkpoint", None),
            *((f"{share:g}", share) for share in (0.05, 0.1, 0.15, 0.2, 0.3, 0.5)),
            ("none", 0.0),
        ),
        unset="checkpoint",
        key="window",
        aliases=("window",),
    ),
]
