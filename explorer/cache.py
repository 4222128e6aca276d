"""A store for what was computed: keyed by content, bounded in bytes, safe between threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np
import torch

T = TypeVar("T")


class Cache:
    """Least recently used entries leave first; each key is computed once, however many threads ask.

    An entry larger than the whole budget is returned but not kept.
    """

    def __init__(self, budget_bytes: int):
        self.budget = budget_bytes
        self.used = 0
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._making: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the entry for ``key``, making it if it is not there."""
        found = self._find(key)
        if found is not None:
            return found[0]
        with self._lock:
            gate = self._making.setdefault(key, threading.Lock())
        with gate:
            found = self._find(key)
            if found is not None:
                return found[0]
            try:
                value = make()
                self._keep(key, value)
            finally:
                with self._lock:
                    self._making.pop(key, None)
        return value

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self.used = 0

    def __contains__(self, key: Hashable) -> bool:
        """Whether ``key`` is kept now."""
        with self._lock:
            return key in self._entries

    def __len__(self) -> int:
        """How many entries are kept."""
        with self._lock:
            return len(self._entries)

    def _find(self, key: Hashable) -> tuple[Any, int] | None:
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
            return found

    def _keep(self, key: Hashable, value: Any) -> None:
        size = size_of(value)
        if size > self.budget:
            return
        with self._lock:
            self._entries[key] = (value, size)
            self.used += size
            while self.used > self.budget:
                _, (_, freed) = self._entries.popitem(last=False)
                self.used -= freed


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
