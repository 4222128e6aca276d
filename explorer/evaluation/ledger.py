"""What has been measured so far, one line per image and method, safe against kills."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np


class Ledger:
    """JSON lines by key: ``get`` what an earlier run left, ``put`` what this one measured.

    Every process appends to a file of its own and reads those of all; a line cut by a kill is
    ignored.
    """

    def __init__(self, folder: Path, process: int = 0):
        folder.mkdir(parents=True, exist_ok=True)
        self.entries: dict[str, dict[str, Any]] = {}
        for path in sorted(folder.glob("measured*.jsonl")):
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                    self.entries[entry["key"]] = entry
                except (ValueError, KeyError, TypeError):
                    continue
        path = folder / f"measured{process}.jsonl"
        whole = not path.exists() or path.read_bytes()[-1:] in (b"", b"\n")
        self.file = path.open("a", encoding="utf-8")
        if not whole:
            self.file.write("\n")

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the entry for a key, or None."""
        return self.entries.get(key)

    def put(self, key: str, **values: Any) -> dict[str, Any]:
        """Keep and return an entry."""
        entry = {"key": key, **values}
        self.entries[key] = entry
        self.file.write(json.dumps(entry) + "\n")
        self.file.flush()
        return entry


def pack(array: np.ndarray) -> dict[str, Any]:
    """Return an array as JSON values, exactly."""
    data = base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes())).decode()
    return {"shape": list(array.shape), "dtype": str(array.dtype), "data": data}


def unpack(value: dict[str, Any]) -> np.ndarray:
    """Return the array that `pack` wrote."""
    raw = zlib.decompress(base64.b64decode(value["data"]))
    return np.frombuffer(raw, value["dtype"]).reshape(value["shape"])
