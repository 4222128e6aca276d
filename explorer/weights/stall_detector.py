"""A download that trickles is given up: a read timeout waits forever for a byte now and then."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from typing import Any

SLOWEST = 1024.0  # bytes per second
PERIOD = 60.0  # seconds over which they are counted


class TrickleError(TimeoutError):
    """A server has sent fewer than ``SLOWEST`` bytes per second for a ``PERIOD``."""


class Pace:
    """Counts what arrives."""

    def __init__(self) -> None:
        self.since, self.arrived = time.monotonic(), 0

    def note(self, count: int) -> None:
        """Note that ``count`` bytes have arrived.

        Raises:
            TrickleError: too few have for too long.
        """
        self.arrived += count
        now = time.monotonic()
        passed = now - self.since
        if passed < PERIOD:
            return
        if self.arrived < SLOWEST * passed:
            raise TrickleError(f"{self.arrived} bytes in {passed:.0f} s")
        self.since, self.arrived = now, 0


def watch_client() -> None:
    """Make the Hub's client raise ``TrickleError`` from answers that trickle."""
    from huggingface_hub import get_session

    client = get_session()  # one for all, until somebody closes it
    hooks = client.event_hooks
    if any(getattr(hook, "__module__", "") == __name__ for hook in hooks["response"]):
        return
    library = importlib.import_module(type(client).__module__.partition(".")[0])  # httpx or httpx2

    class Watched(library.SyncByteStream):
        """A stream whose pace is watched."""

        def __init__(self, stream: Any):
            self.stream = stream

        def __iter__(self) -> Iterator[bytes]:
            pace = Pace()
            for block in self.stream:
                pace.note(len(block))
                yield block

        def close(self) -> None:
            self.stream.close()

    def watch(response: Any) -> None:
        response.stream = Watched(response.stream)

    client.event_hooks = hooks | {"response": [*hooks["response"], watch]}
