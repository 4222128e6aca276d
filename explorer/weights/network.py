"""Whether a server can be reached, found out in under a second, and what a failure is called."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

from explorer.core import WeightsError

REMEMBERED = 3.0  # seconds for which a silent server is not asked again
_DOWN: dict[str, float] = {}

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all (None: unknown)


def offline() -> bool:
    """Whether the user asked for no network: HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) is set."""
    values = (os.environ.get("HF_HUB_OFFLINE"), os.environ.get("TRANSFORMERS_OFFLINE"))
    return any((value or "").upper() in ("1", "ON", "YES", "TRUE") for value in values)


def connect_seconds() -> float:
    """How long a server may take to accept a connection: EXPLORER_CONNECT_SECONDS, else 0.7."""
    try:
        return float(os.environ.get("EXPLORER_CONNECT_SECONDS") or 0.7)
    except ValueError:
        raise WeightsError("EXPLORER_CONNECT_SECONDS must be a number of seconds") from None


def reachable(urls: Iterable[str], seconds: float | None = None) -> set[str]:
    """Return those of ``urls`` whose server (or proxy) accepts a connection, all tried at once."""
    now, answers = time.monotonic(), SimpleQueue[tuple[str, bool]]()
    tried = {url for url in urls if now - _DOWN.get(_server(url), float("-inf")) >= REMEMBERED}
    for url in tried:
        # Looking up a name can block far longer than any timeout: such a thread is left behind.
        threading.Thread(target=_try, args=(url, answers), daemon=True).start()
    until, answering = now + (connect_seconds() if seconds is None else seconds), set[str]()
    for _ in tried:
        try:
            url, answers_there = answers.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            break
        answering |= {url} if answers_there else set()
    _DOWN.update(dict.fromkeys(map(_server, tried - answering), time.monotonic()))
    return answering


def _server(url: str) -> str:
    return urlsplit(url).netloc


def _try(url: str, answers: SimpleQueue[tuple[str, bool]]) -> None:
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=connect_seconds()).close()
        answers.put((url, True))
    except (OSError, UnicodeError):
        answers.put((url, False))


def no_disk(error: BaseException, folder: object) -> WeightsError | None:
    """Return the sentence for a full or read-only disk, or None for any other failure."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        problem = f"the disk is full: make room in {folder}, or"
    elif number in (errno.EACCES, errno.EROFS, errno.EPERM):
        problem = f"nothing can be written to {folder}:"
    else:
        return None
    return WeightsError(f"{problem} name another folder with EXPLORER_CACHE or HF_HOME")
