"""One request of one visitor: who asks, and for how long an answer is worth computing."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from explorer.core import ExplorerError

T = TypeVar("T")


def _always() -> bool:
    return True


@dataclass(frozen=True)
class RequestContext:
    """``visitor`` names whose results these are ("" for the program itself); ``until`` is a
    ``time.monotonic`` moment or None; ``seconds`` is what the visitor was promised. ``is_wanted``
    says whether the visitor still waits for this answer.
    """

    visitor: str = ""
    until: float | None = None
    seconds: float = 0.0
    is_wanted: Callable[[], bool] = _always


class TooSlowError(ExplorerError):
    """A request that was stopped because its time was up."""


class Superseded(BaseException):
    """A request that was stopped because its visitor asked for something else meanwhile.

    Like ``GeneratorExit`` it is no ``Exception``: it is no failure that a panel should show.
    """


_CONTEXT: ContextVar[RequestContext] = ContextVar("request_context", default=RequestContext())  # noqa: B039  (frozen)


def current() -> RequestContext:
    """Return the request that is being answered here."""
    return _CONTEXT.get()


@contextmanager
def use(context: RequestContext) -> Iterator[None]:
    """Answer for this request in the body."""
    token = _CONTEXT.set(context)
    try:
        yield
    finally:
        _CONTEXT.reset(token)


def seconds_left() -> float | None:
    """Return how long the request may still take, at least 0; None without a limit."""
    until = _CONTEXT.get().until
    return None if until is None else max(0.0, until - time.monotonic())


def steps(context: RequestContext, parts: Generator[T, None, None]) -> Iterator[T]:
    """Yield what ``parts`` yields, and answer for this request in every step of it."""
    try:
        while True:
            with use(context):
                try:
                    part = next(parts)
                except StopIteration:
                    return
            yield part
    finally:
        parts.close()


def check_between_layers(network: nn.Module) -> None:
    """Make a network look before each of its layers whether its request is still worth computing.

    ``check_time`` raises in the middle of ``forward``; networks keep nothing between calls.
    """
    for layer in network.modules():
        if not any(True for _ in layer.children()):
            layer.register_forward_pre_hook(lambda *_: check_time())


def check_time() -> None:
    """Raise if the request is no longer worth computing; called before every slow step.

    Raises:
        TooSlowError: its time is up.
        Superseded: its visitor wants something else by now.
    """
    context = _CONTEXT.get()
    if not context.is_wanted():
        raise Superseded
    if context.until is not None and time.monotonic() > context.until:
        raise TooSlowError(
            f"this took longer than the {context.seconds:g} seconds a request gets here; choose "
            "fewer methods or backbones, or smaller sizes (what is ready is kept: asking again "
            "goes on from there)"
        )
