"""One panel on the sheet: its picture, the query, the window, the zoom boxes and their crops."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.path import Path

from explorer.core import Panel
from explorer.figure.grid import covers
from explorer.figure.sheet import Box, Pen, Picture, Stroke, rectangle
from explorer.figure.style import Inset
from explorer.figure.text import wrap

LIGHT, DARK = "#ffffff", "#111111"
THIN_PT, HALO_PT = 0.8, 1.8  # a white line on a dark one is visible on every picture
BOX_PT = 1.1

Part = tuple[float, float, float, float]


def frame_of(panel: Panel, cell: Box) -> Box:
    """Return the box the picture fills: the cell, or the largest centred one of its own shape."""
    if panel.error is not None or covers(panel, cell.w / cell.h):
        return cell
    height, width = panel.image.shape[:2]
    # the cell is rounded to whole pixels: a picture that differs by less than one fills it
    if abs(cell.h * width / height - cell.w) <= 1 or abs(cell.w * height / width - cell.h) <= 1:
        return cell
    scale = min(cell.w / width, cell.h / height)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    return Box(cell.x + (cell.w - w) // 2, cell.y + (cell.h - h) // 2, w, h)


def _within(part: Part, row: float, col: float) -> tuple[float, float]:
    """Return a point of the panel in fractions of a part of it."""
    row0, row1, col0, col1 = part
    return (row - row0) / (row1 - row0), (col - col0) / (col1 - col0)


def _inner(box: Box, frame: Box, margin: float) -> Box:
    """Return the box moved inwards where a stroke of twice the margin would leave the frame."""
    left, top = max(box.x, frame.x + margin), max(box.y, frame.y + margin)
    right, bottom = min(box.right, frame.right - margin), min(box.bottom, frame.bottom - margin)
    return Box(left, top, max(right - left, 0), max(bottom - top, 0))


def _part_of(frame: Box, part: Part) -> Box:
    row0, row1, col0, col1 = part
    x0, y0 = frame.at(row0, col0)
    x1, y1 = frame.at(row1, col1)
    return Box(x0, y0, x1 - x0, y1 - y0)


def _query(x: float, y: float, radius: float) -> Path:
    """A ring with four ticks that leaves the queried pixel itself free."""
    ring = Path.circle((x, y), radius)
    ticks = [
        Path([(x + dx * radius, y + dy * radius), (x + 2 * dx * radius, y + 2 * dy * radius)])
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))
    ]
    return Path.make_compound_path(ring, *ticks)


def _draw_marks(panel: Panel, pen: Pen, frame: Box, part: Part) -> None:
    """Stroke the window and the query that fall into a part of the panel shown in ``frame``."""
    style, items = pen.style, pen.sheet.items
    if style.rectangles and panel.rectangle is not None:
        row0, row1, col0, col1 = panel.rectangle
        top, left = _within(part, row0, col0)
        bottom, right = _within(part, row1, col1)
        if top < 1 and left < 1 and bottom > 0 and right > 0:
            box = _part_of(frame, (top, bottom, left, right))
            if part == (0.0, 1.0, 0.0, 1.0):
                box = _inner(box, frame, pen.scale(HALO_PT / 2))
            items.append(Stroke(rectangle(box), DARK, HALO_PT, clip=frame))
            items.append(Stroke(rectangle(box), LIGHT, THIN_PT, clip=frame))
    if style.markers and panel.marker is not None:
        row, col = _within(part, *panel.marker)
        if 0 <= row <= 1 and 0 <= col <= 1:
            x, y = frame.at(row, col)
            radius = pen.scale(min(max(0.024 * min(frame.w, frame.h) * 72 / style.dpi, 1.8), 3.5))
            items.append(Stroke(_query(x, y, radius), DARK, HALO_PT, clip=frame))
            items.append(Stroke(_query(x, y, radius), LIGHT, THIN_PT, clip=frame))


def _halo(color: str) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return DARK if 0.3 * red + 0.59 * green + 0.11 * blue > 110 else LIGHT


def _box_pt(pen: Pen, box: Box, share: float) -> float:
    """Return the stroke of an inset's border: thinner on small pictures."""
    side = min(box.w, box.h) * 72 / pen.style.dpi
    return min(max(share * side, 0.5), BOX_PT)


def draw_panel(panel: Panel, pen: Pen, cell: Box) -> Box:
    """Draw a panel's picture and marks (or its error) and return the picture's box."""
    frame = frame_of(panel, cell)
    if panel.error is not None:
        _draw_error(panel, pen, cell)
        return frame
    pen.sheet.items.append(Picture(np.ascontiguousarray(panel.image), frame))
    _draw_marks(panel, pen, frame, (0.0, 1.0, 0.0, 1.0))
    width = _box_pt(pen, frame, 0.014)
    for inset in pen.style.insets:
        box = _inner(_part_of(frame, inset.box), frame, pen.scale(width / 2))
        pen.sheet.items.append(Stroke(rectangle(box), _halo(inset.color), width + 0.7, clip=frame))
        pen.sheet.items.append(Stroke(rectangle(box), inset.color, width, clip=frame))
    return frame


def _draw_error(panel: Panel, pen: Pen, cell: Box) -> None:
    """Draw an empty field with the reason, as much of it as fits."""
    pen.sheet.items.append(Stroke(rectangle(cell), None, fill="field"))
    size, line = pen.small_pt, pen.line_height(pen.small_pt)
    room = cell.w * 72 / pen.style.dpi - 4
    count = int((cell.h - pen.scale(2)) // line)
    if room < size or count < 1:
        return
    lines = wrap(panel.error or "", room, size, pen.style.font, lines=count)
    pen.write(lines, cell.x + cell.w / 2, cell.y + (cell.h - line * len(lines)) / 2, size)


def _shape(inset: Inset, aspect: float) -> float:
    """Return width / height of an inset's crop on a picture of this width / height."""
    row0, row1, col0, col1 = inset.box
    return (col1 - col0) / (row1 - row0) * aspect


def crops_below(
    insets: Sequence[Inset], width: float, aspect: float, gap: float
) -> list[tuple[float, float]]:
    """Return (width, height) of the crops under a picture: one height, together its width.

    A crop is never taller than the picture; narrower ones are centred.
    """
    shapes = [_shape(inset, aspect) for inset in insets]
    if not shapes:
        return []
    height = (width - gap * (len(shapes) - 1)) / sum(shapes)
    height = math.floor(min(height, width / aspect))
    edges = np.cumsum([0.0, *(shape * height for shape in shapes)])
    return [(round(b) - round(a), height) for a, b in zip(edges, edges[1:], strict=False)]


def beside_share(insets: Sequence[Inset]) -> float:
    """Return the width of the crops beside a picture as a share of the picture's width.

    Stacked, without their gaps, the crops are as high as the picture, unless they would be wider.
    """
    if not insets:
        return 0.0
    heights = sum(1 / _shape(inset, 1.0) for inset in insets)  # per unit of width, square picture
    return min(1.0, 1.0 / heights)


def beside_width(insets: Sequence[Inset], width: float, height: float, gap: float) -> int:
    """Return the exact width of the crops beside a picture, gaps between them taken off."""
    if not insets:
        return 0
    heights = sum(1 / _shape(inset, width / height) for inset in insets)
    return max(1, math.floor(min(width, (height - gap * (len(insets) - 1)) / heights)))


def draw_crops_below(panel: Panel, pen: Pen, frame: Box, top: float, gap: int) -> None:
    """Draw the crops that belong under a panel, side by side from ``top`` down."""
    insets = [inset for inset in pen.style.insets if inset.place == "below"]
    sizes = crops_below(insets, frame.w, frame.w / frame.h, gap)
    total = sum(width for width, _ in sizes) + gap * (len(sizes) - 1)
    x = frame.x + (frame.w - total) // 2
    for inset, (width, height) in zip(insets, sizes, strict=True):
        _draw_crop(panel, pen, inset, Box(x, top, width, height))
        x += width + gap


def draw_crops_beside(panel: Panel, pen: Pen, frame: Box, left: float, width: int) -> None:
    """Draw the crops that belong right of a panel, one under the other, spread over its height."""
    insets = [inset for inset in pen.style.insets if inset.place == "beside"]
    if not insets:
        return
    heights = [max(1, math.floor(width / _shape(i, frame.w / frame.h))) for i in insets]
    spare = frame.h - sum(heights)
    if len(insets) == 1:
        tops = [frame.y + spare // 2]
    else:
        step = spare / (len(insets) - 1)
        tops = [frame.y + round(sum(heights[:i]) + step * i) for i in range(len(insets))]
    for inset, top, height in zip(insets, tops, heights, strict=True):
        _draw_crop(panel, pen, inset, Box(left, top, width, height))


def _draw_crop(panel: Panel, pen: Pen, inset: Inset, box: Box) -> None:
    if panel.error is not None:
        return
    width = _box_pt(pen, box, 0.03)
    # cut off under the middle of its border, so that no viewer shows pixels outside it
    edge = _inner(box, box, pen.scale(width / 2))
    image = np.ascontiguousarray(panel.image)
    pen.sheet.items.append(Picture(image, box, inset.box, clip=edge))
    _draw_marks(panel, pen, box, inset.box)
    pen.sheet.items.append(Stroke(rectangle(edge), inset.color, width))
