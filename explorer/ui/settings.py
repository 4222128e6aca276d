"""The settings of the page as plain values: from the page, to Options, to and from the address
bar.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, make_dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlencode

from annotated_types import MaxLen

from explorer.core import ALIGN, ExplorerError
from explorer.core.validation import Described, Name, Share, Text, Whole, checked, fits
from explorer.imaging import Photo
from explorer.session import Options
from explorer.upsamplers import UPSAMPLERS
from explorer.views import VIEWS, View
from explorer.views.params import Option

MAX_BACKBONES = 3
TABS_ON_SCREEN = ("panels", "compare", "scribble", "numbers", "export", "charts")  # their ids
RANGES = {"input_size": (112, 1024), "output_size": (56, 1024)}  # of the sliders
LINK_VERSION = "2"
# What a link without a version leaves out: the page's defaults at commit 97013fe.
UNVERSIONED = {
    "tab": "panels",
    "view": "pca",
    "backbones": ("efficientnet_lite0",),
    "upsamplers": ("bilinear", "jbu", "jafar", "anyup"),
    "input_size": 448,
    "output_size": 448,
    "components": "1-3",
    "percentile": 1.0,
    "head": "mean",
    "window": "checkpoint",
    "what": "mean",
    "threshold": -1.0,
    "probe": "segmentation",
    "show": "prediction",
    "opacity": 0.7,
    "reference": "the first",
    "align": False,
}
MOST_PAIRS = 100  # in a link
_NAMES = Annotated[tuple[Name, ...], MaxLen(64), Described("a list of at most 64 names")]
KINDS_OF = {  # what a setting must be before a view looks at it
    "backbones": _NAMES,
    "upsamplers": _NAMES,
    "input_size": Whole,
    "output_size": Whole,
    "align": bool,
    "example": Name | None,
    "query": tuple[Share, Share] | None,
    "checkpoints": Annotated[dict[Name, Text], MaxLen(64), Described("names by upsampler")],
}


def page_options() -> dict[str, Option]:
    """Return the options that views have on the page by key, in the order of the menu.

    Raises:
        ExplorerError: two views declare different controls of one key.
    """
    found: dict[str, Option] = {}
    for name in VIEWS:
        for option in VIEWS.get(name).options():
            if not option.control.on_page:
                continue
            known = found.setdefault(option.key, option)
            taken = option.key in Settings.__dataclass_fields__
            if taken or (known.control, known.default) != (option.control, option.default):
                raise ExplorerError(
                    f"the {name} view declares another control of {option.key!r} than the "
                    "page or a view before it; choose another key"
                )
    return found


@dataclass(frozen=True)
class Settings:
    """Everything but the photo; ``example`` names it if it is one of ours.

    ``query`` is (row, col) in fractions of the picture, so that it survives another output size.
    An instance has one more field for every option that a view has on the page, by its key: the
    value of its control.
    """

    example: str | None = None
    tab: str = "panels"
    view: str = "pca"
    backbones: tuple[str, ...] = ("efficientnet_lite0",)
    upsamplers: tuple[str, ...] = ("bilinear", "jbu", "jafar", "anyup")
    input_size: int = 448
    output_size: int = 448
    align: bool = ALIGN
    query: tuple[float, float] | None = None
    checkpoints: Mapping[str, str] = field(default_factory=dict)

    def __new__(cls, *_: Any, **__: Any) -> Settings:
        """Make an instance with the fields of the views that are registered now."""
        return object.__new__(
            _with_fields(tuple(map(VIEWS.get, VIEWS))) if cls is Settings else cls
        )

    def options(self, photo: Photo) -> Options:
        """Return the options of views for ``photo``.

        Raises:
            ExplorerError: a setting nobody can compute.
        """
        self.check()
        if not 1 <= len(self.backbones) <= MAX_BACKBONES:
            raise ExplorerError(f"choose one to {MAX_BACKBONES} backbones")
        made = Options(
            photo,
            tuple(self.backbones),
            tuple(self.upsamplers),
            *(checked(Whole, getattr(self, name), name) for name in ("input_size", "output_size")),
            dict(self.checkpoints),
            view=self.view_options(),
            align=self.align,
        )
        if self.query is None:
            return made
        pixel = tuple(
            min(int(part * side), side - 1)
            for part, side in zip(self.query, made.output, strict=True)
        )
        return made.with_query(pixel)

    def check(self) -> None:
        """Raise ExplorerError unless numbers are numbers, names are texts and choices are ones."""
        for name, kind in KINDS_OF.items():
            checked(kind, getattr(self, name), name.replace("_", " "))
        checked(Literal[TABS_ON_SCREEN], self.tab, "tab")
        checked(Literal[tuple(VIEWS)], self.view, "view")
        for key, option in page_options().items():
            option.check_shown(getattr(self, key))

    def view_options(self) -> dict[str, Any]:
        """Return what the chosen view reads, and nothing of the others."""
        found = {}
        for option in VIEWS.get(self.view).options():
            value = option.meant(getattr(self, option.key)) if option.control.on_page else None
            if value is not None:
                found[option.name] = list(value) if isinstance(value, tuple) else value
        return found

    def query_string(self) -> str:
        """Return the version and what differs from the defaults, as the page's query string."""
        default = asdict(Settings())
        changed = {"v": LINK_VERSION, "align": int(self.align)}
        for key, value in asdict(self).items():
            if key == "align" or value == default[key] or value is None:
                continue
            if key == "checkpoints":
                value = ",".join(f"{k}={v}" for k, v in sorted(value.items()))
            elif key == "query":
                value = ",".join(f"{part:.6f}" for part in value)
            elif isinstance(value, list | tuple):
                value = ",".join(map(str, value))
            changed[key] = value
        return urlencode(changed, errors="replace")  # a lone surrogate has no bytes

    @classmethod
    def parse(cls, query: str | Mapping[str, str]) -> Settings:
        """Read a query string; unknown keys and values that do not parse are left at their
        default, numbers are brought into the range of their slider.
        """
        pairs = _pairs(query)
        present = cls().__dataclass_fields__
        old = {} if "v" in pairs else UNVERSIONED
        found: dict[str, Any] = {key: value for key, value in old.items() if key in present}
        found["align"] = pairs.get("align") == "1"  # earlier links knew no other reading
        for key in ("backbones", "upsamplers"):
            names = tuple(n for n in pairs.get(key, "").split(",") if fits(Name, n))[:12]
            if names:
                found[key] = names
        for key, (low, high) in RANGES.items():
            with suppress(KeyError, ValueError):
                found[key] = min(max(int(pairs[key]), low), high)
        if pairs.get("tab") in TABS_ON_SCREEN:
            found["tab"] = pairs["tab"]
        if pairs.get("view") in VIEWS:
            found["view"] = VIEWS.resolve(pairs["view"])
        if fits(Name, pairs.get("example")):
            found["example"] = pairs["example"][:80]
        for key, option in page_options().items():
            given = next((pairs[k] for k in (key, *option.control.aliases) if k in pairs), None)
            value = None if given is None else option.parse(given)
            if value is not None:
                found[key] = value
        found |= _parse_query(pairs.get("query", ""))
        chosen = [part.partition("=") for part in pairs.get("checkpoints", "").split(",")]
        named = {
            k: v
            for k, _, v in chosen
            if v and fits(Name, k) and fits(Text, v) and not _has_no_weights(k)
        }
        if named:
            found["checkpoints"] = named
        return cls(**found)


@lru_cache(maxsize=8)
def _with_fields(_: tuple[type[View], ...]) -> type[Settings]:
    """Return the settings with a field for every option of these views, the registered ones."""
    fields = [(key, Any, option.shown()) for key, option in page_options().items()]
    return make_dataclass("Settings", fields, bases=(Settings,), frozen=True)


def _has_no_weights(key: str) -> bool:
    """Whether "method" or "method:backbone" names a method that has no weights to choose."""
    method = key.partition(":")[0]
    return method in UPSAMPLERS and not UPSAMPLERS.get(method).trained


def _pairs(query: str | Mapping[str, str]) -> dict[str, str]:
    """Return a query string's keys and values; a link with more than the page has is no link."""
    try:
        found = parse_qsl(query, max_num_fields=MOST_PAIRS) if isinstance(query, str) else query
    except ValueError:
        return {}
    return {key: value for key, value in dict(found).items() if isinstance(value, str)}


def is_link(pairs: Mapping[str, str]) -> bool:
    """Whether any key is ours: hosts add keys of their own, such as the theme, to the address."""
    aliases = (one.control.aliases for one in page_options().values())
    return not {"v", *Settings().__dataclass_fields__, *sum(aliases, ())}.isdisjoint(pairs)


def _parse_query(text: str) -> dict[str, tuple[float, float]]:
    try:
        row, col = (float(part) for part in text.split(","))
    except ValueError:
        return {}
    return {"query": (row, col)} if 0 <= row <= 1 and 0 <= col <= 1 else {}
