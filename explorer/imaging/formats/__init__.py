"""Decoding of single file formats, where Pillow's readers go wrong without a word.

``load`` decodes every picture; TIFF, BMP, GIF and PNG have a module each. ``stored_numbers`` reads
maps, and ``why_unreadable`` says what kind of file it is that nothing here can read.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile

from explorer.core import ImageError
from explorer.imaging.formats import bmp, gif, png, tiff, tiff_tags

_LOADERS = {"TIFF": tiff.load, "BMP": bmp.load, "GIF": gif.load, "PNG": png.load}
_ORIENTATION_TAG = 0x0112
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1")
_SIGNATURES = {  # how the files start that are pictures of a known format, readable or not
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"PF": "colour PFM",
    b"P7": "PAM",
    b"BM": "BMP",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
}


def load(image: Image.Image, title: str) -> tuple[Image.Image, int]:
    """The current frame of a picture, decoded, and the EXIF orientation it still has to be given.

    Raises:
        ImageError: for a kind that is not supported, by its name.
        Exception: of any kind, from a decoder that meets damaged data.
    """
    loader = _LOADERS.get(getattr(image, "format", None) or "")
    if loader is None:
        image.load()
        return image, orientation(image)
    picture = loader(image, title)
    return picture, 1 if image.format == "TIFF" else orientation(image)


def stored_numbers(image: ImageFile.ImageFile, title: str, stretched: bool = False) -> np.ndarray:
    """The numbers (H, W) of a picture of one channel, as the file stores them.

    Class numbers, palette numbers and depths are numbers, not colours: grey of two bits gives 0 to
    3, or, ``stretched``, 0 to 255 in steps of 85.

    Raises:
        ImageError: if the picture has several channels.
        Exception: of any kind, from a decoder that meets damaged data.
    """
    if len(image.getbands()) > 1:
        raise ImageError(f"{title} is a colour picture ({image.mode}), not of one channel")
    if image.format == "TIFF":
        return tiff.stored_numbers(image, title, stretched)
    if image.format == "BMP":
        return bmp.stored_numbers(image)
    return png.stored_numbers(image, stretched) if image.format == "PNG" else np.array(image)


def why_unreadable(stream: BinaryIO, head: bytes, title: str, expected: str) -> str:
    """The sentence that refuses a file which is no picture, a damaged one, or of a kind unknown."""
    if b"<svg" in head.lower():
        return f"{title} is an SVG drawing, which has no pixels; export it as PNG first"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS:
        return f"{title} is a HEIC photo, which cannot be read here; export it as JPEG first"
    name = next((name for start, name in _SIGNATURES.items() if head.startswith(start)), None)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        name = "WebP"
    if name is None:
        return f"{title} is not a picture that can be read; {expected}"
    try:
        kind = {"TIFF": tiff_tags.describe, "BMP": bmp.describe}[name](stream)
    except Exception:  # a damaged header can fail in any way, and most formats have no describer
        kind = f"a {name} file that is damaged or of a kind that cannot be read here"
    return f"{title} is {kind}; save it again as an 8-bit PNG or JPEG"


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8, of a picture; 1 if it has none or a broken one."""
    # Asked after loading: a PNG's EXIF may come last.
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # a photo with broken EXIF is still a photo
        return 1
