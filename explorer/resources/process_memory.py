"""What this process holds in memory: now, and at most since a chosen moment (Linux alone)."""

from __future__ import annotations

from pathlib import Path

import psutil

_STATUS = Path("/proc/self/status")
_REFS = Path("/proc/self/clear_refs")


def resident_bytes() -> int:
    """Return the bytes of memory this process holds now."""
    return psutil.Process().memory_info().rss


def restart_peak() -> bool:
    """Let the process's peak resident memory count from now; return whether it does."""
    try:
        _REFS.write_text("5")
    except OSError:
        return False
    return True


def peak_bytes() -> int | None:
    """Return the peak resident memory (VmHWM) in bytes, None where the system does not tell."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return 1024 * int(found[0]) if found else None
