"""An endpoint's arguments, for which anybody may send anything: checked by their annotations."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any

from annotated_types import MaxLen

from explorer.core import ExplorerError
from explorer.core.messages import quoted
from explorer.core.validation import Real, Text, Whole, check_json, described, fits

MOST_ITEMS = 64
BOUNDED = {int: Whole, float: Real, str: Text}


def check_arguments(endpoint: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Return if every argument is what its annotation says.

    Raises:
        ExplorerError: one is not; the sentence names it.
    """
    hints = typing.get_type_hints(endpoint)
    for name, value in zip(inspect.signature(endpoint).parameters, args, strict=False):
        kind = bounded(hints.get(name, Any))
        if not fits(kind, value):
            raise ExplorerError(
                f"{name} must be {described(kind)}, not {quoted(value)}; see the API page"
            )
        if isinstance(value, list | dict):
            check_json(value, name)


def bounded(hint: Any) -> Any:
    """Return an annotation with the limits that every value of its kind has here.

    Numbers are finite, texts have no control characters and lists of names are short.
    """
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return typing.Union[tuple(bounded(one) for one in inner)]  # noqa: UP007  (made here)
    if origin is list and inner != (dict,):  # what objects mean is read by their own reader
        return Annotated[list[bounded(inner[0])], MaxLen(MOST_ITEMS)]
    return BOUNDED.get(hint, hint)
