"""Files that are there whole or not at all: written under a name of their own, then renamed.

Any number of threads and processes may write one target at once: every writer has a part file of
its own beside the target, and the last one that finishes wins. A writer that fails or is stopped
removes its part. One that is killed cannot; the next writer of the same target does. A part file is
locked as long as its writer lives, which tells the two apart.

A download that is to be resumed needs a name that the next try finds again. It is the exception:
see `explorer.weights.github_release`, where a lock keeps other downloads of the same file away.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from explorer.core import ExplorerError

try:
    import fcntl
except ImportError:  # Windows has none: parts have names of their own, abandoned ones stay
    fcntl = None

NAME_KEPT = 50  # characters of the target's name in the part's: names may have 255 bytes in all


class OutputError(ExplorerError, OSError):
    """An output that cannot be written: the next photo's could not either, so a run stops."""

    def __init__(self, target: Path, cause: OSError):
        self.reason = cause.strerror or str(cause)
        super().__init__(f"cannot write {target}: {self.reason}")
        self.errno = cause.errno


@contextmanager
def part_file(target: Path, durable: bool = True) -> Iterator[Path]:
    """Give an empty file to write that becomes ``target`` once the body is through.

    Missing folders are made. The file gets the permissions that the umask leaves. The body writes
    into the file it is given and puts no other in its place.

    Args:
        target: what to write; what is there stays as it is until the end.
        durable: whether the content is on the disk before it gets the target's name, so that
            it outlives a power cut. False where a lost file only costs time.

    Raises:
        OutputError: the system does not let the file be written.
    """
    with part_files(target, durable=durable) as (part,):
        yield part


@contextmanager
def part_files(*targets: Path, durable: bool = True) -> Iterator[tuple[Path, ...]]:
    """Give files to write that become ``targets`` together: see `part_file`.

    All lie in one folder, and the further ones describe the first: a reader finds it with its own
    descriptions or, for a moment or after a kill, with none, but never with those of another run.
    """
    parts: list[tuple[Path, int | None]] = []
    try:
        targets[0].parent.mkdir(parents=True, exist_ok=True)
        for target in targets:
            _remove_abandoned(target)
            parts.append(_new_part(target))
        yield tuple(part for part, _ in parts)
        if durable:
            for part, _ in parts:
                _to_disk(part)
        _rename([part for part, _ in parts], targets)
    except BaseException as error:
        for part, _ in parts:
            with suppress(OSError):
                part.unlink()
        if isinstance(error, OSError) and not isinstance(error, ExplorerError):
            raise OutputError(targets[0], error) from None
        raise
    finally:
        for _, lock in parts:
            if lock is not None:
                os.close(lock)


def write_atomically(path: Path, content: bytes, durable: bool = True) -> None:
    """Write ``content``, so that no reader ever sees half a file; raises OutputError."""
    with part_file(path, durable) as part:
        part.write_bytes(content)


def _prefix(target: Path) -> str:
    return f".{target.name[:NAME_KEPT]}."


def _new_part(target: Path) -> tuple[Path, int | None]:
    """Make a part file and lock it; return its path and the handle that holds the lock."""
    while True:
        part = target.with_name(f"{_prefix(target)}{secrets.token_hex(4)}.part")
        try:
            handle = os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        except FileExistsError:
            continue
        if fcntl is None:
            os.close(handle)  # a file that is open cannot be renamed there
            return part, None
        with suppress(OSError):  # a file system without locks: nobody removes parts there
            fcntl.flock(handle, fcntl.LOCK_EX)
        if part.exists():
            return part, handle
        os.close(handle)  # another writer took it for abandoned between the two calls


def _rename(parts: Sequence[Path], targets: Sequence[Path]) -> None:
    """Give the parts their names, those of one run at a time."""
    with ExitStack() as held:
        if len(targets) > 1 and fcntl is not None:
            folder = os.open(targets[0].parent, os.O_RDONLY)
            held.callback(os.close, folder)
            with suppress(OSError):
                fcntl.flock(folder, fcntl.LOCK_EX)
        for target in targets[1:]:
            target.unlink(missing_ok=True)
        for part, target in zip(parts, targets, strict=True):
            os.replace(part, target)


def _remove_abandoned(target: Path) -> None:
    """Remove the parts of this target that no living process writes."""
    if fcntl is None:
        return
    prefix = _prefix(target)
    for name in os.listdir(target.parent):
        if name.startswith(prefix) and name.endswith(".part"):
            with suppress(OSError):
                handle = os.open(target.with_name(name), os.O_RDWR | os.O_NONBLOCK)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    target.with_name(name).unlink()
                finally:
                    os.close(handle)


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
