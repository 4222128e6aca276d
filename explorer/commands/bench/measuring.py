"""Time and memory of one process, and targets that are met or missed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from explorer.resources import process_memory

if TYPE_CHECKING:
    import torch

GIB = 2**30


def target(text: str, met: bool) -> bool:
    """Print whether a target is met and return it."""
    print(f"  {text}: {'met' if met else 'MISSED'}")
    return met


@dataclass
class Cost:
    """Wall and CPU seconds, and the bytes beyond those held before (None if unknown here)."""

    wall: float = 0.0
    cpu: float = 0.0
    extra: int | None = None

    def row(self, name: str) -> str:
        """Return a line of a table."""
        extra = size_text(self.extra)
        return f"  {name:<12}{self.wall:8.2f} s wall{self.cpu:8.2f} s CPU{extra:>12} peak extra"


def size_text(count: int | None) -> str:
    """Return bytes as GiB, or that they are unknown."""
    return "unknown" if count is None else f"{count / GIB:.2f} GiB"


def circumstances(device: torch.device) -> dict[str, Any]:
    """Return machine, versions and date: what every file of measurements says about itself."""
    from explorer.evaluation.environment import machine, versions

    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"machine": machine(device), "versions": versions(), "date": now}


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure the body; its peak memory is the kernel's own high-water mark, reset before."""
    cost = Cost()
    # Where it cannot restart, the peak is the process's: too high, never too low.
    process_memory.restart_peak()
    before = process_memory.resident_bytes()
    wall, cpu = time.perf_counter(), time.process_time()
    yield cost
    cost.wall, cost.cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = process_memory.peak_bytes()
    cost.extra = None if peak is None else peak - before


def timed(body: Callable[[], object]) -> tuple[float, float]:
    """Return wall and CPU seconds of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    body()
    return time.perf_counter() - wall, time.process_time() - cpu


def median_ms(times: list[tuple[float, float]]) -> float:
    """Return the median wall time in milliseconds."""
    return 1000 * statistics.median(wall for wall, _ in times)


def spread(times: list[tuple[float, float]]) -> str:
    """Return medians and the best of some timings as text."""
    wall, cpu = ([1000 * one[i] for one in times] for i in (0, 1))
    return (
        f"median {statistics.median(wall):.0f} ms wall ({min(wall):.0f} to {max(wall):.0f}), "
        f"{statistics.median(cpu):.0f} ms CPU"
    )
