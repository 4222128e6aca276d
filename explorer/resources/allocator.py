"""How this process asks the system for memory: once, and not again for every tensor."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # <malloc.h>
KEPT = 2**31 - 1  # bytes of free memory at the heap's end that are not given back
STEP = 64 * 2**20


def keep_freed_memory() -> bool:
    """Let glibc reuse freed memory for the next large tensor instead of unmapping it each time.

    On the CPU a full-size image encoder makes tensors of 100 MB in a row, and faulting their pages
    in anew costs as much time as the arithmetic. The process then holds on to its peak memory.
    Return whether it was done: only glibc can.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: KEPT, M_TOP_PAD: STEP}
    return all(mallopt(name, value) == 1 for name, value in settings.items())


def give_back_freed_memory() -> None:
    """Return what is free to the system now, so that a peak measured next is the next work's."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):  # not glibc
        return
