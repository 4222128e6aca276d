"""What an event's arguments ask for: sizes, backbones and upsamplers, to log and to plan by."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from explorer import estimates

NAMES = ("backbones", "upsamplers")
SIZES = ("input_size", "output_size")
WORDS = ("view", "probe", "show", "method")
MOST_NAMES, LONGEST_NAME = 8, 60


def asked(event: Callable[..., Any], inputs: Sequence[Any], args: tuple[Any, ...]) -> dict:
    """Return the sizes and names among an event's arguments, cut to what a log line can hold.

    The arguments are told apart by the event's parameter names (endpoints) or by the ``elem_id`` of
    the components that they come from (the page). Nothing else is looked at: no photo, no file
    name, no free text.
    """
    found: dict[str, Any] = {}
    for name, value in zip(_labels(event, inputs), args, strict=False):
        if name in NAMES and isinstance(value, list | tuple):
            found[name] = [str(one)[:LONGEST_NAME] for one in value[:MOST_NAMES]]
        elif name in SIZES and isinstance(value, int | float):
            found[name] = value
        elif name in WORDS and isinstance(value, str):
            found[name] = value[:LONGEST_NAME]
    return found


def seconds(found: dict[str, Any]) -> int:
    """Return for how many seconds the work asked for should get a shared GPU."""
    sizes = [found.get(name, 448) for name in SIZES]
    sizes = [size if 0 < size < 10_000 else 448 for size in sizes]
    return estimates.gpu_seconds(
        len(found.get("backbones", [""])), found.get("upsamplers", []), *sizes
    )


def _labels(event: Callable[..., Any], inputs: Sequence[Any]) -> list[str]:
    ids = [str(getattr(component, "elem_id", None) or "") for component in inputs]
    if any(ids):
        return ids
    return list(inspect.signature(event).parameters)
