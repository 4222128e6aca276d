"""Downloads outlast the request that asked for them: a visitor waits a while, the file comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from explorer.resources.request_context import seconds_left
from explorer.weights.network import Progress
from explorer.weights.rows import AbsentWeightsError

T = TypeVar("T")

LONGEST_WAIT = 20.0  # seconds: whoever waits here keeps all others waiting
MB = 1e6


class _Download:
    """One download in a thread of its own; ``done`` of ``total`` bytes are here."""

    def __init__(self) -> None:
        self.future: Future[Any] = Future()
        self.done, self.total = 0, None

    def progress(self, done: int, total: int | None) -> None:
        """Note how far the download is."""
        self.done, self.total = done, total


_RUNNING: dict[Hashable, _Download] = {}
_LOCK = threading.Lock()


def awaited(
    key: Hashable, what: str, fetch: Callable[[Progress | None], T], progress: Progress | None
) -> T:
    """Return ``fetch(progress)``, which downloads.

    For a request whose time is limited it runs in a thread; who asks for the same ``key``
    meanwhile waits for the same one. Without a limit it simply runs.

    Raises:
        AbsentWeightsError: it goes on, but the request waited for as long as it may.
    """
    left = seconds_left()
    if left is None:
        return fetch(progress)
    with _LOCK:
        running = _RUNNING.get(key)
        if running is None:
            running = _RUNNING[key] = _Download()
            threading.Thread(
                target=_run, args=(key, running, fetch), name="download", daemon=True
            ).start()
    wait([running.future], min(LONGEST_WAIT, left / 2))
    if running.future.done():
        return running.future.result()
    here = ""
    if running.total:
        here = f" ({running.done / MB:.0f} of {running.total / MB:.0f} MB)"
    raise AbsentWeightsError(
        f"{what} is still being downloaded{here}; that goes on meanwhile, so ask again in a minute"
    )


def _run(key: Hashable, running: _Download, fetch: Callable[[Progress | None], Any]) -> None:
    try:
        outcome, settle = fetch(running.progress), running.future.set_result
    except BaseException as error:
        outcome, settle = error, running.future.set_exception
    with _LOCK:  # first, so that whoever asks after a failure tries again
        del _RUNNING[key]
    settle(outcome)
