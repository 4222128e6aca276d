"""Where files of weights lie on this machine, and the digests that identify them."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from explorer.core import ExplorerError

_DIGESTS: dict[tuple[str, int, int, int], str] = {}


def checkpoints_folder() -> Path:
    """The folder of shipped weights: ``checkpoints/``, or what EXPLORER_CHECKPOINTS names."""
    named = os.environ.get("EXPLORER_CHECKPOINTS")
    return Path(named).expanduser() if named else Path(__file__).parents[2] / "checkpoints"


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


def write_atomically(path: Path, content: bytes) -> None:
    """Write next to ``path`` and rename, so that no reader ever sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` as sorted, indented JSON, atomically."""
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
    except OSError as error:
        raise ExplorerError(f"{path} cannot be written: {error}") from None
