"""PNG: colours of 16 bits are rounded, and the hidden colour (tRNS) is found at every depth."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFile

from explorer.core import ImageError
from explorer.imaging.formats.samples import (
    both_bytes,
    raw_mode,
    reopened,
    rounded,
    rounded_words,
    set_raw_modes,
    to_image,
)

# Pillow stretches grey of 2 and 4 bits to 0..255 but leaves the hidden grey as it was stored.
GREY_STEPS = {"L;2": 85, "L;4": 17}


def load(image: ImageFile.ImageFile, title: str) -> Image.Image:
    """A PNG's current frame, decoded; its EXIF rotation is not applied.

    Raises:
        ImageError: if the caller has decoded colours of 16 bits to 8 and one of them is hidden.
    """
    raw = raw_mode(image) if image.tile and not image.tell() else ""
    if raw == "LA;16B":
        return _deep_grey_with_alpha(image)
    if raw in ("RGB;16B", "RGBA;16B"):
        return _deep_colours(image, raw)
    image.load()
    hidden = image.info.get("transparency")
    if image.mode == "I;16" and isinstance(hidden, int):
        values = np.asarray(image)
        return _without(rounded_words(values), values == hidden)
    if raw in GREY_STEPS and isinstance(hidden, int):
        values = np.asarray(image)
        return _without(values, values == hidden * GREY_STEPS[raw])
    if image.mode == "RGB" and isinstance(hidden, tuple) and max(hidden) > 255:
        raise ImageError(
            f"{title} hides a colour of 16 bits but was decoded to 8 bits before; pass the file "
            "itself"
        )
    return image


def stored_numbers(image: ImageFile.ImageFile, stretched: bool) -> np.ndarray:
    """Palette numbers or grey (H, W) of a PNG, as stored or ``stretched`` to 0..255."""
    step = 1 if stretched else GREY_STEPS.get(raw_mode(image), 1)
    return np.array(image) // step if step > 1 else np.array(image)


def _deep_colours(image: ImageFile.ImageFile, raw: str) -> Image.Image:
    high, low = both_bytes(image, raw)
    values = rounded(high, low)
    if values.shape[2] == 4:
        return to_image(values[..., :3], values[..., 3])
    hidden = image.info.get("transparency")
    if not isinstance(hidden, tuple):
        return to_image(values)
    same = [
        (high[..., c] == number >> 8) & (low[..., c] == number & 255)
        for c, number in enumerate(hidden)
    ]
    return _without(values, np.logical_and.reduce(same))


def _deep_grey_with_alpha(image: ImageFile.ImageFile) -> Image.Image:
    with reopened(image) as again:  # grey and alpha of 16 bits are as long as RGBA of 8
        set_raw_modes(again, "RGBA")
        again.load()
        stored = np.asarray(again)
    values = rounded(stored[..., 0::2], stored[..., 1::2])
    return to_image(values[..., 0], values[..., 1])


def _without(values: np.ndarray, hidden: np.ndarray) -> Image.Image:
    return to_image(values, np.where(hidden, 0, 255).astype(np.uint8))
