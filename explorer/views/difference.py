"""Where two methods disagree: the cosine distance between their features at every pixel."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Le
from pydantic.dataclasses import dataclass

from explorer.core import ExplorerError, Panel
from explorer.core.validation import Real
from explorer.session import Options
from explorer.upsamplers.streaming import row_bands
from explorer.views import palette
from explorer.views.base import VIEWS, method_title
from explorer.views.params import REFERENCE, Control, Method
from explorer.views.rows import PairContext, SharedScale, SharedScaleView

ROBUST = 99.5  # percentile of the distances that gets the last colour


@dataclass(frozen=True)
class DifferenceParams(SharedScale):
    """What the methods are compared with, and where the colours end."""

    reference: Annotated[Method | None, REFERENCE] = None
    high: Annotated[
        Annotated[Real, Ge(1e-6), Le(2)] | None,
        Control(
            "Last colour at",
            "Cosine distance of the last colour; without it the largest but half a percent.",
            on_page=False,
        ),
    ] = None


@VIEWS.register("difference")
class DifferenceView(SharedScaleView[np.ndarray]):
    """Where two methods differ: cosine distance between their features, pixel by pixel.

    Every upsampler is compared with the reference. 0 is the same direction, 1 orthogonal, 2
    opposite. All channels count, lengths do not, so no choice of colours or components can hide a
    difference.
    """

    name = "difference"
    title = "Difference"
    order = 50
    Params = DifferenceParams

    def methods(self, options: Options) -> tuple[str, ...]:
        """Return everything but the reference."""
        reference = _reference(options)
        found = tuple(name for name in options.upsamplers if name != reference)
        if not found:
            raise ExplorerError("a difference needs two upsamplers; choose another one as well")
        return found

    def measure(self, place: PairContext) -> np.ndarray:
        """Return the distances to the reference."""
        return distance(place, replace(place, method=_reference(place.options)))

    def scale(self, found: list[np.ndarray]) -> float:
        """Return the distance of the last colour."""
        return max(max(float(np.percentile(one, ROBUST)) for one in found), 1e-4)

    def paint(self, place: PairContext, measured: np.ndarray, scale: float) -> Panel:
        """Colour the distances."""
        high = self.params(place.options).high or scale
        reference = _reference(place.options)
        title = method_title(reference)
        image = palette.look_up(palette.SEQUENTIAL, measured, 0, high)
        made = place.panel(
            image,
            [f"{place.column} against {title}", place.resampler.note()],
            metrics=(
                ("mean", f"{measured.mean():.3f}"),
                ("95%", f"{np.percentile(measured, 95):.3f}"),
                ("largest", f"{measured.max():.3f}"),
            ),
            colorbar=palette.colorbar(palette.SEQUENTIAL, 0, high, f"cosine distance to {title}"),
            recipe=place.recipe(self.name, reference=reference, high=high),
            against=reference,
        )
        return replace(made, column=self.column(place))

    def column(self, place: PairContext) -> str:
        """Name both methods."""
        return f"{place.column} vs {method_title(_reference(place.options))}"


def distance(first: PairContext, second: PairContext) -> np.ndarray:
    """Return 1 - cosine between two places' features, (H', W') float32 in [0, 2].

    All channels are streamed in bands of rows. Two features of length 0 are alike.

    Raises:
        ExplorerError: the features live in different spaces, or the outputs differ in size.
    """
    one, other = first.upsampler, second.upsampler
    if one.space != other.space or first.backbone != second.backbone or first.size != second.size:
        raise ExplorerError(
            f"{first.column} and {second.column} do not give features of the same space and size, "
            "so their difference means nothing; choose two methods of one backbone"
        )
    theirs = second.session.key(second.options, second.backbone, second.method)

    def compute(resampler) -> np.ndarray:
        against = second.resampler
        parts = []
        for rows in row_bands(resampler):
            here, there = resampler.features(rows)[0], against.features(rows)[0]
            lengths = here.norm(dim=0), there.norm(dim=0)
            cosine = (here * there).sum(dim=0) / (lengths[0] * lengths[1]).clamp(min=1e-12)
            cosine = torch.where((lengths[0] == 0) & (lengths[1] == 0), 1, cosine)
            parts.append((1 - cosine).clamp(0, 2))
        return torch.cat(parts).float().cpu().numpy()

    return first.session.memoize(
        first.options, first.backbone, first.method, ("distance", theirs), compute
    )


def _reference(options: Options) -> str:
    """Return the method that the others are compared with."""
    return DifferenceView.params(options).reference or options.upsamplers[0]
