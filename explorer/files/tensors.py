"""Large tensors written piece by piece as safetensors or npy, and what a file says of itself."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

KINDS = ("safetensors", "npy")
FORMAT = "feature-upsampling-explorer/features"
MAX_HEADER = 16 * 2**20
_CODES = {"float16": "F16", "float32": "F32"}


class TensorFile:
    """A (C, H, W) array on disk, filled in any order; memory never holds more than one piece.

    Pieces are written with seek and write rather than through a memory map, whose pages would
    count as this process's memory.

    Args:
        path: where to write; the ending is not looked at.
        kind: "safetensors" or "npy".
        name: the tensor's name (npy has none).
        shape: (C, H, W).
        dtype: "float16" or "float32".
        recipe: JSON values; in the header of safetensors. npy has no place for it: `write_sidecar`.
        small: whole float32 arrays to store beside it by name (safetensors only).
    """

    def __init__(
        self,
        path: Path,
        kind: str,
        name: str,
        shape: tuple[int, int, int],
        dtype: str,
        recipe: Mapping[str, Any],
        small: Mapping[str, np.ndarray] | None = None,
    ):
        self.shape, self.dtype = shape, np.dtype(dtype).newbyteorder("<")
        small = small or {} if kind == "safetensors" else {}
        self.file: BinaryIO = path.open("wb")
        if kind == "safetensors":
            self.file.write(_header(name, shape, dtype, recipe, small))
            for array in small.values():
                self.file.write(np.ascontiguousarray(array, "<f4").tobytes())
        else:
            described = {"descr": self.dtype.str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(self.file, described)
        self.start = self.file.tell()
        self.file.truncate(self.start + math.prod(shape) * self.dtype.itemsize)

    def write(self, block: np.ndarray, channel: int = 0, row: int = 0) -> None:
        """Put ``block`` (c, n, W) where its first channel and row belong."""
        channels, rows, width = block.shape
        _, height, whole = self.shape
        if width != whole or channel + channels > self.shape[0] or row + rows > height:
            raise ValueError(f"a block {block.shape} at {channel, row} leaves {self.shape}")
        for offset, part in enumerate(block):
            place = ((channel + offset) * height + row) * width * self.dtype.itemsize
            self.file.seek(self.start + place)
            self.file.write(np.ascontiguousarray(part, self.dtype).data)

    def close(self) -> None:
        """Finish the file: on disk when this returns."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()

    def __enter__(self) -> TensorFile:
        """Return the file."""
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Close the file; one that was not finished is only closed."""
        self.close() if kind is None else self.file.close()


def _header(
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    recipe: Mapping[str, Any],
    small: Mapping[str, np.ndarray],
) -> bytes:
    text = json.dumps(recipe, sort_keys=True, allow_nan=False)
    entries: dict[str, Any] = {"__metadata__": {"format": FORMAT, "recipe": text}}
    sizes = {key: ("F32", array.shape, 4) for key, array in small.items()}
    sizes[name] = (_CODES[dtype], shape, np.dtype(dtype).itemsize)
    end = 0
    for key, (code, sides, width) in sizes.items():
        start, end = end, end + math.prod(sides) * width
        entries[key] = {"dtype": code, "shape": list(sides), "data_offsets": [start, end]}
    packed = json.dumps(entries, separators=(",", ":")).encode()
    packed += b" " * (-len(packed) % 8)  # tensors start at a multiple of 8
    return struct.pack("<Q", len(packed)) + packed


def sidecar(path: Path) -> Path:
    """Return where the recipe of a .npy file is written."""
    return path.with_name(path.name + ".json")


def sidecar_text(recipe: Mapping[str, Any]) -> str:
    """Return what stands beside a .npy file."""
    whole = {"format": FORMAT, "recipe": dict(recipe)}
    return json.dumps(whole, sort_keys=True, indent=2, allow_nan=False) + "\n"


def read_tensor_recipe(path: Path) -> dict[str, Any] | None:
    """Return the recipe of a whole file written here; None for any other, or one cut short."""
    try:
        found = _npy_recipe(path) if path.suffix == ".npy" else _safetensors_recipe(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error):
        return None
    return found if isinstance(found, dict) else None


def _safetensors_recipe(path: Path) -> Any:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > MAX_HEADER:
            return None
        header = json.loads(file.read(length))
    said = header.pop("__metadata__")
    end = max(entry["data_offsets"][1] for entry in header.values())
    if said["format"] != FORMAT or path.stat().st_size != 8 + length + end:
        return None
    return json.loads(said["recipe"])


def _npy_recipe(path: Path) -> Any:
    beside = sidecar(path)
    if beside.stat().st_size > MAX_HEADER:
        return None
    said = json.loads(beside.read_text("utf-8"))
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        whole = file.tell() + math.prod(shape) * dtype.itemsize == path.stat().st_size
    return said["recipe"] if whole and said["format"] == FORMAT else None
