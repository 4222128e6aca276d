"""GIF: what a first frame leaves uncovered is clear, as browsers show it."""

from __future__ import annotations

from PIL import Image, ImageFile


def load(image: ImageFile.ImageFile, title: str) -> Image.Image:
    """A GIF's current frame, decoded; Pillow fills the rest of the page with the first colour."""
    whole = (0, 0, *image.size)
    covered = image.tile[0].extents if image.tile and not image.tell() else whole
    image.load()
    if tuple(covered) == whole:
        return image
    part = image.convert("RGBA").crop(covered)
    page = Image.new("RGB", image.size, "white")
    page.paste(part, covered[:2], part)
    return page
