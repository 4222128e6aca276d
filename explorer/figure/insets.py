"""Zoom boxes where pictures differ most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from explorer.core import Panel
from explorer.figure.style import Inset

_SIDE = 64  # panels are compared at this size


def suggest_insets(
    panels: Sequence[Panel], count: int = 2, size: float = 0.25, place: str = "below"
) -> tuple[Inset, ...]:
    """Return zoom boxes where the pictures of a row differ most from each other.

    ``size`` is the side of a box as a fraction of the panel; boxes do not overlap. Pictures of the
    first row decide, without the photo, which differs from maps everywhere; a single picture is
    compared with a blurred copy of itself.
    """
    shown = [panel for panel in panels if panel.error is None]
    row = [panel for panel in shown if panel.row == shown[0].row]
    maps = [panel for panel in row if panel.role != "photo"]
    pictures = [panel.image for panel in (maps or row)]
    if not pictures:
        return ()
    if len(pictures) == 1:
        pictures.append(
            np.asarray(Image.fromarray(pictures[0]).resize((8, 8), Image.Resampling.BOX))
        )
    small = [
        np.asarray(Image.fromarray(p).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR), float)
        for p in pictures
    ]
    spread = np.stack(small).std(axis=0).mean(axis=-1)
    window = max(2, round(size * _SIDE))
    total = np.pad(spread.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    score = (
        total[window:, window:]
        - total[:-window, window:]
        - total[window:, :-window]
        + total[:-window, :-window]
    )
    edge = max(1, _SIDE // 32)  # a box that touches the border reads badly
    apart = 2 * edge
    score[:edge], score[-edge:], score[:, :edge], score[:, -edge:] = (-np.inf,) * 4
    insets = []
    for _ in range(count):
        if not np.isfinite(score).any():
            break
        row, col = np.unravel_index(np.argmax(score), score.shape)
        box = (row / _SIDE, (row + window) / _SIDE, col / _SIDE, (col + window) / _SIDE)
        insets.append(Inset(tuple(float(value) for value in box), place=place))
        far = window + apart  # boxes that touch read as one
        score[max(0, row - far + 1) : row + far, max(0, col - far + 1) : col + far] = -np.inf
    # the crops stand in the order of their boxes: side by side below, one under the other beside
    first = 2 if place == "below" else 0
    return tuple(sorted(insets, key=lambda inset: inset.box[first]))
