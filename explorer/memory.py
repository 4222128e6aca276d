"""How much memory a piece of work needs beyond what was held before, as far as can be seen."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

ON_CUDA = "torch.cuda.max_memory_allocated"
ON_LINUX = "the process's peak resident set (VmHWM)"
UNSEEN = "not measured on this system"
_STATUS, _REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class Peak:
    """Bytes beyond those held before (None if they cannot be seen here), and what was read."""

    extra: int | None = None
    what: str = UNSEEN


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Measure the peak of the work inside the ``with``; the yielded Peak is filled in at its end.

    CUDA: tensors on that device. Linux: the whole process, whatever else it does meanwhile counts
    too. Elsewhere nothing can be said.
    """
    found = Peak()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield found
        torch.cuda.synchronize(device)
        found.extra, found.what = torch.cuda.max_memory_allocated(device) - before, ON_CUDA
        return
    _give_back()
    started = device.type == "cpu" and _restart_mark()
    before = _kibibytes("VmRSS")
    yield found
    after = _kibibytes("VmHWM")
    if started and before is not None and after is not None:
        found.extra, found.what = max(0, 1024 * (after - before)), ON_LINUX


def _give_back() -> None:
    """Return freed memory to the system, or reusing it would not show."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):  # not glibc
        return


def _restart_mark() -> bool:
    """Let the high-water mark start from now; without that it is the whole process's."""
    try:
        _REFS.write_text("5")
    except OSError:
        return False
    return True


def _kibibytes(name: str) -> int | None:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(found[0]) if found else None
