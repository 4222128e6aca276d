"""A small TIFF writer of its own, and what its pictures look like: nothing here reads with Pillow.

It writes the kinds that photo programs rarely do: planes, tiles, both byte orders, BigTIFF, every
bit depth, both fill orders, predictors. Sources: TIFF 6.0 (1992), Adobe's technical notes 1 to 3.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np

UNSIGNED, SIGNED, FLOAT = 1, 2, 3
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
NONE, LZW, DEFLATE, PACKBITS = 1, 5, 8, 32773
TILE = 16
FIELD_CODES = {2: "s", 3: "H", 4: "I", 16: "Q"}


@dataclass(frozen=True)
class Kind:
    """How a TIFF stores its samples; ``extra``: 0 unknown, 1 premultiplied alpha, 2 alpha."""

    photometric: int = RGB
    bits: int = 8
    format: int = UNSIGNED
    extra: tuple[int, ...] = ()
    planar: int = 1
    compression: int = NONE
    predictor: int = 1
    tiled: bool = False
    big_endian: bool = False
    fill_order: int = 1
    big_tiff: bool = False
    rows_per_strip: int = 3
    orientation: int = 0  # 0: no tag

    @property
    def samples(self) -> int:
        """How many numbers a pixel has."""
        return {RGB: 3, YCBCR: 3, CMYK: 4}.get(self.photometric, 1) + len(self.extra)

    @property
    def order(self) -> str:
        """The byte order, as numpy and struct write it."""
        return ">" if self.big_endian else "<"


def random_samples(kind: Kind, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Noise (H, W, samples) over the whole range of a kind; float is in [0, 1]."""
    generator = np.random.default_rng(seed)
    shape = (height, width, kind.samples)
    if kind.format == FLOAT:
        return generator.random(shape).astype(f"f{kind.bits // 8}")
    low, high = (0, 2**kind.bits) if kind.format == UNSIGNED else (0, 2 ** (kind.bits - 1))
    samples = generator.integers(low, high, shape, dtype=np.int64)
    if kind.extra[:1] == (1,):  # a premultiplied colour never exceeds its alpha
        colours = kind.samples - len(kind.extra)
        alpha = samples[..., colours : colours + 1]
        samples[..., :colours] = samples[..., :colours] * alpha // (2**kind.bits - 1)
    return samples


def random_colours(kind: Kind, seed: int = 1) -> np.ndarray:
    """A palette (3, 2 ** bits) of 16-bit numbers that hold 8-bit ones."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (3, 2**kind.bits)) * 257


def to_rgb(samples: np.ndarray, kind: Kind, colours: np.ndarray | None = None) -> np.ndarray:
    """The picture (H, W, 3) as real numbers in 0 to 255 that a reader has to come up with."""
    top = 1.0 if kind.format == FLOAT else 2**kind.bits - 1
    values = samples.astype(np.float64) / top
    count = kind.samples - len(kind.extra)
    colour, extra = values[..., :count], values[..., count:]
    if kind.photometric == WHITE_IS_ZERO:
        colour = 1 - colour
    if kind.photometric == PALETTE:
        colour = np.moveaxis(colours[:, samples[..., 0]] / 65535, 0, -1)
    if kind.photometric == CMYK:
        colour = (1 - colour[..., :3]) * (1 - colour[..., 3:])
    if kind.photometric == YCBCR:
        y, blue, red = (colour[..., c] - (0.5 if c else 0) * 256 / 255 for c in range(3))
        green = y - (0.299 * 1.402 * red + 0.114 * 1.772 * blue) / 0.587
        colour = np.stack([y + 1.402 * red, green, y + 1.772 * blue], -1).clip(0, 1)
    colour = np.broadcast_to(colour, (*colour.shape[:2], 3))
    if kind.extra[:1] == (2,):
        colour = colour * extra[..., :1] + 1 - extra[..., :1]
    elif kind.extra[:1] == (1,):
        colour = colour + 1 - extra[..., :1]
    return upright(colour * 255, kind.orientation)


def upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """Stored rows and columns as they are to be seen, by the TIFF (and EXIF) orientation."""
    turn = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a),
    }.get(orientation, lambda a: a)
    return turn(stored)


def write(
    samples: np.ndarray, kind: Kind, colours: np.ndarray | None = None, pages: int = 1
) -> bytes:
    """The bytes of a TIFF; further pages are blank."""
    body = bytearray(16 if kind.big_tiff else 8)
    directories = []
    for page in range(pages):
        shown = samples if page == 0 else np.zeros_like(samples)
        blocks = _blocks(shown, kind)
        places = []
        for block in blocks:
            places.append(len(body))
            body += block + b"\0" * (len(block) % 2)
        directories.append(_tags(samples.shape, kind, places, [len(b) for b in blocks], colours))
    return _assemble(body, directories, kind)


def _tags(shape, kind: Kind, places, counts, colours) -> dict[int, tuple[int, list[int] | bytes]]:
    height, width, samples = shape
    tags = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [kind.bits] * samples),
        259: (3, [kind.compression]),
        262: (3, [kind.photometric]),
        277: (3, [samples]),
        284: (3, [kind.planar]),
    }
    if kind.fill_order != 1:
        tags[266] = (3, [kind.fill_order])
    if kind.predictor != 1:
        tags[317] = (3, [kind.predictor])
    if kind.extra:
        tags[338] = (3, list(kind.extra))
    if kind.format != UNSIGNED:
        tags[339] = (3, [kind.format] * samples)
    if kind.photometric == YCBCR:
        tags[530] = (3, [1, 1])
    if kind.orientation:
        tags[274] = (3, [kind.orientation])
    if colours is not None:
        tags[320] = (3, colours.ravel().tolist())
    if kind.tiled:
        tags |= {322: (3, [TILE]), 323: (3, [TILE]), 324: (4, places), 325: (4, counts)}
    else:
        tags |= {273: (4, places), 278: (4, [kind.rows_per_strip]), 279: (4, counts)}
    return tags


def _assemble(body: bytearray, directories, kind: Kind) -> bytes:
    order, big = kind.order, kind.big_tiff
    word = "Q" if big else "I"
    link = 8 if big else 4  # where the place of the next directory is written
    mark = b"MM" if kind.big_endian else b"II"
    body[:4] = mark + struct.pack(order + "H", 43 if big else 42)
    if big:
        body[4:8] = struct.pack(order + "HH", 8, 0)
    for tags in directories:
        entries = []
        for tag, (code, values) in sorted(tags.items()):
            data = struct.pack(f"{order}{len(values)}{FIELD_CODES[code]}", *values)
            room = struct.calcsize(word)
            if len(data) > room:
                place = len(body)
                body += data + b"\0" * (len(data) % 2)
                data = struct.pack(order + word, place)
            head = struct.pack(f"{order}HH{word}", tag, code, len(values))
            entries.append(head + data.ljust(room, b"\0"))
        struct.pack_into(order + word, body, link, len(body))
        body += struct.pack(order + ("Q" if big else "H"), len(entries)) + b"".join(entries)
        link = len(body)
        body += b"\0" * struct.calcsize(word)
    return bytes(body)


def _blocks(samples: np.ndarray, kind: Kind) -> list[bytes]:
    """The strips or tiles in the order of the file."""
    planes = [samples]
    if kind.planar == 2:
        planes = [samples[..., c : c + 1] for c in range(samples.shape[2])]
    found = []
    for plane in planes:
        height, width, _ = plane.shape
        if not kind.tiled:
            found += [
                _encode(plane[top : top + kind.rows_per_strip], kind)
                for top in range(0, height, kind.rows_per_strip)
            ]
            continue
        full = np.pad(plane, ((0, -height % TILE), (0, -width % TILE), (0, 0)), mode="edge")
        for top in range(0, height, TILE):
            for left in range(0, width, TILE):
                found.append(_encode(full[top : top + TILE, left : left + TILE], kind))
    return found


def _encode(block: np.ndarray, kind: Kind) -> bytes:
    rows = [_row(row, kind) for row in _predicted(block, kind)]
    if kind.predictor == 3:
        rows = [_float_predicted(row, kind) for row in block]
    pack = {
        NONE: b"".join,
        LZW: lambda rows: lzw(b"".join(rows)),
        DEFLATE: lambda rows: zlib.compress(b"".join(rows)),
        PACKBITS: lambda rows: b"".join(packbits(row) for row in rows),
    }[kind.compression]
    data = pack(rows)
    if kind.fill_order == 2:
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="big")
        data = np.packbits(bits, bitorder="little").tobytes()
    return data


def _predicted(block: np.ndarray, kind: Kind) -> np.ndarray:
    if kind.predictor != 2:
        return block
    whole = block.copy()
    whole[:, 1:] = (whole[:, 1:] - block[:, :-1]) % 2**kind.bits
    return whole


def _row(row: np.ndarray, kind: Kind) -> bytes:
    if kind.format == FLOAT:
        return row.astype(f"{kind.order}f{kind.bits // 8}").tobytes()
    values = row.ravel() % 2**kind.bits
    if kind.bits in (8, 16, 32, 64):
        return values.astype(f"{kind.order}u{kind.bits // 8}").tobytes()
    places = np.arange(kind.bits - 1, -1, -1)
    return np.packbits((values[:, None] >> places & 1).astype(np.uint8).ravel()).tobytes()


def _float_predicted(row: np.ndarray, kind: Kind) -> bytes:
    """Adobe's technical note 3: the bytes of one weight side by side, then their differences."""
    size = kind.bits // 8
    data = np.frombuffer(row.astype(f">f{size}").tobytes(), np.uint8).reshape(-1, size).T.ravel()
    stride = row.shape[-1]
    differences = data.copy()
    differences[stride:] = data[stride:] - data[:-stride]
    return differences.tobytes()


def lzw(data: bytes) -> bytes:
    """Valid LZW without a table: a clear code every 250 bytes keeps all codes at nine bits."""
    codes = []
    for start in range(0, len(data), 250):
        codes += [256, *data[start : start + 250]]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def packbits(row: bytes) -> bytes:
    """Runs of equal bytes where there are some, literals elsewhere."""
    packed = bytearray()
    place = 0
    while place < len(row):
        end = place
        while end < len(row) and row[end] == row[place] and end - place < 128:
            end += 1
        if end - place > 2:
            packed += bytes([257 - (end - place), row[place]])
        else:
            end = min(place + 100, len(row))
            packed += bytes([end - place - 1]) + row[place:end]
        place = end
    return bytes(packed)
