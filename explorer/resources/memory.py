"""How much memory there is, whether work fits into it, and what to do when it did not."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

import psutil
import torch

from explorer.core import ExplorerError
from explorer.resources.allocator import give_back_freed_memory

T = TypeVar("T")

GIB = 2**30
RESERVE = GIB // 2  # left to the system and to what estimates forget
SHRINK = 4
TRIES = 3
_SHARE: ContextVar[float] = ContextVar("share", default=1.0)


class TooLargeError(ExplorerError):
    """Work that does not fit into the memory there is."""


def tile_bytes(usual: int) -> int:
    """Return how many bytes a block of work may hold: ``usual``, or less after memory ran out."""
    return max(1, int(usual * _SHARE.get()))


def free_bytes(device: torch.device) -> int:
    """Return how many bytes can still be allocated on ``device``."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free, spare = psutil.virtual_memory().available, _container_spare()
    return free if spare is None else min(free, spare)


def require(needed: int, what: str, device: torch.device, release: Callable[[], None]) -> None:
    """Return if ``needed`` bytes fit on ``device``, after ``release`` if need be.

    Raises:
        TooLargeError: they do not; the sentence has both numbers.
    """
    free = free_bytes(device)
    if needed + RESERVE <= free:
        return
    release()
    give_back_freed_memory()
    free = free_bytes(device)
    if needed + RESERVE <= free:
        return
    raise TooLargeError(
        f"{what} needs about {needed / GIB:.1f} GiB and {max(0, free - RESERVE) / GIB:.1f} GiB "
        "are free here; choose a smaller output or input"
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on any device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    told = str(error)
    return isinstance(error, RuntimeError) and (
        "out of memory" in told or "can't allocate memory" in told
    )


def in_tiles(make: Callable[[], T], what: str, release: Callable[[], None]) -> T:
    """Return ``make()``; when memory runs out, make it again in ever smaller blocks of work.

    Raises:
        TooLargeError: it ran out in the smallest blocks too.
    """
    for attempt in range(TRIES):
        token = _SHARE.set(_SHARE.get() / SHRINK**attempt)
        try:
            return make()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        finally:
            _SHARE.reset(token)
        release()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    raise TooLargeError(
        f"the memory here does not suffice for {what}, not even in blocks {SHRINK ** (TRIES - 1)} "
        "times smaller than usual; choose a smaller output or input"
    )


def _container_spare() -> int | None:
    """Return what a container's limit leaves (cgroup 2), None without a limit."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = (folder / "memory.max").read_text().strip()
        used = int((folder / "memory.current").read_text())
        idle = _field(folder / "memory.stat", "inactive_file")
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(0, int(limit) - used + idle)


def _field(path: Path, name: str) -> int:
    lines = [line.split() for line in path.read_text().splitlines()]
    return next((int(parts[1]) for parts in lines if parts[0] == name), 0)
