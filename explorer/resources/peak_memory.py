"""How much memory a piece of work needs beyond what was held before, as far as can be seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from explorer.resources import process_memory
from explorer.resources.allocator import give_back_freed_memory

ON_CUDA = "torch.cuda.max_memory_allocated"
ON_LINUX = "the process's peak resident set (VmHWM)"
UNSEEN = "not measured on this system"


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
    give_back_freed_memory()
    started = device.type == "cpu" and process_memory.restart_peak()
    before = process_memory.resident_bytes()
    yield found
    after = process_memory.peak_bytes()
    if started and after is not None:
        found.extra, found.what = max(0, after - before), ON_LINUX
