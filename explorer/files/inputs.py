"""Files that a user names to be read: regular ones only, and none larger than it may be."""

from __future__ import annotations

import argparse
import errno
import stat
from pathlib import Path

from explorer.core import ExplorerError

MAX_TEXT = 64 * 2**20


def given_path(text: str) -> Path:
    """Return a command's argument as a path; of an empty text ``Path`` would make the working
    folder.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; name a file or folder")
    return Path(text)


def check_regular(
    path: Path, what: str = "a file", error: type[ExplorerError] = ExplorerError
) -> None:
    """Raise ``error`` unless ``path`` is a regular file, without opening it.

    A pipe would be waited for without end, and a device such as /dev/zero never ends.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as reason:  # ValueError: a null byte in the name
        told = getattr(reason, "strerror", None) or reason
        raise error(f"cannot read {path.name or path}: {told}") from None
    if not stat.S_ISREG(mode):
        kind = "folder" if stat.S_ISDIR(mode) else "pipe or device"
        raise error(f"cannot read {path.name or path}: it is a {kind}, and {what} is expected")


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """Return a file's text as ``Path.read_text`` does; raises OSError for a pipe or device, too."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is a folder, a pipe or a device", str(path))
    return path.read_text(encoding)


def read_lines(path: Path, what: str) -> list[str]:
    """Return the lines of a text file; raises ExplorerError if it is no text or no regular file."""
    try:
        return read_file(path, MAX_TEXT, what).decode().splitlines()
    except UnicodeDecodeError:
        raise ExplorerError(f"{path.name} is not UTF-8 text, and {what} is expected") from None


def read_file(
    path: Path, most: int, what: str = "a file", error: type[ExplorerError] = ExplorerError
) -> bytes:
    """Return the bytes of a regular file of at most ``most`` bytes.

    Args:
        path: where it is.
        most: bytes.
        what: what the file should be, for messages.
        error: what is raised for a file that cannot be read.

    Raises:
        ExplorerError: no regular file, too large, or not readable; of the kind ``error``.
    """
    check_regular(path, what, error)
    try:
        if path.stat().st_size > most:
            raise error(
                f"{path.name} has {path.stat().st_size / 2**20:.0f} MiB, too large to be {what}: "
                f"{most / 2**20:.0f} at most"
            )
        return path.read_bytes()
    except OSError as reason:
        raise error(f"cannot read {path.name}: {reason.strerror}") from None
