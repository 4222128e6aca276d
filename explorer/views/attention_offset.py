"""Attention offset: the mean position that every output pixel reads, and its spread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Le
from pydantic.dataclasses import dataclass as params
from torch import Tensor

from explorer.core import Panel
from explorer.core.validation import Real
from explorer.session import Options, Session
from explorer.upsamplers import LinearResampler
from explorer.views import palette
from explorer.views.base import VIEWS
from explorer.views.params import Control, WindowRatio
from explorer.views.rows import KEY, SHARED, PairContext, SharedScale, SharedScaleView, percent

KINDS = ("mean", "position", "spread")
RIM = 3.0  # cells: a step of this length has full colour, in every photo and figure alike
ROBUST = 99.5  # percentile that gets the last colour where the scale is not fixed
GAMMA = 0.5  # global methods spread many times wider than local ones
DIRECTIONS = (("right", 0, 1), ("up", -1, 0), ("left", 0, -1), ("down", 1, 0))


@dataclass(frozen=True, eq=False)
class AttentionOffset:
    """Per output pixel, in cells: (H', W') float32 mean position minus its own, and the spread.

    ``undefined`` is the share of pixels whose variance is negative, which negative weights allow;
    their spread is 0.
    """

    down: np.ndarray
    right: np.ndarray
    spread: np.ndarray
    undefined: float
    grid: tuple[int, int]

    def nbytes(self) -> int:
        """Return the bytes held."""
        return self.down.nbytes + self.right.nbytes + self.spread.nbytes


@params(frozen=True)
class AttentionOffsetParams(SharedScale):
    """What is coloured, up to which distance, and through which window."""

    what: Annotated[
        Literal[KINDS],
        Control(
            "Colours show",
            "The step to the mean position that a pixel reads, that position, or the spread "
            "around it.",
            key="what",
        ),
    ] = KINDS[0]
    rim: Annotated[
        Annotated[Real, Ge(1e-3), Le(1e4)] | None,
        Control(
            "Full colour at",
            f"Distance in cells that gets full colour; without it {RIM:g}, or the largest if each "
            "method has its own scale.",
            on_page=False,
        ),
    ] = None
    window_ratio: WindowRatio = None


@VIEWS.register("reach")
class AttentionOffsetView(SharedScaleView[AttentionOffset]):
    """Where attention lies: each pixel coloured by the position that it reads, or by the spread.

    "mean" colours the step from a pixel to the mean position that it reads: hue is the direction,
    colour the distance, white none. Seams, windows and leaks across edges stand out because nothing
    else is drawn. "position" colours the mean position itself, "spread" the standard deviation
    around it. Exact: coordinates are carried through the method's linear map.
    """

    name = "reach"
    title = "Where everything looks"
    order = 30
    Params = AttentionOffsetParams
    preset = "attention figure"

    def opening(self, session: Session, options: Options, label: str) -> Iterator[Panel]:
        """Yield the photo and what the colours mean."""
        yield from super().opening(session, options, label)
        if _what(options) != "spread":
            yield self.key(PairContext(session, options, "", label, ""), None)

    def measure(self, place: PairContext) -> AttentionOffset:
        """Return the place's map, computed once."""
        ratio = self.params(place.options).window_ratio
        resampler = place.linear(ratio)
        return place.session.memoize(
            place.options,
            place.backbone,
            place.method,
            ("reach", ratio),
            lambda _: attention_offset(resampler),
        )

    def scale(self, found: list[AttentionOffset]) -> tuple[float, float]:
        """Return the offset of the rim's colour and the largest spread, in cells."""
        offsets = [np.percentile(np.hypot(one.down, one.right), ROBUST) for one in found]
        spreads = [np.percentile(one.spread, ROBUST) for one in found]
        return max(float(max(offsets)), 1e-3), max(float(max(spreads)), 1e-3)

    def key(self, place: PairContext, scale: tuple[float, float] | None) -> Panel | None:
        """Return the wheel, or the grid's own colours, at the shape of the output."""
        what = _what(place.options)
        if what == "spread":
            return None
        height, width = place.size
        about = {"role": "key", "backbone": place.backbone}
        rows, cols = np.mgrid[0:height, 0:width].astype(np.float32)
        rows, cols = rows + 0.5 - height / 2, cols + 0.5 - width / 2
        if what == "position":
            image = palette.wheel(2 * rows / height, 2 * cols / width)
            return Panel(place.label, KEY, image, "the colour of each position", **about)
        radius = 0.46 * min(height, width)
        image = palette.wheel(rows / radius, cols / radius)
        image[np.hypot(rows, cols) > radius] = 255
        rim = _rim(place.options, scale)
        until = f"rim: {rim:.2g} cells or more" if rim else "rim: each method's largest"
        caption = f"direction and distance from a pixel; {until}"
        return Panel(place.label, KEY, image, caption, **about)

    def paint(
        self, place: PairContext, measured: AttentionOffset, scale: tuple[float, float]
    ) -> Panel:
        """Colour the chosen part of the map."""
        what = _what(place.options)
        rim = _rim(place.options, scale)
        distance = np.hypot(measured.down, measured.right)
        notes = [place.windowed(self.params(place.options).window_ratio).note()]
        parts = {}
        if what == "mean":
            image = palette.wheel(measured.down / rim, measured.right / rim)
            notes.append(f"step to the mean position read, full colour at {rim:.2g} cells")
            parts["legend"] = tuple(
                (name, palette.tuples(palette.wheel([down], [right]))[0])
                for name, down, right in DIRECTIONS
            )
        elif what == "position":
            image = palette.wheel(*_absolute(measured))
            notes.append("mean position read, from the middle of the photo")
        else:
            top = scale[1]
            image = palette.look_up(palette.SEQUENTIAL, measured.spread, 0, top, GAMMA)
            label = "spread in cells (square-root scale)"
            parts["colorbar"] = palette.colorbar(palette.SEQUENTIAL, 0, top, label, GAMMA)
            notes.append("standard deviation of the positions read")
        if not place.upsampler.convex:
            notes.append("weights divided by their sum")
        if what == "spread" and measured.undefined:
            share = percent(measured.undefined)
            notes.append(f"negative weights leave no spread at {share} of the pixels")
        return place.panel(
            image,
            notes,
            metrics=(
                ("mean step", f"{distance.mean():.2f} cells"),
                ("mean spread", f"{measured.spread.mean():.2f} cells"),
            ),
            recipe=place.recipe(self.name, what=what, rim_cells=rim, largest_spread=scale[1]),
            **parts,
        )


def attention_offset(resampler: LinearResampler, batch: int = 0) -> AttentionOffset:
    """Return the first two moments of what every output pixel reads, exactly, in one pass.

    Rows are divided by their sum, which is one for convex methods.
    """
    values = resampler.values
    height, width = resampler.grid
    # From the middle of the grid: smaller squares, less cancellation; half precision would leave
    # nothing of their differences.
    exact = {"device": values.device, "dtype": torch.promote_types(values.dtype, torch.float32)}
    rows = torch.arange(height, **exact) - (height - 1) / 2
    cols = torch.arange(width, **exact) - (width - 1) / 2
    down, right = rows[:, None].expand(height, width), cols.expand(height, width)
    channels = torch.stack([down, right, down**2 + right**2, torch.ones_like(down)])
    with torch.no_grad():
        carried = resampler.apply(channels.expand(values.shape[0], -1, -1, -1))[batch]
    total = carried[3]
    safe = torch.where(total.abs() < 1e-6, torch.ones_like(total), total)
    mean_row, mean_col, square = carried[:3] / safe
    variance = square - mean_row**2 - mean_col**2
    spread = variance.clamp(min=0).sqrt()
    rounding = 1e-4 * (height**2 + width**2) / 100
    own_row, own_col = (
        _centres(cells, outputs, rows)
        for cells, outputs in zip(resampler.grid, resampler.output_size, strict=True)
    )
    return AttentionOffset(
        (mean_row - own_row[:, None]).float().cpu().numpy(),
        (mean_col - own_col).float().cpu().numpy(),
        spread.float().cpu().numpy(),
        float((variance < -rounding).float().mean()),
        (height, width),
    )


def _centres(cells: int, outputs: int, like: Tensor) -> Tensor:
    """Return the output pixels' centres in cells, from the middle of the grid."""
    index = torch.arange(outputs, device=like.device, dtype=like.dtype)
    return (index + 0.5) * cells / outputs - cells / 2


def _absolute(found: AttentionOffset) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean positions, -1 to 1 from edge to edge of the photo."""
    parts = []
    for axis, (step, cells) in enumerate(zip((found.down, found.right), found.grid, strict=True)):
        outputs = step.shape[axis]
        own = (np.arange(outputs, dtype=np.float32) + 0.5) * 2 / outputs - 1
        parts.append(step * 2 / cells + (own[:, None] if axis == 0 else own[None]))
    return parts[0], parts[1]


def _what(options: Options) -> str:
    return AttentionOffsetView.params(options).what


def _rim(options: Options, scale: tuple[float, float] | None) -> float | None:
    """Return the distance in cells that gets full colour; None if each method has its own."""
    setting = AttentionOffsetView.params(options)
    if setting.rim or setting.scale == SHARED:
        return setting.rim or RIM
    return None if scale is None else scale[0]
