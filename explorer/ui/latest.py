"""What each visitor's page asks for at this moment, so that work on anything else stops."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Generator, Hashable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from gradio.context import LocalContext

from explorer.resources.request_context import Superseded, current, steps
from explorer.upsamplers.settings import freeze

T = TypeVar("T")
MOST_VISITORS = 1000  # remembered at once; a forgotten one's work is not stopped


def page_of_event() -> str:
    """Return what tells the opened page that an event came from from all others; "" if none."""
    request = LocalContext.request.get(None)
    return str(getattr(request, "session_hash", None) or "")[:64]


class LatestState:
    """The newest state of every visitor's page: what ``announce`` was told last."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, Hashable] = OrderedDict()
        self._lock = threading.Lock()

    def announce(self, visitor: str, state: Any) -> None:
        """Remember what a visitor's page asks for from now on."""
        with self._lock:
            self._states[visitor] = freeze(state)
            self._states.move_to_end(visitor)
            while len(self._states) > MOST_VISITORS:
                self._states.popitem(last=False)

    def is_latest(self, visitor: str, state: Any) -> bool:
        """Whether a visitor's page still asks for this."""
        frozen = freeze(state)
        with self._lock:
            return self._states.get(visitor, frozen) == frozen

    def work(self, visitor: str, state: Any, parts: Generator[T, None, None]) -> Iterator[T]:
        """Yield what ``parts`` yields for this state of a visitor's page, and announce the state.

        Ends without an error when another state is announced: ``check_time`` raises
        ``Superseded`` before the next slow step.
        """
        request = current()
        self.announce(visitor, state)

        def is_wanted() -> bool:
            return request.is_wanted() and self.is_latest(visitor, state)

        try:
            yield from steps(replace(request, is_wanted=is_wanted), parts)
        except Superseded:
            return
