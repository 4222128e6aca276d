"""The settings of the page as plain values: from the page, to Options, to and from the address
bar.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlencode

from annotated_types import MaxLen

from explorer.core import ExplorerError
from explorer.image import Photo
from explorer.messages import shown
from explorer.session import Options
from explorer.upsamplers import UPSAMPLERS
from explorer.validation import Described, Name, Real, Share, Text, Whole, checked, fits
from explorer.views import pca
from explorer.views.probe import SHOWN
from explorer.views.reach import KINDS

MAX_BACKBONES = 3
COMPONENTS = ("1-3", "4-6", "7-9", "10-12")
HEADS = ("mean", "0", "1", "2", "3", "4")  # four learned ones, and a bilinear one some weights have
WINDOWS = ("checkpoint", "0.05", "0.1", "0.15", "0.2", "0.3", "0.5", "none")
FIRST = "the first"  # of the chosen upsamplers
VIEWS_ON_SCREEN = ("pca", "attention", "reach", "similarity", "difference", "probe")
TABS_ON_SCREEN = ("panels", "compare", "scribble", "numbers", "export", "charts")  # their ids
CHOICES = {
    "tab": TABS_ON_SCREEN,
    "components": COMPONENTS,
    "head": HEADS,
    "window": WINDOWS,
    "what": KINDS,
    "view": VIEWS_ON_SCREEN,
    "show": SHOWN,
}
NUMBERS = {
    "input_size": int,
    "output_size": int,
    "percentile": float,
    "threshold": float,
    "opacity": float,
}
TEXTS = ("example", "probe", "reference")
RANGES = {  # what the page's sliders can show
    "input_size": (112, 1024),
    "output_size": (56, 1024),
    "percentile": (0, 10),
    "threshold": (-1, 1),
    "opacity": (0, 1),
}
NO_THRESHOLD = -1.0
MOST_PAIRS = 100  # in a link
_NAMES = Annotated[tuple[Name, ...], MaxLen(64), Described("a list of at most 64 names")]
KINDS_OF = {  # what a setting must be before a view looks at it
    "backbones": _NAMES,
    "upsamplers": _NAMES,
    "input_size": Whole,
    "output_size": Whole,
    "percentile": Real,
    "threshold": Real,
    "opacity": Real,
    "probe": Name | None,
    "reference": Name | None,
    "example": Name | None,
    "query": tuple[Share, Share] | None,
    "checkpoints": Annotated[dict[Name, Text], MaxLen(64), Described("names by upsampler")],
}


@dataclass(frozen=True)
class Settings:
    """Everything but the photo; ``example`` names it if it is one of ours.

    ``query`` is (row, col) in fractions of the picture, so that it survives another output size.
    """

    example: str | None = None
    tab: str = "panels"
    view: str = "pca"
    backbones: tuple[str, ...] = ("efficientnet_lite0",)
    upsamplers: tuple[str, ...] = ("bilinear", "jbu", "jafar", "anyup")
    input_size: int = 448
    output_size: int = 448
    components: str = "1-3"
    percentile: float = 1.0
    head: str = "mean"
    window: str = "checkpoint"
    what: str = "mean"
    threshold: float = NO_THRESHOLD
    probe: str = "segmentation"
    show: str = "prediction"
    opacity: float = 0.7
    reference: str = FIRST
    query: tuple[float, float] | None = None
    checkpoints: Mapping[str, str] = field(default_factory=dict)

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
        for name, choices in CHOICES.items():
            if name != "components":
                checked(Literal[choices], getattr(self, name), name)

    def view_options(self) -> dict[str, Any]:
        """Return what the chosen view reads, and nothing of the others."""
        if self.view == "pca":
            return {
                "components": parse_components(self.components),
                "percentile": float(self.percentile),
            }
        found: dict[str, Any] = {}
        if self.view in ("attention", "reach") and self.window != "checkpoint":
            found["window_ratio"] = 0.0 if self.window == "none" else float(self.window)
        if self.view == "attention" and self.head != "mean":
            found["head"] = int(self.head)
        if self.view == "reach":
            found["what"] = self.what
        if self.view == "similarity" and self.threshold > NO_THRESHOLD:
            found["threshold"] = float(self.threshold)
        if self.view == "probe":
            found |= {
                "probe": self.probe or "segmentation",
                "show": self.show,
                "opacity": float(self.opacity),
            }
        if self.view in ("difference", "probe") and self.reference not in (FIRST, None):
            found["reference"] = self.reference
        return found

    def query_string(self) -> str:
        """Return the settings that differ from the defaults, as the page's query string."""
        default = asdict(Settings())
        changed = {}
        for key, value in asdict(self).items():
            if value == default[key] or value is None:
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
        found: dict[str, Any] = {}
        for key in ("backbones", "upsamplers"):
            names = tuple(n for n in pairs.get(key, "").split(",") if fits(Name, n))[:12]
            if names:
                found[key] = names
        for key, kind in NUMBERS.items():
            try:
                low, high = RANGES[key]
                value = kind(pairs[key])
            except (KeyError, ValueError):
                continue
            if not math.isnan(value):
                found[key] = kind(min(max(value, low), high))
        for key, choices in CHOICES.items():
            if pairs.get(key) in choices:
                found[key] = pairs[key]
        for key in TEXTS:
            if fits(Name, pairs.get(key)):
                found[key] = pairs[key][:80]
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


def _has_no_weights(key: str) -> bool:
    """Whether "method" or "method:backbone" names a method that has no weights to choose."""
    method = key.partition(":")[0]
    return method in UPSAMPLERS and not UPSAMPLERS.get(method).trained


def parse_components(text: str | Sequence[int]) -> list[int]:
    """Return three component indices from 0 for "4-6" or [4, 5, 6]; raises ExplorerError."""
    if isinstance(text, str):
        found = re.fullmatch(r"([0-9]{1,3})-([0-9]{1,3})", text)
        if not found:
            raise ExplorerError(f"PCA components are written as 1-3 or 4-6, not {shown(text)}")
        text = range(int(found[1]), int(found[2]) + 1)
    return pca.parse_components(list(text) if isinstance(text, range) else text)


def _pairs(query: str | Mapping[str, str]) -> dict[str, str]:
    """Return a query string's keys and values; a link with more than the page has is no link."""
    try:
        found = parse_qsl(query, max_num_fields=MOST_PAIRS) if isinstance(query, str) else query
    except ValueError:
        return {}
    return {key: value for key, value in dict(found).items() if isinstance(value, str)}


def _parse_query(text: str) -> dict[str, tuple[float, float]]:
    try:
        row, col = (float(part) for part in text.split(","))
    except ValueError:
        return {}
    return {"query": (row, col)} if 0 <= row <= 1 and 0 <= col <= 1 else {}
