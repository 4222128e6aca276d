"""A store for what was computed: keyed by content, bounded in bytes, safe between threads."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from explorer.visit import current

T = TypeVar("T")


@dataclass
class Entry:
    """A result, its bytes, whose request made it, and when it was last asked for (monotonic)."""

    value: Any
    size: int
    owner: str
    used_at: float


class Cache:
    """Least recently used entries leave first; each key is computed once, however many threads ask.

    An entry larger than the whole budget is returned but not kept.

    Args:
        budget_bytes: what all entries together may hold.
        share: the part of the budget that the entries of one visitor may hold; beyond it the
            visitor's own oldest ones leave. Whoever asks for an entry may use it.
    """

    def __init__(self, budget_bytes: int, share: float = 1.0):
        self.budget, self.share = budget_bytes, share
        self.used = 0
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._making: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the entry for ``key``, making it if it is not there."""
        found = self._find(key)
        if found is not None:
            return found.value
        with self._lock:
            gate = self._making.setdefault(key, threading.Lock())
        with gate:
            found = self._find(key)
            if found is not None:
                return found.value
            try:
                value = make()
                self._keep(key, value)
            finally:
                with self._lock:
                    self._making.pop(key, None)
        return value

    def forget(self, key: Hashable) -> None:
        """Forget one entry, if it is kept."""
        with self._lock:
            if key in self._entries:
                self._drop(key)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
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
        size, owner = size_of(value), current().visitor
        if size > self.budget:
            return
        with self._lock:
            self._entries[key] = Entry(value, size, owner, time.monotonic())
            self.used += size
            while self.used > self.budget:
                self._drop(next(iter(self._entries)))
            if not owner or self.share >= 1:
                return
            own = [k for k, entry in self._entries.items() if entry.owner == owner]
            held = sum(self._entries[k].size for k in own)
            for old in own[:-1]:  # what was asked for just now stays
                if held <= self.share * self.budget:
                    break
                held -= self._entries[old].size
                self._drop(old)

    def _drop(self, key: Hashable) -> None:
        self.used -= self._entries.pop(key).size


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
