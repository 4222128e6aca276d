"""What has been measured so far, one line per image and method, safe against kills."""

from __future__ import annotations

import base64
import errno
import json
import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from explorer.files.atomic import OutputError


class Ledger:
    """JSON lines by key: ``get`` what an earlier run left, ``put`` what this one measured.

    Every process appends to a file of its own and reads those of all; a line cut by a kill is
    ignored. Nothing is written before the first ``put``.
    """

    def __init__(self, folder: Path, process: int = 0):
        self.path = folder / f"measured{process}.jsonl"
        self.file: BinaryIO | None = None
        self.entries: dict[str, dict[str, Any]] = {}
        for path in sorted(folder.glob("measured*.jsonl")):
            for line in path.read_text("utf-8", "replace").splitlines():
                try:
                    entry = json.loads(line)
                    self.entries[entry["key"]] = entry
                except (ValueError, KeyError, TypeError):
                    continue

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the entry for a key, or None."""
        return self.entries.get(key)

    def put(self, key: str, **values: Any) -> dict[str, Any]:
        """Keep and return an entry; raises OutputError."""
        entry = {"key": key, **values}
        self.entries[key] = entry
        try:
            if self.file is None:
                self.file = self._opened()
            line = json.dumps(entry).encode() + b"\n"
            if self.file.write(line) != len(line):  # the next run ignores what is there of it
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise OutputError(self.path, error) from None
        return entry

    def _opened(self) -> BinaryIO:
        """Open the file, whose lines are each written in one call: another run may add to it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = not self.path.exists() or self.path.read_bytes()[-1:] in (b"", b"\n")
        file = self.path.open("ab", buffering=0)
        if not whole:
            file.write(b"\n")
        return file


def pack(array: np.ndarray) -> dict[str, Any]:
    """Return an array as JSON values, exactly."""
    data = base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes())).decode()
    return {"shape": list(array.shape), "dtype": str(array.dtype), "data": data}


def unpack(value: dict[str, Any]) -> np.ndarray:
    """Return the array that `pack` wrote."""
    raw = zlib.decompress(base64.b64decode(value["data"]))
    return np.frombuffer(raw, value["dtype"]).reshape(value["shape"])
