"""The settings of the page as plain values: from the page, to Options, to and from the address
bar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from explorer.core import ExplorerError
from explorer.image import Photo
from explorer.session import Options

MAX_BACKBONES = 3
COMPONENTS = ("1-3", "4-6", "7-9", "10-12")


@dataclass(frozen=True)
class Settings:
    """Everything but the photo; ``example`` names it if it is one of ours."""

    example: str | None = None
    backbones: tuple[str, ...] = ("efficientnet_lite0",)
    upsamplers: tuple[str, ...] = ("bilinear", "jbu", "featup", "jafar", "anyup")
    input_size: int = 448
    output_size: int = 448
    components: str = "1-3"
    percentile: float = 1.0
    checkpoints: Mapping[str, str] = field(default_factory=dict)

    def options(self, photo: Photo) -> Options:
        """Return the options of views for ``photo``.

        Raises:
            ExplorerError: a setting nobody can compute.
        """
        if not 1 <= len(self.backbones) <= MAX_BACKBONES:
            raise ExplorerError(f"choose one to {MAX_BACKBONES} backbones")
        return Options(
            photo,
            tuple(self.backbones),
            tuple(self.upsamplers),
            int(self.input_size),
            int(self.output_size),
            dict(self.checkpoints),
            view={"components": parse_components(self.components), "percentile": self.percentile},
        )

    def query_string(self) -> str:
        """Return the settings that differ from the defaults, as the page's query string."""
        default = asdict(Settings())
        changed = {}
        for key, value in asdict(self).items():
            if value == default[key] or value is None:
                continue
            if key == "checkpoints":
                value = ",".join(f"{k}={v}" for k, v in sorted(value.items()))
            elif isinstance(value, list | tuple):
                value = ",".join(value)
            changed[key] = value
        return urlencode(changed)

    @classmethod
    def parse(cls, query: str | Mapping[str, str]) -> Settings:
        """Read a query string; unknown keys and values that do not parse are left at their
        default.
        """
        pairs = dict(parse_qsl(query) if isinstance(query, str) else query)
        found: dict[str, Any] = {}
        for key in ("backbones", "upsamplers"):
            names = tuple(n for n in pairs.get(key, "").split(",") if n)[:12]
            if names:
                found[key] = names
        for key, kind in (("input_size", int), ("output_size", int), ("percentile", float)):
            try:
                found[key] = kind(pairs[key])
            except (KeyError, ValueError):
                continue
        if pairs.get("components") in COMPONENTS:
            found["components"] = pairs["components"]
        if pairs.get("example"):
            found["example"] = pairs["example"][:80]
        chosen = [part.partition("=") for part in pairs.get("checkpoints", "").split(",")]
        named = {k: v for k, _, v in chosen if k and v}
        if named:
            found["checkpoints"] = named
        return cls(**found)


def parse_components(text: str | Sequence[int]) -> list[int]:
    """Return three component indices from 0 for "4-6" or [4, 5, 6]."""
    if isinstance(text, str):
        low, _, high = text.partition("-")
        if not (low.isdigit() and high.isdigit()):
            raise ExplorerError(f"PCA components are written as 1-3 or 4-6, not {text[:20]!r}")
        return [c - 1 for c in range(int(low), int(high) + 1)]
    return [int(c) - 1 for c in text]
