"""Keeps the server's memory near what its caches hold: freed memory goes back to the system."""

from __future__ import annotations

from explorer.resources.allocator import give_back_freed_memory
from explorer.resources.process_memory import resident_bytes
from explorer.session import Session

SPARE = 768 * 2**20  # bytes of freed memory that the process may keep for its next work


class MemoryLimit:
    """Gives freed memory back when the process holds more than its caches explain.

    The allocator keeps freed memory, because the next work of the same size is faster with it; work
    of ever new sizes would leave more of it behind each time. The base is what the process holds
    when this is made, beyond the caches.
    """

    def __init__(self, session: Session, spare: int = SPARE):
        self.session, self.spare = session, spare
        self.base = resident_bytes() - self._cached()

    def _cached(self) -> int:
        return self.session.results.used + self.session.models.used

    def apply(self) -> bool:
        """Give memory back if the process holds too much; return whether it did."""
        if resident_bytes() - self.base - self._cached() <= self.spare:
            return False
        give_back_freed_memory()
        return True
