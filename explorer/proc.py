"""What Linux tells about memory in /proc; elsewhere nothing is told."""

from __future__ import annotations

from pathlib import Path

SYSTEM = Path("/proc/meminfo")
_REFS = Path("/proc/self/clear_refs")


def status(process: int | str = "self") -> Path:
    """Return the file that tells what a process holds."""
    return Path(f"/proc/{process}/status")


def told_bytes(path: Path, name: str) -> int | None:
    """Return the bytes that a line "name: N kB" of a file tells, None without one."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return 1024 * int(found[0]) if found else None


def restart_peak() -> bool:
    """Let this process's high-water mark (VmHWM) start from now; return whether it did."""
    try:
        _REFS.write_text("5")
    except OSError:
        return False
    return True
