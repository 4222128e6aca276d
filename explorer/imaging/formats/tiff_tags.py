"""What the directory of a TIFF says, and the words for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from PIL.TiffImagePlugin import ImageFileDirectory_v2

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
FILL_ORDER, ORIENTATION, SAMPLES, ROWS_PER_STRIP = 266, 274, 277, 278
PLANAR, PREDICTOR, COLOUR_MAP, TILE_WIDTH, TILE_HEIGHT = 284, 317, 320, 322, 323
INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT, JPEG_TABLES = 332, 338, 339, 347
STRIPS, STRIP_SIZES, TILES, TILE_SIZES = 273, 279, 324, 325

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
COLOURS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3, 8: 3}
PHOTOMETRIC_NAMES = {
    WHITE_IS_ZERO: "grey (zero is white)",
    BLACK_IS_ZERO: "grey",
    RGB: "RGB",
    PALETTE: "palette",
    4: "mask",
    CMYK: "CMYK",
    YCBCR: "YCbCr",
    8: "Lab",
    9: "ICC Lab",
    32803: "raw camera",
    34892: "linear raw camera",
}
FORMAT_NAMES = {1: "", 2: "signed integer ", 3: "float ", 5: "complex ", 6: "complex float "}
COMPRESSION_NAMES = {
    1: "uncompressed",
    2: "CCITT",
    3: "CCITT G3",
    4: "CCITT G4",
    5: "LZW",
    6: "old JPEG",
    7: "JPEG",
    8: "deflate",
    32773: "PackBits",
    32809: "ThunderScan",
    32946: "deflate",
    34676: "SGI log",
    34677: "SGI log",
    34712: "JPEG 2000",
    34887: "LERC",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
}
SELDOM_BUILT = (6, 32809, 34676, 34677, 34925, 50000, 50001)  # not in every libtiff


@dataclass(frozen=True)
class Layout:
    """How a TIFF stores its samples."""

    photometric: int
    bits: tuple[int, ...]  # of each sample of a pixel
    formats: tuple[int, ...]  # 1 unsigned, 2 signed, 3 float
    extra: tuple[int, ...]  # 0 unknown, 1 premultiplied alpha, 2 alpha
    names_extra: bool  # whether the directory says so, or we assume it
    planar: int
    compression: int
    fill_order: int
    big_endian: bool
    ink_set: int

    @property
    def colours(self) -> int:
        """How many samples are colours and not alpha."""
        return max(1, len(self.bits) - len(self.extra))

    def __str__(self) -> str:
        """The layout in words, such as ``16-bit float RGB, LZW, in planes``."""
        depth = "/".join(str(each) for each in sorted(set(self.bits)))
        kind = FORMAT_NAMES.get(self.formats[0], f"format {self.formats[0]} ")
        colour = PHOTOMETRIC_NAMES.get(self.photometric, f"colour code {self.photometric}")
        if self.extra:
            colour += " with alpha" if self.extra[0] in (1, 2) else f" and {len(self.extra)} more"
        packing = COMPRESSION_NAMES.get(self.compression, f"compression {self.compression}")
        planes = ", in planes" if self.planar == 2 else ""
        return f"{depth}-bit {kind}{colour}, {packing}{planes}"


def read_layout(tags: Mapping[int, Any]) -> Layout:
    """The layout of a directory; what it leaves out is as TIFF 6.0 says.

    Raises:
        ValueError, TypeError: for a directory that makes no sense.
    """
    photometric = number(tags, PHOTOMETRIC, WHITE_IS_ZERO)
    bits = numbers(tags, BITS) or (1,)
    count = number(tags, SAMPLES, len(bits))
    if not 1 <= count <= 64:
        raise ValueError(f"{count} samples per pixel")
    bits = (bits if len(bits) >= count else bits[:1] * count)[:count]
    spare = max(0, count - COLOURS.get(photometric, count))
    named = numbers(tags, EXTRA_SAMPLES)[:spare]
    assumed = (2,) if photometric == RGB and spare == 1 else (0,) * spare
    return Layout(
        photometric=photometric,
        bits=bits,
        formats=numbers(tags, SAMPLE_FORMAT) or (1,),
        extra=named or assumed,
        names_extra=bool(named),
        planar=number(tags, PLANAR, 1),
        compression=number(tags, COMPRESSION, 1),
        fill_order=number(tags, FILL_ORDER, 1),
        big_endian=getattr(tags, "prefix", b"II") == b"MM",
        ink_set=number(tags, INK_SET, 1),
    )


def describe(stream: BinaryIO) -> str:
    """What kind of TIFF a file is, for the sentence that refuses it.

    Raises:
        Exception: of any kind, for a damaged directory.
    """
    stream.seek(0)
    head = stream.read(8)
    if head[:4] == b"MM\0+":
        return "a BigTIFF of big-endian byte order, which cannot be read here"
    if head[2:3] == b"+":
        head += stream.read(8)
    tags = ImageFileDirectory_v2(head)
    stream.seek(tags.next)
    tags.load(stream)
    if number(tags, WIDTH, 0) < 1 or number(tags, HEIGHT, 0) < 1:
        raise ValueError("no size")
    return f"a TIFF of a kind that cannot be read here ({read_layout(tags)})"


def numbers(tags: Mapping[int, Any], tag: int) -> tuple[int, ...]:
    """All whole numbers of a tag; none if it is absent.

    Raises:
        ValueError, TypeError: if they are not whole numbers.
    """
    value = tags.get(tag, ())
    values = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(each, int) for each in values):
        raise ValueError(f"tag {tag} holds {type(value).__name__}, not whole numbers")
    return values


def number(tags: Mapping[int, Any], tag: int, default: int) -> int:
    """The first whole number of a tag."""
    return (numbers(tags, tag) or (default,))[0]
