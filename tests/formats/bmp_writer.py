"""A small BMP writer of its own: every depth, header and run-length code."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

RAW, RLE8, RLE4, BITFIELDS = 0, 1, 2, 3


@dataclass(frozen=True)
class Kind:
    """How a BMP stores its pixels; ``masks`` are the bits of red, green, blue and alpha."""

    bits: int = 24
    header: int = 40
    compression: int = RAW
    masks: tuple[int, int, int, int] | None = None
    top_down: bool = False


def palette_bytes(palette: np.ndarray, kind: Kind) -> bytes:
    """Colours (N, 3) as blue, green, red and, but in the oldest header, a zero."""
    return b"".join(
        bytes([b, g, r]) + (b"" if kind.header == 12 else b"\0") for r, g, b in palette.tolist()
    )


def write(
    pixels: bytes,
    size: tuple[int, int],
    kind: Kind,
    palette: np.ndarray | None = None,
    count: int = 0,
) -> bytes:
    """The bytes of a BMP around coded ``pixels``; ``count`` is the header's number of colours."""
    height, width = size
    colours = b"" if palette is None else palette_bytes(palette, kind)
    stored = -height if kind.top_down else height
    if kind.header == 12:
        header = struct.pack("<IHHHH", 12, width, height, 1, kind.bits)
    else:
        fields = (width, stored, 1, kind.bits, kind.compression, len(pixels), 2835, 2835, count, 0)
        header = struct.pack("<IiiHHIIiiII", kind.header, *fields)
    if kind.masks is not None:
        header += struct.pack("<4I", *kind.masks)[: 12 if kind.header == 40 else 16]
    size_of_header = kind.header + (12 if kind.masks is not None and kind.header == 40 else 0)
    header = header.ljust(size_of_header, b"\0")
    place = 14 + len(header) + len(colours)
    start = b"BM" + struct.pack("<IHHI", place + len(pixels), 0, 0, place)
    return start + header + colours + pixels


def rows(values: np.ndarray, kind: Kind) -> bytes:
    """Numbers (H, W) of 1 to 32 bits as padded rows, the lowest row first."""
    shown = values if kind.top_down else values[::-1]
    lines = []
    for row in shown:
        if kind.bits < 8:
            places = np.arange(kind.bits - 1, -1, -1)
            line = np.packbits((row[:, None] >> places & 1).astype(np.uint8).ravel()).tobytes()
        else:
            wide = row.astype("<u4").view(np.uint8).reshape(-1, 4)
            line = wide[:, : kind.bits // 8].tobytes()
        lines.append(line + b"\0" * (-len(line) % 4))
    return b"".join(lines)


def run_lengths(values: np.ndarray, kind: Kind, seed: int = 0) -> bytes:
    """Palette numbers (H, W) in a random mix of all run-length codes; zeros are often skipped."""
    generator = np.random.default_rng(seed)
    data = bytearray()
    for y, row in enumerate(values[::-1]):
        x, width = 0, len(row)
        while x < width:
            if not row[x:].any() and generator.random() < 0.7:
                break  # the rest of the line stays zero
            x += _one_code(data, row[x:], kind, generator)
        data += b"\0\0" if y < len(values) - 1 else b"\0\1"
    return bytes(data)


def _one_code(data: bytearray, row: np.ndarray, kind: Kind, generator) -> int:
    """Append one code for the start of a row; return how many pixels it covers."""
    zeros = len(row) if not row.any() else int(row.argmax() if row[0] else (row != 0).argmax())
    if row[0] == 0 and 0 < zeros < 256 and generator.random() < 0.5:
        data += bytes([0, 2, zeros, 0])  # a jump to the right
        return zeros
    length = min(len(row), int(generator.integers(1, 12)))
    if length >= 3 and generator.random() < 0.5:
        return _absolute(data, row[:length], kind)
    if kind.compression == RLE8:
        while length > 1 and (row[:length] != row[0]).any():
            length -= 1
        data += bytes([length, row[0]])
        return length
    pair = [int(row[0]), int(row[1]) if len(row) > 1 else 0]
    while any(int(row[i]) != pair[i % 2] for i in range(length)):
        length -= 1
    data += bytes([length, pair[0] << 4 | pair[1]])
    return length


def _absolute(data: bytearray, run: np.ndarray, kind: Kind) -> int:
    body = run.astype(np.uint8).tobytes()
    if kind.compression == RLE4:
        full = [*run.tolist(), 0]
        body = bytes(full[i] << 4 | full[i + 1] for i in range(0, len(run), 2))
    data += bytes([0, len(run)]) + body + b"\0" * (len(body) % 2)
    return len(run)
