"""BMP: palettes, run lengths and alpha are read as Windows does.

Pillow loses a pixel of every odd run of RLE4 and every blank line of RLE8, reads a palette of black
and white as one bit per pixel whatever the depth, and takes an unused alpha for a transparent page.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile

from explorer.core import ImageError

RLE8, RLE4, BITFIELDS = 1, 2, 3
COMPRESSIONS = {
    0: "uncompressed",
    RLE8: "RLE8",
    RLE4: "RLE4",
    BITFIELDS: "bit fields",
    4: "JPEG inside",
    5: "PNG inside",
    6: "bit fields with alpha",
}


@dataclass(frozen=True)
class Header:
    """What the first bytes of a BMP say."""

    size: int  # bytes of the header after the first 14
    bits: int
    compression: int
    colours: int  # entries of the palette
    alpha_mask: int


def read_header(stream: BinaryIO) -> Header:
    """Read the header of a BMP from its start.

    Raises:
        struct.error: if it is cut short.
    """
    stream.seek(14)
    head = stream.read(124)
    (size,) = struct.unpack_from("<I", head)
    if size == 12:
        (bits,) = struct.unpack_from("<H", head, 10)
        return Header(size, bits, 0, 1 << min(bits, 8), 0)
    bits, compression = struct.unpack_from("<HI", head, 14)
    (colours,) = struct.unpack_from("<I", head, 32)
    alpha = struct.unpack_from("<I", head, 52)[0] if size >= 56 and len(head) >= 56 else 0
    return Header(size, bits, compression, colours or 1 << min(bits, 8), alpha)


def load(image: ImageFile.ImageFile, title: str) -> Image.Image:
    """A BMP, decoded.

    Raises:
        ImageError: if the caller has decoded run lengths with Pillow before.
    """
    if not image.tile:
        if image.info.get("compression") in (RLE8, RLE4):
            raise ImageError(f"{title} is a compressed BMP decoded before; pass the file itself")
        return _without_unused_alpha(image)
    header = read_header(image.fp)
    if header.bits <= 8:
        return _coloured(_indices(image, header), _palette(image.fp, header))
    alpha = None
    if header.bits == 16 and header.compression == BITFIELDS and header.alpha_mask:
        alpha = _alpha_of_words(image, header.alpha_mask)
    image.load()
    if alpha is not None and alpha.any():
        return Image.fromarray(np.dstack([np.asarray(image), alpha]))
    return _without_unused_alpha(image)


def stored_numbers(image: ImageFile.ImageFile) -> np.ndarray:
    """The palette numbers (H, W) uint8 of a BMP of at most 8 bits that is not decoded yet.

    Raises:
        OSError: if it is cut short.
    """
    return _indices(image, read_header(image.fp))


def describe(stream: BinaryIO) -> str:
    """What kind of BMP a file is, for the sentence that refuses it."""
    header = read_header(stream)
    how = COMPRESSIONS.get(header.compression, f"compression {header.compression}")
    return f"a BMP of {header.bits} bits per pixel, {how}"


def _coloured(numbers: np.ndarray, palette: np.ndarray) -> Image.Image:
    return Image.fromarray(palette[numbers])


def _palette(stream: BinaryIO, header: Header) -> np.ndarray:
    """The colours (256, 3) uint8; numbers beyond the palette are black."""
    entry = 3 if header.size == 12 else 4
    stream.seek(14 + header.size)
    data = stream.read(entry * min(header.colours, 256))
    stored = np.frombuffer(data[: len(data) // entry * entry], np.uint8).reshape(-1, entry)
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(stored)] = stored[:, 2::-1]
    return palette


def _indices(image: ImageFile.ImageFile, header: Header) -> np.ndarray:
    tile = image.tile[0]
    image.fp.seek(tile.offset)
    if header.compression in (RLE8, RLE4):
        numbers = _run_lengths(image.fp.read(), image.size, header.compression == RLE4)
    else:
        rows = _rows(image, header.bits)
        numbers = rows
        if header.bits < 8:
            bits = np.unpackbits(rows, axis=1).reshape(len(rows), -1, header.bits)
            numbers = np.packbits(bits, axis=2)[..., 0] >> (8 - header.bits)
        numbers = numbers[:, : image.width]
    return np.ascontiguousarray(numbers if tile.args[-1] == 1 else numbers[::-1])


def _rows(image: ImageFile.ImageFile, bits: int) -> np.ndarray:
    """The stored rows (H, bytes) uint8, each padded to four bytes, in the order of the file."""
    stride = (image.width * bits + 31) // 32 * 4
    image.fp.seek(image.tile[0].offset)
    data = image.fp.read(stride * image.height)
    if len(data) < stride * image.height:
        raise OSError("the file is cut short")
    return np.frombuffer(data, np.uint8).reshape(image.height, stride)


def _alpha_of_words(image: ImageFile.ImageFile, mask: int) -> np.ndarray:
    """The alpha (H, W) uint8 of pixels of 16 bits, which Pillow skips."""
    words = _rows(image, 16).view("<u2")[:, : image.width].astype(np.uint32)
    shift = (mask & -mask).bit_length() - 1
    alpha = ((words & mask) >> shift) * 255 // (mask >> shift)
    upward = image.tile[0].args[-1] != 1
    return (alpha[::-1] if upward else alpha).astype(np.uint8)


def _without_unused_alpha(image: Image.Image) -> Image.Image:
    """An alpha of zero everywhere was never set: the picture is opaque, as Windows shows it."""
    image.load()
    if image.mode == "RGBA" and image.getextrema()[3] == (0, 0):
        return image.convert("RGB")
    return image


def _run_lengths(data: bytes, size: tuple[int, int], nibbles: bool) -> np.ndarray:
    """Decode RLE8 or RLE4 to palette numbers (H, W), the lowest row first; skipped ones are 0."""
    width, height = size
    numbers = np.zeros((height, width), np.uint8)
    place = x = y = 0
    while y < height:
        if place + 2 > len(data):
            if y == height - 1 and x >= width:  # complete, but for the code that ends it
                break
            raise OSError("the file is cut short")
        count, value = data[place], data[place + 1]
        place += 2
        if count == 0 and value == 0:
            x, y = 0, y + 1
        elif count == 0 and value == 1:
            break
        elif count == 0 and value == 2:
            if place + 2 > len(data):
                raise OSError("the file is cut short")
            x, y = x + data[place], y + data[place + 1]
            place += 2
        else:
            if count:
                run = (value >> 4, value & 15) if nibbles else (value, value)
                run = np.resize(np.array(run, np.uint8), count)
            else:
                count, length = value, (value + 1) // 2 if nibbles else value
                run = np.frombuffer(data[place : place + length], np.uint8)
                if len(run) < length:
                    raise OSError("the file is cut short")
                run = np.stack([run >> 4, run & 15], 1).ravel()[:count] if nibbles else run
                place += length + length % 2
            room = max(0, width - x)  # a run ends with its row
            numbers[y, x : x + min(count, room)] = run[:room]
            x += count
    return numbers
