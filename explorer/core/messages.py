"""How messages quote values from outside: short, on one line, without control characters."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any

LONGEST_VALUE = 40
LONGEST_LIST = 240  # characters of a list of choices


def one_line(text: str) -> str:
    """Return text that a terminal shows on one line: no control, format or surrogate characters.

    White space of any kind becomes a space. What cannot be printed is left out, so that a file or a
    recipe from anybody can neither move the cursor nor break an encoding.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "" for c in text)


def quoted(value: Any, longest: int = LONGEST_VALUE) -> str:
    """Return a value as a message quotes it: JSON's words, at most about ``longest`` characters."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        # Python refuses to write out integers of thousands of digits
        if abs(value) < 10**longest:
            return f"{value}"
        return f"a number of {int(value.bit_length() * math.log10(2)) + 1} digits"
    if isinstance(value, str):
        return repr(_cut(one_line(value[: 4 * longest]), longest))
    if isinstance(value, float):
        return f"{value!r}"
    if isinstance(value, list | tuple) and len(value) <= 4 and all(map(_is_plain, value)):
        return _cut(f"[{', '.join(quoted(one, longest) for one in value)}]", 2 * longest)
    kinds = {list: "a list", tuple: "a list", dict: "an object", set: "a set"}
    return kinds.get(type(value), type(value).__name__)


def nearest(name: Any, choices: Iterable[str]) -> str | None:
    """Return the choice that ``name`` is most likely a misspelling of, None if none is near."""
    if not isinstance(name, str) or len(name) > 200:
        return None
    known = {choice.casefold(): choice for choice in choices}
    found = difflib.get_close_matches(name.strip().casefold(), known, n=1, cutoff=0.6)
    return known[found[0]] if found else None


def join_names(choices: Iterable[str], longest: int = LONGEST_LIST) -> str:
    """Return choices with commas; of a list too long for a message its start and how many more."""
    names, kept, length = list(choices), [], 0
    for name in names:
        length += len(name) + 2
        if length > longest and kept:
            return f"{', '.join(kept)} and {len(names) - len(kept)} more"
        kept.append(name)
    return ", ".join(kept)


def suggestion(name: Any, choices: Iterable[str], longest: int = LONGEST_LIST) -> str:
    """Return what follows "there is no ...": the nearest choice, if any, and what there is."""
    names = list(choices)
    near = nearest(name, names)
    meant = f"did you mean {near}? " if near else ""
    return f"{meant}choose one of: {join_names(names, longest)}"


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}\u2026"
