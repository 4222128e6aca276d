"""A small PNG writer of its own (PNG 1.2): every depth and colour type, tRNS, both interlacings."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
DEPTHS = {GREY: (1, 2, 4, 8, 16), PALETTE: (1, 2, 4, 8)} | {
    colour: (8, 16) for colour in (RGB, GREY_ALPHA, RGBA)
}
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))


@dataclass(frozen=True)
class Kind:
    """How a PNG stores its samples; ``hidden`` writes a tRNS chunk."""

    colour: int = RGB
    bits: int = 8
    interlaced: bool = False
    hidden: bool = False
    filtered: int = 0  # 0 none, 1 sub, 2 up: as every row's filter


def random_samples(kind: Kind, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Noise (H, W, channels); the two pixels 0, 0 and 1, 1 are equal and differ from all others."""
    generator = np.random.default_rng(seed)
    shape = (height, width, CHANNELS[kind.colour])
    samples = generator.integers(0, 2**kind.bits, shape, dtype=np.int64)
    if kind.bits == 16 and kind.colour == GREY:  # neighbours that differ in the low byte only
        samples[0, 1] = samples[0, 0] ^ 1
    samples[1, 1] = samples[0, 0]
    return samples


def palette_of(kind: Kind, seed: int = 1) -> np.ndarray:
    """Colours (2 ** bits, 4) uint8 with their alphas."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (2**kind.bits, 4), dtype=np.uint8)


def to_rgb(samples: np.ndarray, kind: Kind, palette: np.ndarray | None = None) -> np.ndarray:
    """The picture (H, W, 3) over white, as real numbers in 0 to 255."""
    values = samples / (2**kind.bits - 1) * 255
    alpha = np.ones((*samples.shape[:2], 1))
    if kind.colour == PALETTE:
        values = palette[samples[..., 0], :3].astype(float)
        if kind.hidden:
            alpha = palette[samples[..., 0], 3:] / 255
    elif kind.hidden:
        alpha = (samples != samples[0, 0]).any(axis=2, keepdims=True).astype(float)
    elif kind.colour in (GREY_ALPHA, RGBA):
        values, alpha = values[..., :-1], values[..., -1:] / 255
    return np.broadcast_to(values * alpha + 255 * (1 - alpha), (*samples.shape[:2], 3))


def write(
    samples: np.ndarray, kind: Kind, palette: np.ndarray | None = None, orientation: int = 0
) -> bytes:
    """The bytes of a PNG."""
    height, width, _ = samples.shape
    header = struct.pack(">IIBBBBB", width, height, kind.bits, kind.colour, 0, 0, kind.interlaced)
    chunks = [(b"IHDR", header)]
    if palette is not None:
        chunks.append((b"PLTE", palette[:, :3].tobytes()))
    if orientation:
        exif = b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
        chunks.append((b"eXIf", exif + b"\0\0\0\0"))
    if kind.hidden:
        hidden = struct.pack(f">{samples.shape[2]}H", *samples[0, 0].tolist())
        chunks.append((b"tRNS", hidden if palette is None else palette[:, 3].tobytes()))
    passes = [samples]
    if kind.interlaced:
        passes = [samples[y::dy, x::dx] for y, x, dy, dx in ADAM7] + [samples[1::2]]
    data = b"".join(_rows(part, kind) for part in passes if part.size)
    chunks += [(b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in chunks)


def _chunk(name: bytes, body: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + body))
    return struct.pack(">I", len(body)) + name + body + check


def _rows(samples: np.ndarray, kind: Kind) -> bytes:
    before, rows = None, []
    step = max(1, kind.bits * samples.shape[2] // 8)
    for row in samples:
        values = row.ravel()
        if kind.bits >= 8:
            data = np.frombuffer(values.astype(f">u{kind.bits // 8}").tobytes(), np.uint8)
        else:
            places = np.arange(kind.bits - 1, -1, -1)
            data = np.packbits((values[:, None] >> places & 1).astype(np.uint8).ravel())
        coded = data.copy()
        if kind.filtered == 1:
            coded[step:] -= data[:-step]
        elif kind.filtered == 2 and before is not None:
            coded -= before
        rows.append(bytes([kind.filtered]) + coded.tobytes())
        before = data
    return b"".join(rows)
