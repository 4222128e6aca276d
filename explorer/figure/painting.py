"""A laid-out figure painted as PNG, PDF or SVG, the same bytes every time."""

from __future__ import annotations

import hashlib
import io
import math
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, Bbox, Transform
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from explorer.core import ExplorerError, Panel
from explorer.figure.layout import compose
from explorer.figure.recipe import PNG_KEY, TITLE, envelope
from explorer.figure.sheet import Box, Gradient, Picture, Sheet, Stroke, Words, rectangle
from explorer.figure.style import FigureStyle
from explorer.figure.text import typeset

FORMATS = ("png", "pdf", "svg")
MAX_PIXELS = 120_000_000  # of a PNG

PALETTES = {
    "light": {"paper": "#ffffff", "ink": "#111111", "muted": "#4d4d4d", "field": "#ececec"},
    "dark": {"paper": "#14171a", "ink": "#f2f2f2", "muted": "#b8bcc0", "field": "#2a2f34"},
    "transparent": {"paper": "none", "ink": "#111111", "muted": "#4d4d4d", "field": "#ececec"},
}

_SETTINGS = {
    "pdf.fonttype": 42,
    "pdf.compression": 9,
    "svg.fonttype": "path",
    "svg.image_inline": True,
    "text.usetex": False,
    "text.hinting": "none",
    "path.simplify": False,
    "path.snap": False,
}
# matplotlib's settings are global to the process
_LOCK = threading.Lock()


def resample(image: np.ndarray, source: tuple[float, ...], width: int, height: int) -> np.ndarray:
    """Return the part ``source`` of an image at an exact size, (height, width, 3) uint8.

    Pixels are areas: enlarged they stay sharp squares, reduced they are averaged.
    """
    rows, cols = image.shape[:2]
    row0, row1, col0, col1 = (s * n for s, n in zip(source, (rows, rows, cols, cols), strict=True))
    top, left = int(row0), int(col0)
    part = image[top : math.ceil(row1 - 1e-9), left : math.ceil(col1 - 1e-9)]
    down = max(1, math.ceil(2 * height / (row1 - row0))) if height > row1 - row0 else 1
    across = max(1, math.ceil(2 * width / (col1 - col0))) if width > col1 - col0 else 1
    part = part.repeat(down, axis=0).repeat(across, axis=1)
    box = (
        (col0 - left) * across,
        (row0 - top) * down,
        min((col1 - left) * across, part.shape[1]),
        min((row1 - top) * down, part.shape[0]),
    )
    return np.asarray(Image.fromarray(part).resize((width, height), Image.Resampling.BOX, box=box))


class _Pixels(Artist):
    """An image in a box of the sheet: resampled for PNG, native pixels for PDF and SVG."""

    def __init__(self, image: np.ndarray, box: Box, clip: Box | None, sheet: Sheet, fmt: str):
        super().__init__()
        self.pixels, self.box, self.clip, self.sheet, self.fmt = image, box, clip, sheet, fmt

    def draw(self, renderer: Any) -> None:
        """Paint the pixels; called by matplotlib."""
        box, height = self.box, self.sheet.height
        gc = renderer.new_gc()
        if self.fmt == "png":
            alpha = np.full((*self.pixels.shape[:2], 1), 255, np.uint8)
            image = np.concatenate([self.pixels, alpha], axis=2)[::-1]
            renderer.draw_image(gc, round(box.x), round(height - box.bottom), image)
        else:
            unit = self.get_figure().dpi / self.sheet.dpi
            clip = self.clip
            if clip is not None:
                corners = [[clip.x, height - clip.bottom], [clip.right, height - clip.y]]
                gc.set_clip_rectangle(Bbox(np.array(corners) * unit))
            if self.fmt == "pdf":  # rows are stored bottom up and turned by the writer
                image, place = self.pixels[::-1], Affine2D().scale(box.w * unit, box.h * unit)
            else:
                image = self.pixels
                place = Affine2D().scale(box.w, -box.h).translate(0, box.h).scale(unit)
                gc.set_gid(self.get_gid())
            gc.set_alpha(1.0)
            renderer.draw_image(gc, box.x * unit, (height - box.bottom) * unit, image, place)
        gc.restore()


def _picture(item: Picture, sheet: Sheet, fmt: str, number: int) -> _Pixels:
    """Place the pixels that a picture shows; a crop keeps whole native pixels and is clipped."""
    rows, cols = item.image.shape[:2]
    row0, row1, col0, col1 = item.source
    enlarged = item.box.w >= 2 * (col1 - col0) * cols  # its pixels are seen as squares
    if fmt == "png":
        pixels, box = (
            resample(item.image, item.source, round(item.box.w), round(item.box.h)),
            item.box,
        )
    else:
        top, bottom = int(row0 * rows), math.ceil(row1 * rows - 1e-9)
        left, right = int(col0 * cols), math.ceil(col1 * cols - 1e-9)
        whole = (bottom - top, right - left) == (rows, cols)
        pixels = item.image if whole else np.ascontiguousarray(item.image[top:bottom, left:right])
        down, across = item.box.h / (row1 - row0), item.box.w / (col1 - col0)
        box = Box(
            item.box.x + (left / cols - col0) * across,
            item.box.y + (top / rows - row0) * down,
            (right - left) / cols * across,
            (bottom - top) / rows * down,
        )
    artist = _Pixels(pixels, box, item.clip, sheet, fmt)
    artist.set_gid(f"{'cells' if enlarged else 'smooth'}-{number}")
    return artist


def _gradient(item: Gradient, sheet: Sheet, fmt: str, number: int) -> _Pixels:
    colors = np.array(item.colors, np.uint8).reshape(-1, 3)
    pixels = colors[::-1, None] if item.upright else colors[None]
    if fmt == "png":
        whole = (0.0, 1.0, 0.0, 1.0)
        pixels = resample(pixels, whole, round(item.box.w), round(item.box.h))
    artist = _Pixels(np.ascontiguousarray(pixels), item.box, None, sheet, fmt)
    artist.set_gid(f"bar-{number}")
    return artist


def _paint(sheet: Sheet, style: FigureStyle, fmt: str) -> Figure:
    """Turn a sheet's items into a matplotlib figure of exactly its size."""
    colors = PALETTES[style.theme]
    figure = Figure(figsize=(sheet.width / sheet.dpi, sheet.height / sheet.dpi), dpi=sheet.dpi)
    figure.patch.set_visible(False)
    to_page = (
        Affine2D().scale(1, -1).translate(0, sheet.height).scale(1 / sheet.dpi)
        + figure.dpi_scale_trans
    )
    paper = Stroke(rectangle(Box(0, 0, sheet.width, sheet.height)), None, fill="paper")
    for number, item in enumerate([paper, *sheet.items]):
        if isinstance(item, Picture):
            artist = _picture(item, sheet, fmt, number)
        elif isinstance(item, Gradient):
            artist = _gradient(item, sheet, fmt, number)
        elif isinstance(item, Words):
            artist = _words(item, colors, to_page)
        else:
            artist = PathPatch(
                item.path,
                transform=to_page,
                facecolor=colors.get(item.fill, item.fill) or "none",
                edgecolor=colors.get(item.color, item.color) or "none",
                linewidth=item.width_pt,
                joinstyle="miter",
                capstyle="butt",
            )
            if item.clip is not None:
                artist.set_clip_path(rectangle(item.clip), to_page)
        artist.set_zorder(number)
        if artist.get_clip_path() is None:
            artist.set_clip_on(False)
        figure.add_artist(artist)
    return figure


def _words(item: Words, colors: Mapping[str, str], to_page: Transform) -> Text:
    text, font = typeset(item.text, item.font, item.size_pt)
    return Text(
        item.x,
        item.y,
        text,
        transform=to_page,
        fontproperties=font,
        color=colors["muted" if item.muted else "ink"],
        rotation=90 if item.upright else 0,
        rotation_mode="anchor",
        horizontalalignment=item.align,
        verticalalignment="baseline",
        parse_math=False,
        usetex=False,
    )


def _png(figure: Figure, style: FigureStyle, text: str) -> bytes:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba()))
    info, out = PngInfo(), io.BytesIO()
    info.add_text("Title", TITLE)
    info.add_text(PNG_KEY, text)
    if style.theme != "transparent":
        image = image.convert("RGB")
    image.save(out, "PNG", pnginfo=info, dpi=(style.dpi, style.dpi), compress_level=6)
    return out.getvalue()


def _pdf(figure: Figure, style: FigureStyle, text: str) -> bytes:
    out = io.BytesIO()
    metadata = {
        "Title": TITLE,
        "Keywords": text,
        "Creator": None,
        "Producer": None,
        "CreationDate": None,
    }
    FigureCanvasPdf(figure).print_pdf(out, metadata=metadata)
    return out.getvalue()


def _svg(figure: Figure, style: FigureStyle, text: str) -> bytes:
    out = io.BytesIO()
    metadata = {"Title": TITLE, "Description": text, "Date": None, "Creator": None}
    FigureCanvasSVG(figure).print_svg(out, metadata=metadata)
    # matplotlib asks viewers for nearest-neighbour pixels everywhere, which aliases pictures that
    # are shown smaller than they are; only enlarged ones should keep square pixels
    pattern = rb'(<image [^>]*?id="(?:smooth|bar)-\d+"[^>]*?) style="image-rendering:[^"]*"'
    return re.sub(pattern, rb"\1", out.getvalue())


_WRITERS = {"png": _png, "pdf": _pdf, "svg": _svg}


def render(
    panels: Sequence[Panel],
    style: FigureStyle | None = None,
    fmt: str = "png",
    recipe: Mapping[str, Any] | None = None,
) -> bytes:
    """Draw panels as one paper figure and return the file: identical bytes for identical input.

    PNG has ``style.dpi`` pixels per inch; PDF and SVG hold every picture losslessly at its native
    resolution, with text as embedded TrueType (PDF) or outlines (SVG). ``recipe`` (JSON values)
    travels inside the file, see ``read_recipe``. Raises ExplorerError for panels that cannot be
    arranged, a figure that is too narrow, or a PNG of more than 120 megapixels.
    """
    style = style or FigureStyle()
    if fmt not in _WRITERS:
        raise ExplorerError(f"figures are {', '.join(FORMATS)}, not {str(fmt)[:20]!r}")
    sheet = compose(panels, style)
    if fmt == "png" and sheet.width * sheet.height > MAX_PIXELS:
        raise ExplorerError(
            f"the PNG would have {sheet.width} x {sheet.height} pixels; choose a lower dpi"
        )
    text = envelope(panels, style, recipe or {})
    # ids must not depend on the run; two figures in one web page still differ
    salt = hashlib.sha256(text.encode()).hexdigest()
    with _LOCK, matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS | {"svg.hashsalt": salt})
        return _WRITERS[fmt](_paint(sheet, style, fmt), style, text)


def figure_size(panels: Sequence[Panel], style: FigureStyle) -> tuple[float, float]:
    """Return the printed (width, height) in inches of the figure that ``render`` would draw."""
    sheet = compose(panels, style)
    return sheet.width / style.dpi, sheet.height / style.dpi
