"""Where files of weights lie on this machine, and the digests that identify them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from explorer.core import ExplorerError
from explorer.files.atomic import OutputError, write_atomically
from explorer.files.bundled import CHECKPOINTS

__all__ = [
    "cache_folder",
    "checkpoints_folder",
    "converted_folder",
    "digest",
    "write_atomically",
    "write_json",
    "write_weights",
]

_DIGESTS: dict[tuple[str, int, int, int], str] = {}


def checkpoints_folder() -> Path:
    """The folder of shipped weights: ``checkpoints/``, or what EXPLORER_CHECKPOINTS names."""
    named = os.environ.get("EXPLORER_CHECKPOINTS")
    return Path(named).expanduser() if named else CHECKPOINTS


def cache_folder() -> Path:
    """The folder for downloads: EXPLORER_CACHE, else one in the user's cache."""
    named = os.environ.get("EXPLORER_CACHE")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "feature-upsampling-explorer"


def converted_folder() -> Path:
    """The folder that ``weights convert`` fills unless told otherwise."""
    return cache_folder() / "converted"


def digest(path: Path) -> str:
    """Return the file's sha256 in hex, remembered until its size, time or inode changes."""
    path = path.resolve()
    stat = path.stat()
    key = (str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if key not in _DIGESTS:
        total = hashlib.sha256()
        with path.open("rb") as handle:
            while block := handle.read(2**20):
                total.update(block)
        _DIGESTS[key] = total.hexdigest()
    return _DIGESTS[key]


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` as sorted, indented JSON, atomically; raises OutputError."""
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_atomically(path, (text + "\n").encode())


def write_weights(
    path: Path, tensors: dict[str, Tensor], header: dict[str, str] | None = None
) -> None:
    """Write safetensors atomically, with ``header`` as their metadata, and readable for all:
    ``save_file`` makes them the owner's.

    Raises:
        ExplorerError: the file cannot be written; one that was there is as it was.
    """
    try:
        write_atomically(path, save({name: x.contiguous() for name, x in tensors.items()}, header))
    except OutputError as error:
        raise ExplorerError(f"{path} cannot be written: {error.reason}") from None
