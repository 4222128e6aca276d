"""An endpoint's arguments, for which anybody may send anything: checked by their annotations."""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Callable
from typing import Any

from explorer.core import ExplorerError

MOST_ITEMS, LONGEST_TEXT = 64, 4096
WORDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    types.NoneType: "nothing",
}


def check_arguments(endpoint: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Return if every argument is what its annotation says.

    Raises:
        ExplorerError: one is not; the sentence names it.
    """
    hints = typing.get_type_hints(endpoint)
    for name, value in zip(inspect.signature(endpoint).parameters, args, strict=False):
        wanted = hints.get(name, Any)
        if not _fits(value, wanted):
            raise ExplorerError(
                f"{name} must be {_described(wanted)}, not {_shown(value)}; see the API page"
            )


def _fits(value: Any, wanted: Any) -> bool:
    if wanted is Any:
        return True
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, one) for one in inner)
    kind = origin or wanted
    if isinstance(value, bool) and kind is not bool:
        return False
    if kind is float:
        return isinstance(value, int | float) and math.isfinite(value)
    if not isinstance(kind, type) or not isinstance(value, kind):
        return False
    if kind is str:
        return len(value) <= LONGEST_TEXT
    if kind is list and inner:
        return len(value) <= MOST_ITEMS and all(_fits(one, inner[0]) for one in value)
    return True


def _described(wanted: Any) -> str:
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_described(one) for one in inner)
    if origin is list and inner == (str,):
        return f"a list of at most {MOST_ITEMS} names"
    return WORDS.get(origin or wanted, str(wanted))


def _shown(value: Any) -> str:
    if isinstance(value, str | int | float | bool | None):
        return repr(value)[:60]
    return WORDS.get(type(value), type(value).__name__)
