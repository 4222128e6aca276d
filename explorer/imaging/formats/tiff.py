"""TIFF: planes, 16-bit colours and odd depths are read right, or refused by what they are.

Pillow decodes; this module hands it what it reads well. Planes go to it one by one as grey pictures
of their own, since its reader unpacks uncompressed ones as if they had eight bits and forgets what
a grey or palette plane means.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFile

from explorer.core import ImageError
from explorer.imaging.formats import tiff_tags as tags
from explorer.imaging.formats.samples import (
    both_bytes,
    raw_mode,
    rounded,
    rounded_words,
    set_raw_modes,
    sixteen_bit,
    to_image,
)
from explorer.imaging.formats.tiff_planes import plane_of

SIGNED, FLOAT = 2, 3
PREMULTIPLIED, STRAIGHT = 1, 2
DEEP_RAW_MODES = {  # of 16-bit colours, but for the byte order; a premultiplied alpha stays raw
    ("RGB", ()): "RGB;16",
    ("RGB", (0,)): "RGBX;16",
    ("RGBA", (1,)): "RGBA;16",
    ("RGBA", (2,)): "RGBA;16",
    ("CMYK", ()): "CMYK;16",
}
NATIVE_RAW_MODES = {  # libtiff has put the bytes into this machine's order already
    "F;32F": "F;32NF",
    "F;32BF": "F;32NF",
    "I;16S": "I;16NS",
    "I;16BS": "I;16NS",
    "I;32S": "I;32NS",
    "I;32BS": "I;32NS",
}
PLANES = (tags.WHITE_IS_ZERO, tags.BLACK_IS_ZERO, tags.RGB, tags.PALETTE, tags.CMYK)


def load(image: ImageFile.ImageFile, title: str) -> Image.Image:
    """A TIFF's current page, decoded and turned upright.

    Raises:
        ImageError: for a kind whose colours nobody defines, or that Pillow has read wrong already.
    """
    layout = tags.read_layout(image.tag_v2)
    try:
        return _load(image, layout, title)
    except OSError as error:
        if layout.compression not in tags.SELDOM_BUILT:
            raise
        raise ImageError(
            f"{title} is a TIFF that is damaged or packed in a way that cannot be read here "
            f"({layout}); save it as an 8-bit or 16-bit PNG"
        ) from error


def _load(image: ImageFile.ImageFile, layout: tags.Layout, title: str) -> Image.Image:
    _refuse_undefined(layout, title)
    if not image.tile:
        _refuse_misread(layout, title)
        return _scaled(image, layout, title)
    if layout.photometric == tags.YCBCR:
        if image.tile[0].codec_name != "libtiff":  # libtiff knows how colours are subsampled
            _decode_by_libtiff(image, "RGBX")
        image.load()
        return image
    if layout.planar == 2:
        return _from_planes(image, layout, title)
    deep = DEEP_RAW_MODES.get((image.mode, layout.extra))
    if deep and set(layout.bits) == {16}:
        order = raw_mode(image)[-1]
        return _assembled(rounded(*both_bytes(image, deep + order)), layout)
    _decode(image, layout, title)
    return _scaled(image, layout, title)


def stored_numbers(image: ImageFile.ImageFile, title: str, stretched: bool) -> np.ndarray:
    """The numbers (H, W) of a TIFF of one sample, as stored or, of few bits, ``stretched`` to 255.

    Raises:
        ImageError: if it has several samples, or grey of which zero is white: some programs turn
            such numbers round when they read them, others do not.
    """
    layout = tags.read_layout(image.tag_v2)
    if len(layout.bits) > 1:
        raise ImageError(f"{title} is a TIFF of {len(layout.bits)} channels ({layout}), not of one")
    if layout.photometric == tags.WHITE_IS_ZERO and layout.bits[0] > 1:
        raise ImageError(
            f"{title} is a TIFF in which zero is white, so that its numbers are ambiguous; save it "
            "with zero as black, or as PNG"
        )
    if layout.planar == 2:
        with plane_of(image, layout, 0, layout.photometric) as plane:
            return stored_numbers(plane, title, stretched)
    _decode(image, layout, title)
    values = np.array(image)
    if (
        image.mode == "L" and layout.bits[0] < 8 and not stretched
    ):  # Pillow stretches them to 0..255
        return values // (255 // (2 ** layout.bits[0] - 1))
    if image.mode == "I" and SIGNED not in layout.formats:
        return values.view(np.uint32)
    return values.view(np.int8) if image.mode == "L" and SIGNED in layout.formats else values


def _decode(image: ImageFile.ImageFile, layout: tags.Layout, title: str) -> None:
    """Let Pillow decode a picture of interleaved samples, with the right byte and bit order."""
    if image.tile[0].codec_name != "libtiff":
        _refuse_missing_blocks(image, title)
        if layout.fill_order == 2:  # Pillow lacks the unpackers of some of its own raw modes
            _decode_by_libtiff(image, raw_mode(image).removesuffix("R").removesuffix(";"))
    elif raw_mode(image) in NATIVE_RAW_MODES:
        set_raw_modes(image, NATIVE_RAW_MODES[raw_mode(image)])
    image.load()


def _refuse_undefined(layout: tags.Layout, title: str) -> None:
    if SIGNED in layout.formats:
        what = "signed integers, for which neither black nor white is defined"
    elif layout.photometric == tags.CMYK and layout.ink_set == 2:
        what = "inks other than cyan, magenta, yellow and black"
    elif layout.planar == 2 and (
        layout.photometric not in PLANES and layout.photometric != tags.YCBCR
    ):
        what = f"planes of a kind that cannot be read here ({layout})"
    elif len(set(layout.bits)) > 1 and layout.planar == 2:
        what = f"planes of different depths ({layout})"
    else:
        return
    raise ImageError(f"{title} is a TIFF with {what}; save it as an 8-bit or 16-bit PNG")


def _refuse_misread(layout: tags.Layout, title: str) -> None:
    """Pictures that Pillow has decoded for the caller, in a way that cannot be mended any more."""
    swapped = layout.big_endian and FLOAT in layout.formats and layout.compression != 1
    raw_ycbcr = layout.photometric == tags.YCBCR and layout.compression == 1
    plain = set(layout.bits) == {8} and layout.fill_order == 1 and layout.colours > 1
    if (layout.planar == 2 and not plain) or swapped or raw_ycbcr:
        raise ImageError(
            f"{title} is a TIFF that was decoded before ({layout}), which may have gone wrong; "
            "pass the file itself"
        )


def _refuse_missing_blocks(image: ImageFile.ImageFile, title: str) -> None:
    width, height = (tags.number(image.tag_v2, tag, 0) for tag in (tags.WIDTH, tags.HEIGHT))
    if tuple(image.tile[-1].extents[2:]) != (width, height):
        raise ImageError(
            f"{title} lacks a part of its picture and cannot be decoded; save or download it again"
        )


def _decode_by_libtiff(image: ImageFile.ImageFile, mode: str) -> None:
    """Let libtiff read an uncompressed picture, too, and unpack the result by a raw mode."""
    width, height = (tags.number(image.tag_v2, tag, 0) for tag in (tags.WIDTH, tags.HEIGHT))
    args = ("I;16N" if mode == "I;16" else mode, "raw", False, image.tag_v2.offset)
    tile = image.tile[0]._replace(codec_name="libtiff", extents=(0, 0, width, height), offset=0)
    image.tile = [tile._replace(args=args)]
    image.use_load_libtiff = True


def _scaled(image: Image.Image, layout: tags.Layout, title: str) -> Image.Image:
    """Grey beyond 8 bits over the range of its bits, zero as black."""
    inverted = layout.photometric == tags.WHITE_IS_ZERO
    if image.mode == "I":  # unsigned, but Pillow keeps 32 bits as signed numbers
        values = sixteen_bit(np.asarray(image).view(np.uint32), title)
        return Image.fromarray(rounded_words(values))
    if image.mode == "F":
        return Image.fromarray(1 - np.asarray(image)) if inverted else image
    if image.mode.startswith("I;16"):
        values = np.asarray(image)
        if layout.bits[0] < 16:
            top = 2 ** layout.bits[0] - 1
            values = ((values.astype(np.uint32) * 65535 + top // 2) // top).astype(np.uint16)
        eight = rounded_words(values)
        return Image.fromarray(255 - eight if inverted else eight)
    if image.mode in ("P", "PA"):
        _read_palette_of_bytes(image)
    if image.mode == "RGBA" and not layout.names_extra and image.getextrema()[3] == (0, 0):
        return image.convert("RGB")  # nobody said that the fourth sample is an alpha
    return image


def _read_palette_of_bytes(image: ImageFile.ImageFile) -> None:
    """Some programs write palettes of 8 bits where TIFF asks for 16: all colours would be black."""
    colours = tags.numbers(image.tag_v2, tags.COLOUR_MAP)
    if max(colours, default=256) < 256:
        image.putpalette(np.reshape(colours, (3, -1)).T.astype(np.uint8).tobytes())


def _assembled(values: np.ndarray, layout: tags.Layout) -> Image.Image:
    """Channels (H, W, n) uint8 as an image: colours, then alpha, then what is ignored."""
    count = layout.colours
    alpha = values[..., count] if _has_alpha(layout) else None
    return to_image(values[..., :count], alpha, layout.extra[:1] == (PREMULTIPLIED,))


def _has_alpha(layout: tags.Layout) -> bool:
    return layout.extra[:1] in ((PREMULTIPLIED,), (STRAIGHT,))


def _from_planes(image: ImageFile.ImageFile, layout: tags.Layout, title: str) -> Image.Image:
    if layout.colours > 1:
        planes = [
            _decoded_plane(image, layout, index, tags.BLACK_IS_ZERO, title)
            for index in range(layout.colours + _has_alpha(layout))
        ]
        return _assembled(np.dstack([plane.convert("L") for plane in planes]), layout)
    colour = _decoded_plane(image, layout, 0, layout.photometric, title)
    if not _has_alpha(layout):
        return colour
    alpha = _decoded_plane(image, layout, 1, tags.BLACK_IS_ZERO, title).convert("L")
    premultiplied = layout.extra[0] == PREMULTIPLIED
    return to_image(np.asarray(colour.convert("RGB")), np.asarray(alpha), premultiplied)


def _decoded_plane(
    image: ImageFile.ImageFile, layout: tags.Layout, index: int, photometric: int, title: str
) -> Image.Image:
    with plane_of(image, layout, index, photometric) as plane:
        return load(plane, title)
