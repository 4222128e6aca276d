"""What one output pixel reads: its weights over the coarse grid, drawn on the photo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le
from pydantic.dataclasses import dataclass as params

from explorer.core import ExplorerError, NoAttentionError, Panel, Window
from explorer.core.validation import Share, Whole
from explorer.imaging import pixel_to_cell
from explorer.session import Options, Session
from explorer.upsamplers.windows import key_ranges
from explorer.views import palette
from explorer.views.base import VIEWS
from explorer.views.params import Control, WindowRatio
from explorer.views.rows import PairContext, SharedScale, SharedScaleView, percent

MEAN = "mean"
MOST_HEADS = 999
WINDOW = 0.1  # AnyUp's published half-width: what "outside" means for every method


@params(frozen=True)
class AttentionParams(SharedScale):
    """Whose weights are drawn, through which window, and how strongly."""

    head: Annotated[
        Literal[MEAN] | Annotated[Whole, Ge(0), Le(MOST_HEADS)],
        Control(
            "Head",
            'One attention head, an index from 0, or "mean" of all.',
            # four learned ones, and a bilinear one that some weights have
            choices=((MEAN, MEAN), *((str(head), head, str(head + 1)) for head in range(5))),
            unset=MEAN,
            key="head",
        ),
    ] = MEAN
    window_ratio: WindowRatio = None
    opacity: Annotated[
        Share,
        Control(
            "Opacity",
            "Opacity of the largest weight's colour over the photo.",
            step=0.05,
            on_page=False,
        ),
    ] = 0.85


@dataclass(frozen=True, eq=False)
class Reading:
    """What a pixel reads: ``weights`` (h, w) float32, the attention's window, notes about it."""

    weights: np.ndarray
    window: Window | None
    notes: tuple[str, ...]

    @property
    def signed(self) -> bool:
        """Whether some weight is negative."""
        return bool((self.weights < 0).any())


@VIEWS.register("attention")
class AttentionView(SharedScaleView[Reading]):
    """Where one pixel looks: its weights over the coarse grid, as heat on the photo.

    Attention where a method has it, else its effective stencil: the exact row of its linear map.
    """

    name = "attention"
    title = "Attention"
    order = 20
    Params = AttentionParams
    needs_query = shows_query = True
    preset = "attention figure"

    def opening(self, session: Session, options: Options, label: str) -> Iterator[Panel]:
        """Yield the photo with the query."""
        for panel in super().opening(session, options, label):
            place = PairContext(session, options, "", label, "")
            row, col = place.query
            caption = f"query: row {row}, column {col}"
            yield replace(panel, marker=place.marker(), caption=caption)

    def measure(self, place: PairContext) -> Reading:
        """Return the weights of the query pixel."""
        return reading(place)

    def scale(self, found: list[Reading]) -> float:
        """Return the largest weight of all."""
        return max(float(np.abs(reading.weights).max()) for reading in found)

    def paint(self, place: PairContext, measured: Reading, scale: float) -> Panel:
        """Draw the weights as cells over the photo, with window, query and scale."""
        setting = AttentionView.params(place.options)
        weights, signed = measured.weights, measured.signed
        notes = list(measured.notes)
        total = float(weights.sum())
        if abs(total - 1) > 5e-4:
            notes.append(f"weights sum to {total:.3f}")
        if signed:
            notes.append("negative weights in blue")
        image = palette.overlay(backdrop(place), weights, scale, signed, setting.opacity)
        rectangle = None
        if measured.window is not None:
            (height, width), seen = weights.shape, measured.window
            rectangle = (
                seen.row0 / height,
                seen.row1 / height,
                seen.col0 / width,
                seen.col1 / width,
            )
        label = "weight (square-root scale)"
        return place.panel(
            image,
            notes,
            metrics=tuple(metrics(weights, place.query, place.size).items()),
            colorbar=palette.heat_bar(scale, signed, setting.opacity, label),
            rectangle=rectangle,
            marker=place.marker(),
            cells=weights,
            recipe=place.recipe(
                self.name,
                query=list(place.query),
                head=setting.head,
                window_ratio=setting.window_ratio,
                opacity=setting.opacity,
                largest_weight=scale,
            ),
        )


def reading(place: PairContext) -> Reading:
    """Return what the query pixel of a place reads: attention, or the stencil of the linear map.

    Raises:
        ExplorerError: there is no such head, or the method is not linear.
    """
    setting = AttentionView.params(place.options)
    resampler = place.windowed(setting.window_ratio)
    try:
        seen = resampler.attention(*place.query)
    except NoAttentionError:
        weights = resampler.stencil(*place.query)
        notes = ("effective stencil", resampler.stencil_note, resampler.note())
        return Reading(weights.float().cpu().numpy(), None, notes)
    heads = len(seen.heads)
    if setting.head == MEAN:
        weights, which = seen.weights, f"mean of {heads} heads"
    elif setting.head < heads:
        weights, which = seen.heads[setting.head], f"head {setting.head + 1} of {heads}"
        if setting.head >= heads - resampler.bilinear_heads:
            which += ", bilinear"
    else:
        raise ExplorerError(
            f"{place.column} has {heads} heads, so there is no head {setting.head + 1}; "
            f"choose 1 to {heads} or the mean"
        )
    notes = (f"attention, {which}", resampler.note())
    return Reading(weights.float().cpu().numpy(), seen.window, notes)


def weights_table(session: Session, options: Options, backbone: str, upsampler: str) -> np.ndarray:
    """Return the weights (h, w) float32 that the attention view draws for a pair, in cells.

    Raises:
        ExplorerError: as ``reading``; the query is outside the output.
    """
    return reading(PairContext(session, options, backbone, "", upsampler)).weights


def metrics(
    weights: np.ndarray, query: tuple[int, int], size: tuple[int, int], ratio: float = WINDOW
) -> dict[str, str]:
    """Return the weights' numbers as text; see ``numbers``."""
    found = numbers(weights, query, size, ratio)
    return {
        "entropy": f"{found['entropy']:.2f} bits",
        "cells": f"{found['cells']:.1f}",
        f"outside ±{ratio:g}": percent(found["outside"]),
        "offset": f"{found['offset']:.2f} cells",
    }


def numbers(
    weights: np.ndarray, query: tuple[int, int], size: tuple[int, int], ratio: float = WINDOW
) -> dict[str, float]:
    """Return entropy (bits), effective cells, mass outside a window and offset of the centre.

    ``cells`` is 2 to the entropy; ``outside`` is the share beyond AnyUp's window of half-width
    ``ratio`` around the query; ``offset`` is the distance in cells from the query to the centre of
    mass. Entropy and shares are those of the weights' magnitudes if some are negative.
    """
    weights = weights.astype(float)
    height, width = weights.shape
    magnitude = np.abs(weights)
    shares = magnitude / magnitude.sum()
    seen = shares[shares > 0]
    entropy = float(-(seen * np.log2(seen)).sum()) + 0.0
    (r0, r1), (c0, c1) = (
        key_ranges(cells, outputs, ratio)[index]
        for cells, outputs, index in zip(weights.shape, size, query, strict=True)
    )
    inside = np.zeros(weights.shape, bool)
    inside[r0:r1, c0:c1] = True
    row, col = pixel_to_cell(*query, size, weights.shape)
    total = weights.sum()
    down = (weights.sum(axis=1) @ (np.arange(height) + 0.5)) / total - row
    right = (weights.sum(axis=0) @ (np.arange(width) + 0.5)) / total - col
    return {
        "entropy": entropy,
        "cells": float(2**entropy),
        "outside": float(shares[~inside].sum()),
        "offset": float(np.hypot(down, right)),
    }


def backdrop(place: PairContext) -> np.ndarray:
    """Return the photo at the output size, grey and dimmed, (H', W', 3) uint8."""
    session, options = place.session, place.options

    def make() -> np.ndarray:
        photo = session.guidance(options)[0].mul(255).round().byte()
        return palette.backdrop(photo.permute(1, 2, 0).cpu().numpy())

    return session.results.get(("backdrop", options.photo.digest, options.output), make)
