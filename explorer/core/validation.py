"""Values from outside (recipes, links, API, command line) are checked here, before any work.

A value is described by a type in pydantic's way, such as ``Share`` or ``Whole``, and read with
``checked``. Whatever does not fit raises ExplorerError in one sentence, never another error: no
integer is too large, no text has a lone surrogate, no JSON is nested too deeply.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import AfterValidator, AllowInfNan, BeforeValidator, TypeAdapter, ValidationError

from explorer.core import ExplorerError
from explorer.core.messages import join_names, nearest, one_line, quoted

MAX_DEPTH = 32  # of JSON: our own has seven levels
MAX_JSON = 8 * 2**20  # characters
MAX_DIGITS = 300  # of an integer in JSON: it still fits a float


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")
    return value


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("control characters")
    return text


@dataclass(frozen=True)
class Described:
    """What a message calls a type whose parts say too little; put into ``Annotated``."""

    text: str


Real = Annotated[float, BeforeValidator(_no_bool), AllowInfNan(False)]
Whole = Annotated[int, BeforeValidator(_no_bool)]
Share = Annotated[Real, Ge(0), Le(1)]
Text = Annotated[str, AfterValidator(_printable), MaxLen(4096)]
Name = Annotated[
    str,
    AfterValidator(_printable),
    MinLen(1),
    MaxLen(200),
    Described("a name of 1 to 200 printable characters"),
]

_PLAIN = {
    float: "a number",
    int: "a whole number",
    str: "a text",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    types.NoneType: "nothing",
}
_PLURAL = {
    "a number": "numbers",
    "a whole number": "whole numbers",
    "a text": "texts",
    "a name": "names",
    "an object": "objects",
}


def checked(kind: Any, value: Any, what: str, strict: bool = False) -> Any:
    """Return ``value`` as the type ``kind``; ``what`` names it in the message.

    Numbers may be written as text ("0.5") unless ``strict``.

    Raises:
        ExplorerError: it does not fit; the sentence says what was expected and suggests the nearest
            name where names are expected.
    """
    try:
        return _adapter(kind).validate_python(value, strict=strict or None)
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False):
            cause = one.get("ctx", {}).get("error")
            if isinstance(cause, ExplorerError):  # a type of ours that says more
                raise cause from None
        near = nearest(value, _names_of(kind))
        meant = f"; did you mean {near}?" if near else ""
        raise ExplorerError(
            f"{what} must be {described(kind)}, not {quoted(value)}{meant}"
        ) from None


def fits(kind: Any, value: Any) -> bool:
    """Whether ``value`` is of the type ``kind`` as it stands, without being converted."""
    try:
        _adapter(kind).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


@lru_cache(maxsize=256)
def _adapter(kind: Any) -> TypeAdapter:
    return TypeAdapter(kind)


def described(kind: Any) -> str:
    """Return what a message calls a type: "a number from 0 to 1", "one of mean, spread" ..."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _bounded(inner[0], inner[1:])
    if origin is Literal:
        return inner[0] if len(inner) == 1 else f"one of {join_names(map(str, inner))}"
    if origin in (types.UnionType, Union):
        return " or ".join(described(one) for one in inner)
    if origin is tuple and Ellipsis not in inner:
        return f"{len(inner)} {_many(inner[0])}"
    if origin in (list, tuple) and inner:
        return f"a list of {_many(inner[0])}"
    return _PLAIN.get(origin or kind, str(kind))


def _bounded(kind: Any, about: Iterable[Any]) -> str:
    about = list(about)
    told = [one.text for one in about if isinstance(one, Described)]
    if told:
        return told[0]
    limits = {type(one): one for one in about if isinstance(one, Ge | Gt | Le | Lt | MaxLen)}
    text = described(kind)
    if MaxLen in limits:
        most = limits[MaxLen].max_length
        if kind is str:
            return f"{text} of at most {most} characters, without control characters"
        return text.replace("a list of", f"a list of at most {most}", 1)
    low = f" from {limits[Ge].ge:g}" if Ge in limits else ""
    low = f" above {limits[Gt].gt:g}" if Gt in limits else low
    to = " to" if Ge in limits and Lt not in limits else " up to"
    high = f"{to} {limits[Le].le:g}" if Le in limits else ""
    high = f" below {limits[Lt].lt:g}" if Lt in limits else high
    return f"{text}{low}{' and' if low and high and to != ' to' else ''}{high}"


def _many(kind: Any) -> str:
    one = described(kind)
    for single, several in _PLURAL.items():
        if one.startswith(single):
            return several + one.removeprefix(single)
    return one


def _names_of(kind: Any) -> list[str]:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return [one for one in inner if isinstance(one, str)]
    if origin in (types.UnionType, Union):
        return [name for one in inner for name in _names_of(one)]
    return []


def distinct(names: Iterable[Any], what: str, most: int) -> tuple[str, ...]:
    """Return names as a tuple; raises ExplorerError for none, an empty one, a double, too many."""
    found = checked(Annotated[list[Name], MaxLen(most)], list(names), what)
    if not found:
        raise ExplorerError(f"{what} must name at least one")
    double = next((name for name in found if found.count(name) > 1), None)
    if double is not None:
        raise ExplorerError(f"{what} names {quoted(double)} twice; name each once")
    return tuple(found)


def check_json(value: Any, what: str) -> None:
    """Raise ExplorerError unless ``value`` is plain JSON: finite, of bounded depth and size."""
    left, level, depth = MAX_JSON, [value], 0
    while level:  # by levels: nothing here can run out of stack
        depth += 1
        if depth > MAX_DEPTH:
            raise ExplorerError(f"{what} is nested more than {MAX_DEPTH} levels deep")
        below: list[Any] = []
        for one in level:
            left -= 1 + (len(one) if isinstance(one, str) else 0)
            if isinstance(one, Mapping):
                below += [*one.keys(), *one.values()]
            elif isinstance(one, list | tuple):
                below += one
            elif not _is_scalar(one):
                raise ExplorerError(
                    f"{what} holds {quoted(one)}; it must be plain JSON with numbers below 1e300"
                )
        if left < len(below):
            raise ExplorerError(f"{what} is larger than {MAX_JSON // 2**20} MiB")
        level = below


def _is_scalar(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return abs(value) < 10**MAX_DIGITS
    return value is None or isinstance(value, str)


class NotJsonError(ExplorerError):
    """A text that is no JSON at all."""


def read_json(text: str, what: str) -> Any:
    """Return what a JSON text holds, checked as ``check_json`` does.

    Raises:
        NotJsonError: not JSON.
        ExplorerError: JSON that is too large, nested too deeply, or with numbers that no field has.
    """
    if len(text) > MAX_JSON:
        raise ExplorerError(f"{what} is larger than {MAX_JSON // 2**20} MiB")
    try:
        value = json.loads(text, parse_constant=float)
    except RecursionError:
        raise ExplorerError(f"{what} is nested more than {MAX_DEPTH} levels deep") from None
    except ValueError as error:
        raise NotJsonError(f"{what} is not JSON: {one_line(str(error))[:80]}") from None
    check_json(value, what)
    return value
