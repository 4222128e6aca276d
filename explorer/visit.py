"""One request of one visitor: who asks, and until when an answer is worth computing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from explorer.core import ExplorerError


@dataclass(frozen=True)
class Visit:
    """``visitor`` names whose results these are ("" for the program itself); ``until`` is a
    ``time.monotonic`` moment or None; ``seconds`` is what the visitor was promised.
    """

    visitor: str = ""
    until: float | None = None
    seconds: float = 0.0


class TooSlowError(ExplorerError):
    """A request that was stopped because its time was up."""


_VISIT: ContextVar[Visit] = ContextVar("visit", default=Visit())  # noqa: B039  (frozen)


def current() -> Visit:
    """Return the request that is being answered here."""
    return _VISIT.get()


@contextmanager
def during(visit: Visit) -> Iterator[None]:
    """Answer for this request in the body."""
    token = _VISIT.set(visit)
    try:
        yield
    finally:
        _VISIT.reset(token)


def seconds_left() -> float | None:
    """Return how long the request may still take, at least 0; None without a limit."""
    until = _VISIT.get().until
    return None if until is None else max(0.0, until - time.monotonic())


def check_time() -> None:
    """Raise TooSlowError if the request's time is up; called before every slow step."""
    visit = _VISIT.get()
    if visit.until is not None and time.monotonic() > visit.until:
        raise TooSlowError(
            f"this took longer than the {visit.seconds:g} seconds a request gets here; choose "
            "fewer methods or backbones, or smaller sizes (what is ready is kept: asking again "
            "goes on from there)"
        )
