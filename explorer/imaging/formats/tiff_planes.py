"""A plane of a TIFF (PlanarConfiguration 2) as a small TIFF of its own, in memory."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

from PIL import Image, ImageFile

from explorer.imaging.formats import tiff_tags as tags

SHORT, LONG, UNDEFINED = 3, 4, 7
KEPT = (
    *(tags.WIDTH, tags.HEIGHT, tags.COMPRESSION, tags.FILL_ORDER, tags.ORIENTATION),
    *(tags.ROWS_PER_STRIP, tags.PREDICTOR, tags.TILE_WIDTH, tags.TILE_HEIGHT),
)
Entries = dict[int, tuple[int, tuple[int, ...] | bytes]]  # tag -> type and values


def plane_of(
    image: ImageFile.ImageFile, layout: tags.Layout, index: int, photometric: int
) -> ImageFile.ImageFile:
    """One plane of a picture, opened as a picture of one sample and not decoded yet.

    Raises:
        OSError: if blocks of the plane are missing, or longer than any compression makes them.
    """
    known = image.tag_v2
    entries = {tag: _typed(tags.numbers(known, tag)) for tag in KEPT if tag in known}
    entries |= {
        tags.BITS: _typed((layout.bits[index],)),
        tags.PHOTOMETRIC: _typed((photometric,)),
        tags.SAMPLES: _typed((1,)),
        tags.SAMPLE_FORMAT: _typed(layout.formats[:1]),
    }
    if photometric == tags.PALETTE:
        entries[tags.COLOUR_MAP] = _typed(tags.numbers(known, tags.COLOUR_MAP))
    if isinstance(known.get(tags.JPEG_TABLES), bytes):
        entries[tags.JPEG_TABLES] = (UNDEFINED, known[tags.JPEG_TABLES])
    blocks = _read_blocks(image.fp, known, layout, index)
    striped = tags.STRIPS in known
    stream = _write(entries, blocks, ">" if layout.big_endian else "<", striped)
    return Image.open(stream, formats=["TIFF"])


def _read_blocks(
    stream: BinaryIO, known: Mapping[int, Any], layout: tags.Layout, index: int
) -> list[bytes]:
    """The strips or tiles of one plane, as they are stored."""
    count, raw = _block_shape(known, layout.bits[index])
    striped = tags.STRIPS in known
    places = tags.numbers(known, tags.STRIPS if striped else tags.TILES)
    sizes = tags.numbers(known, tags.STRIP_SIZES if striped else tags.TILE_SIZES)
    places, sizes = (each[count * index : count * (index + 1)] for each in (places, sizes))
    if layout.compression == 1 and not sizes:
        sizes = (raw,) * len(places)
    if len(places) < count or len(sizes) < count:
        raise OSError("a plane is missing")
    if sum(sizes) > 2 * raw * count + 65_536:  # blocks may share bytes: a small file stays small
        raise OSError("the blocks are longer than any compression makes them")
    blocks = []
    for place, size in zip(places, sizes, strict=True):
        stream.seek(place)
        blocks.append(stream.read(size))
    return blocks


def _block_shape(known: Mapping[int, Any], bits: int) -> tuple[int, int]:
    """How many blocks a plane has, and how many bytes a whole one takes when unpacked."""
    width, height = tags.number(known, tags.WIDTH, 0), tags.number(known, tags.HEIGHT, 0)
    if tags.STRIPS in known:
        across, down = width, min(height, tags.number(known, tags.ROWS_PER_STRIP, height))
    else:
        across, down = (tags.number(known, tag, 0) for tag in (tags.TILE_WIDTH, tags.TILE_HEIGHT))
    if not 1 <= across * down <= max(4 * width * height, 2**24) or across < 1:
        raise OSError("blocks of an impossible size")
    return -(-width // across) * -(-height // down), -(-across * bits // 8) * down


def _write(entries: Entries, blocks: list[bytes], order: str, striped: bool) -> io.BytesIO:
    """A TIFF of these entries and blocks: header, blocks, long values, directory."""
    body = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 0))
    places = []
    for block in blocks:
        places.append(len(body))
        body += block + b"\0" * (len(block) % 2)
    names = (tags.STRIPS, tags.STRIP_SIZES) if striped else (tags.TILES, tags.TILE_SIZES)
    entries = entries | {
        names[0]: _typed(tuple(places)),
        names[1]: _typed(tuple(len(block) for block in blocks)),
    }
    directory = struct.pack(order + "H", len(entries))
    for tag, (kind, values) in sorted(entries.items()):
        letter = {SHORT: "H", LONG: "I", UNDEFINED: "B"}[kind]
        data = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(data) > 4:
            place = len(body)
            body += data + b"\0" * (len(data) % 2)
            data = struct.pack(order + "I", place)
        directory += struct.pack(order + "HHI", tag, kind, len(values)) + data.ljust(4, b"\0")
    struct.pack_into(order + "I", body, 4, len(body))
    return io.BytesIO(bytes(body + directory + bytes(4)))


def _typed(values: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    return (SHORT if max(values, default=0) < 65_536 else LONG), values
