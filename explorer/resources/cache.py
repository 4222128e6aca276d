"""A store for what was computed: keyed by content, bounded in bytes, safe between threads."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from explorer.resources.request_context import current

T = TypeVar("T")


@dataclass
class Entry:
    """A result, its own bytes, whose request made it, and when it was last asked for (monotonic).

    ``shared``: what it holds together with other results, or None.
    """

    value: Any
    size: int
    owner: str
    used_at: float
    shared: Any = None


class Cache:
    """Least recently used entries leave first; each key is computed once, however many threads ask.

    An entry larger than the whole budget is returned but not kept. What several entries share
    (their attribute ``shared``) counts once, as long as one of them is kept.

    Args:
        budget_bytes: what all entries together may hold.
        share: the part of the budget that the entries of one visitor may hold; beyond it the
            visitor's own oldest ones leave. Whoever asks for an entry may use it.
    """

    def __init__(self, budget_bytes: int, share: float = 1.0):
        self.budget, self.share = budget_bytes, share
        self.used = 0
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()
        self._users: Counter[int] = Counter()  # entries that hold a shared object, by its id
        self._lock = threading.Lock()
        self._making: dict[Hashable, tuple[threading.Lock, int]] = {}  # and how many are at it

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the entry for ``key``, making it if it is not there."""
        found = self._find(key)
        if found is not None:
            return found.value
        with self._lock:
            gate, waiting = self._making.get(key) or (threading.Lock(), 0)
            self._making[key] = gate, waiting + 1
        try:
            with gate:
                found = self._find(key)
                if found is not None:
                    return found.value
                value = make()
                self._keep(key, value)
                return value
        finally:
            with self._lock:
                gate, waiting = self._making.pop(key)
                if waiting > 1:  # whoever comes now must meet those who wait already
                    self._making[key] = gate, waiting - 1

    def forget(self, key: Hashable) -> None:
        """Forget one entry, if it is kept."""
        with self._lock:
            if key in self._entries:
                self._drop(key)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._users.clear()
            self.used = 0

    def expire(self, seconds: float) -> int:
        """Forget what nobody asked for during the last ``seconds``; return how many entries."""
        oldest = time.monotonic() - seconds
        with self._lock:
            stale = [key for key, entry in self._entries.items() if entry.used_at < oldest]
            for key in stale:
                self._drop(key)
        return len(stale)

    def __contains__(self, key: Hashable) -> bool:
        """Whether ``key`` is kept now."""
        with self._lock:
            return key in self._entries

    def __len__(self) -> int:
        """How many entries are kept."""
        with self._lock:
            return len(self._entries)

    def _find(self, key: Hashable) -> Entry | None:
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                found.used_at = time.monotonic()
                self._entries.move_to_end(key)
            return found

    def _keep(self, key: Hashable, value: Any) -> None:
        shared, owner = getattr(value, "shared", None), current().visitor
        entry = Entry(value, size_of(value), owner, time.monotonic(), shared)
        if _bytes([entry]) > self.budget:
            return
        with self._lock:
            if key in self._entries:
                self._drop(key)
            self._entries[key] = entry
            self.used += entry.size
            if shared is not None:
                self._users[id(shared)] += 1
                self.used += size_of(shared) if self._users[id(shared)] == 1 else 0
            while self.used > self.budget:
                self._drop(next(iter(self._entries)))
            if not owner or self.share >= 1:
                return
            own = [k for k, entry in self._entries.items() if entry.owner == owner]
            while len(own) > 1:  # what was asked for just now stays
                if _bytes([self._entries[k] for k in own]) <= self.share * self.budget:
                    break
                self._drop(own.pop(0))

    def _drop(self, key: Hashable) -> None:
        entry = self._entries.pop(key)
        self.used -= entry.size
        if entry.shared is not None:
            self._users[id(entry.shared)] -= 1
            if not self._users[id(entry.shared)]:
                del self._users[id(entry.shared)]
                self.used -= size_of(entry.shared)


def _bytes(entries: list[Entry]) -> int:
    """Return what entries hold, each shared object counted once."""
    shared = {id(e.shared): size_of(e.shared) for e in entries if e.shared is not None}
    return sum(entry.size for entry in entries) + sum(shared.values())


def size_of(value: Any) -> int:
    """Return the bytes of the tensors and arrays in a result (1 KiB for anything else)."""
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, tuple | list):
        return sum(size_of(item) for item in value)
    if isinstance(value, dict):
        return sum(size_of(item) for item in value.values())
    if hasattr(value, "nbytes") and callable(value.nbytes):
        return value.nbytes()
    if isinstance(value, torch.nn.Module):
        return sum(size_of(p) for p in value.state_dict().values())
    data = getattr(value, "data", None)
    return size_of(data) if isinstance(data, torch.Tensor) else 1024
