"""Whether a server can be reached, found out in under a second, and what a failure is called."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable
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
    wanted, found = set(urls), set[str]()
    threads, tried = [], set()
    for url in wanted:
        if time.monotonic() - _DOWN.get(_server(url), float("-inf")) < REMEMBERED:
            continue
        tried.add(url)
        thread = threading.Thread(target=_try, args=(url, found), daemon=True)
        thread.start()
        threads.append(thread)
    # Looking up a name can block far longer than any timeout, hence threads that are left behind.
    remaining = threading.Event()
    threading.Thread(
        target=lambda: ([t.join() for t in threads], remaining.set()), daemon=True
    ).start()
    if threads:
        remaining.wait(connect_seconds() if seconds is None else seconds)
    answering = set(found)
    for url in tried - answering:
        _DOWN[_server(url)] = time.monotonic()
    return answering


def _server(url: str) -> str:
    return urlsplit(url).netloc


def _try(url: str, found: set[str]) -> None:
    parts = urlsplit(url)
    host, scheme = parts.hostname or "", parts.scheme
    proxy = urllib.request.getproxies().get(scheme)
    if proxy and not urllib.request.proxy_bypass(host):
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=connect_seconds()).close()
        found.add(url)
    except (OSError, UnicodeError):
        pass


def no_disk(error: BaseException, folder: object) -> WeightsError | None:
    """Return the sentence for a full or read-only disk, or None for any other failure."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return WeightsError(
            f"the disk is full: make room in {folder}, or name another folder with EXPLORER_CACHE "
            "or HF_HOME"
        )
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return WeightsError(
            f"nothing can be written to {folder}: name another folder with EXPLORER_CACHE or "
            "HF_HOME"
        )
    return None
