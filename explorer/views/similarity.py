"""How much every pixel's feature resembles the query pixel's, in the same photo or another one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le
from pydantic.dataclasses import dataclass as params

from explorer.core import Panel
from explorer.core.validation import Real, Share
from explorer.imaging import Photo
from explorer.session import Options, Session
from explorer.upsamplers import Resampler
from explorer.views import palette
from explorer.views.attention import backdrop
from explorer.views.base import VIEWS
from explorer.views.params import Control
from explorer.views.rows import PairContext, SharedScale, SharedScaleView, percent, photo_recipe

ROBUST = 1.0  # percentile of the cosines that gets the first colour


@dataclass(frozen=True, eq=False)
class Similarity:
    """Cosine (H', W') float32 with the query's feature, and the pixel (row, col) most like it."""

    cosine: np.ndarray
    best: tuple[int, int]

    def nbytes(self) -> int:
        """Return the bytes held."""
        return self.cosine.nbytes


@params(frozen=True)
class SimilarityParams(SharedScale):
    """Which pixels fade, and how the cosines are coloured."""

    threshold: Annotated[
        Annotated[Real, Ge(-1), Le(1)] | None,
        Control(
            "Fade below cosine",
            "Pixels with a lower cosine than this fade to grey; without it none do.",
            step=0.05,
            ends=(-1, 1),
            unset=-1.0,
            key="threshold",
        ),
    ] = None
    opacity: Annotated[
        Share, Control("Opacity", "Opacity of the map over the photo.", step=0.05, on_page=False)
    ] = 1.0
    low: Annotated[
        Annotated[Real, Ge(-1), Le(0.99)] | None,
        Control(
            "First colour at",
            "Cosine of the first colour; without it the smallest but one percent.",
            on_page=False,
        ),
    ] = None


@VIEWS.register("similarity")
class SimilarityView(SharedScaleView[Similarity]):
    """Cosine similarity of every pixel with the query pixel, per method; a second photo if given.

    Each method's pixels are compared with the query's feature upsampled by the same method. A
    second photo gets a row of its own per backbone with the best match marked.
    """

    name = "similarity"
    title = "Similarity"
    order = 40
    Params = SimilarityParams
    needs_query = shows_query = True
    takes_second_photo = True
    preset = "attention figure"

    def __init__(self, second: Photo | None = None):
        self.second = second

    def photos(self, options: Options) -> list[tuple[str, Options]]:
        """Return the query's photo and the second one."""
        self.asked = options
        rows = [("", options)]
        if self.second is not None:
            rows.append((f" → {self.second.name}", options.with_photo(self.second)))
        return rows

    def opening(self, session: Session, options: Options, label: str) -> Iterator[Panel]:
        """Yield the photo, with the query if it is the query's."""
        for panel in super().opening(session, options, label):
            if options is not self.asked:
                caption = f"{panel.caption} · best matches marked"
                yield replace(panel, caption=caption, queried=False)
                continue
            place = PairContext(session, options, "", label, "")
            row, col = place.query
            caption = f"query: row {row}, column {col}"
            yield replace(panel, marker=place.marker(), caption=caption)

    def measure(self, place: PairContext) -> Similarity:
        """Return the place's cosines with the query of the first photo."""
        asked = place if place.options is self.asked else replace(place, options=self.asked)
        return similarity(asked, place)

    def scale(self, found: list[Similarity]) -> float:
        """Return the cosine of the first colour."""
        lowest = min(float(np.percentile(one.cosine, ROBUST)) for one in found)
        return min(float(np.floor(20 * lowest) / 20), 0.9)

    def paint(self, place: PairContext, measured: Similarity, scale: float) -> Panel:
        """Draw the cosines, greyed below the threshold, with the query or the best match."""
        options, cosine = place.options, measured.cosine
        setting = self.params(options)
        low = scale if setting.low is None else setting.low
        threshold, opacity = setting.threshold, setting.opacity
        image = palette.look_up(palette.SEQUENTIAL, cosine, low, 1)
        base = backdrop(place)
        if opacity < 1:
            image = (image * np.float32(opacity) + base * np.float32(1 - opacity)).astype(np.uint8)
        shown = []
        if threshold is not None:
            image[cosine < threshold] = base[cosine < threshold]
            shown.append(("above", percent(float((cosine >= threshold).mean()))))
        notes = [place.resampler.note()]
        if threshold is not None:
            notes.append(f"grey below {threshold:g}")
        here = options is self.asked
        point = self.asked.query or PairContext(place.session, self.asked, "", "", "").query
        if not here:
            row, col = measured.best
            point = measured.best
            shown.append(("best", f"{cosine[row, col]:.3f} at {row}, {col}"))
        shown.append(("mean", f"{cosine.mean():.2f}"))
        height, width = cosine.shape
        return place.panel(
            image,
            notes,
            metrics=tuple(shown),
            colorbar=palette.colorbar(palette.SEQUENTIAL, low, 1, "cosine with the query"),
            marker=((point[0] + 0.5) / height, (point[1] + 0.5) / width),
            queried=here,
            recipe=place.recipe(
                self.name,
                query=list(PairContext(place.session, self.asked, "", "", "").query),
                query_photo=photo_recipe(self.asked.photo),
                threshold=threshold,
                opacity=opacity,
                low=low,
            ),
        )


def similarity(asked: PairContext, seen: PairContext) -> Similarity:
    """Return the cosine of every pixel of ``seen`` with the query pixel of ``asked``."""

    def compute(_: Resampler) -> Similarity:
        feature = asked.resampler.pixel(*asked.query)
        cosine = seen.session.similar(seen.options, seen.backbone, seen.method, feature)
        found = cosine.float().cpu().numpy()
        return Similarity(found, divmod(int(found.argmax()), found.shape[1]))

    tag = ("cosine", asked.options.photo.digest, asked.query)
    return seen.session.memoize(seen.options, seen.backbone, seen.method, tag, compute)
