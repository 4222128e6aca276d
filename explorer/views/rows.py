"""Views whose methods share one colour scale: measure every method of a row, agree, then paint."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Generic, Literal, TypeVar

import numpy as np
import torch
from pydantic.dataclasses import dataclass as params

from explorer.backbones import Backbone
from explorer.core import ExplorerError, Panel
from explorer.imaging import Photo
from explorer.session import Options, Session
from explorer.upsamplers import LinearResampler, Resampler, Upsampler
from explorer.views.base import View, error_panel, joined, method_title, photo_panel
from explorer.views.params import Control, Params

M = TypeVar("M")

PATIENCE = 0.4  # seconds after which a method is shown before the others are known
PHOTO, KEY = "Photo", "Colour key"  # what stands left of the methods
SHARED, OWN = "shared", "own"


@dataclass(frozen=True, eq=False)
class PairContext:
    """One backbone x upsampler pair of a screen; ``options`` has the photo of this place's row."""

    session: Session
    options: Options
    backbone: str
    label: str  # of the row
    method: str

    @property
    def upsampler(self) -> Upsampler:
        """The upsampler with its weights."""
        return self.session.upsampler(self.method, self.backbone, self.options)

    @property
    def resampler(self) -> Resampler:
        """The prepared resampler."""
        return self.session.resampler(self.options, self.backbone, self.method).resampler

    @property
    def kept(self) -> bool:
        """Whether the resampler is prepared already."""
        return self.session.is_prepared(self.options, self.backbone, self.method)

    @property
    def size(self) -> tuple[int, int]:
        """(H', W') of the output."""
        return self.options.output

    @property
    def query(self) -> tuple[int, int]:
        """The query (row, col) on the output grid: the middle until somebody picks one."""
        return self.options.query or (self.size[0] // 2, self.size[1] // 2)

    @property
    def column(self) -> str:
        """The method's name as papers write it."""
        return method_title(self.method)

    def windowed(self, ratio: float | None) -> Resampler:
        """Return the resampler, an adjustable window of half-width ``ratio`` if one is given."""
        made, own = self.resampler, self.upsampler
        if ratio is None or not own.adjustable_window or ratio == own.window_ratio:
            return made
        seen = f"window ±{ratio:g}" if ratio > 0 else "no window"
        trained = f"±{own.window_ratio:g}" if own.window_ratio > 0 else "none"
        return made.with_window(ratio, f"{seen} set here, the checkpoint's is {trained}")

    def linear(self, ratio: float | None = None) -> LinearResampler:
        """Return ``windowed(ratio)`` if it treats channels alike; raises ExplorerError if not."""
        made = self.windowed(ratio)
        if not isinstance(made, LinearResampler):
            raise ExplorerError(
                f"{self.column} treats channels differently, so no single position says what a "
                "pixel reads; choose another method"
            )
        return made

    def marker(self) -> tuple[float, float]:
        """The query pixel's centre as fractions of the picture."""
        (row, col), (height, width) = self.query, self.size
        return (row + 0.5) / height, (col + 0.5) / width

    def recipe(self, view: str, **settings: Any) -> dict[str, Any]:
        """Return what is needed to make a panel of this place again, JSON-serialisable."""
        model, method = self.session.backbone(self.backbone), self.upsampler
        return {
            "view": view,
            "photo": {"name": self.options.photo.name, "sha256": self.options.photo.digest},
            "backbone": backbone_provenance(model, self.backbone, self.options),
            "upsampler": method.provenance(),
            "output_size": list(self.size),
        } | settings

    def panel(self, image: np.ndarray, notes: Sequence[str], **parts: Any) -> Panel:
        """Return a panel of this place; the checkpoint comes first in the caption."""
        method = self.upsampler
        aligned = self.session.backbone(self.backbone).alignment_note(self.options.align)
        caption = joined(method.weights_caption(), aligned, *notes)
        about = {"backbone": self.backbone, "method": self.method, "grid": self.resampler.grid}
        return Panel(self.label, self.column, image, caption, method.origin, **about, **parts)


def backbone_provenance(model: Backbone, name: str, options: Options) -> dict[str, str]:
    """Return what a panel's recipe says of the backbone: whose weights, how it was aligned."""
    said = {"name": name, "origin": model.origin, "sha256": model.digest}
    aligned = model.alignment_note(options.align)
    return said | ({"alignment": aligned} if aligned else {})


def row_label(session: Session, backbone: str) -> str:
    """Return a backbone's name as papers write it, with the stage if one was chosen, and with what
    must be said of its features.
    """
    model = session.backbone(backbone)
    name = model.title if ":" not in backbone else f"{model.title} {model.stage}"
    return f"{name} ({model.remark})" if model.remark else name


@params(frozen=True)
class SharedScale(Params):
    """What every view has whose methods can share one colour scale."""

    scale: Annotated[
        Literal[SHARED, OWN],
        Control(
            "Colour scale",
            "Whether the methods of a row share one colour scale, or each has its own.",
            on_page=False,
        ),
    ] = SHARED


class SharedScaleView(View, Generic[M]):
    """A view in three steps, so that all methods of a backbone can share one colour scale.

    While slow methods are computed, those that are ready are shown with a scale of their own.
    """

    Params = SharedScale

    @abstractmethod
    def measure(self, place: PairContext) -> M:
        """Return the numbers of a place, everything slow included; runs without gradients."""

    @abstractmethod
    def scale(self, found: list[M]) -> Any:
        """Return the scale that suits all of these measurements."""

    @abstractmethod
    def paint(self, place: PairContext, measured: M, scale: Any) -> Panel:
        """Return a measurement as a picture."""

    def photos(self, options: Options) -> list[tuple[str, Options]]:
        """Return a backbone's rows: what is appended to the label, and the options."""
        return [("", options)]

    def opening(self, session: Session, options: Options, label: str) -> Iterator[Panel]:
        """Yield what stands left of the methods."""
        yield photo_panel(session, options, label)

    def key(self, place: PairContext, scale: Any) -> Panel | None:
        """Return a panel that explains the colours, if a colour bar cannot.

        ``scale`` is None if every panel has its own.
        """
        return None

    def column(self, place: PairContext) -> str:
        """Return what stands over a place's panel."""
        return place.column

    def stream(self, session: Session, options: Options) -> Iterator[Panel]:
        """Yield panels as they become ready; once all are, those drawn on another scale again."""
        self.check(options)
        shared = self.params(options).scale == SHARED
        methods = self.methods(options)
        for backbone in options.backbones:
            found: list[tuple[PairContext, M | Panel]] = []
            label, grids = backbone, {}
            try:
                title = row_label(session, backbone)
                rows = [(title + tail, chosen) for tail, chosen in self.photos(options)]
                for label, chosen in rows:
                    for panel in self.opening(session, chosen, label):
                        yield replace(panel, backbone=backbone)
                    grids[label] = session.features(chosen, backbone).grid
            except Exception as error:
                about = {"role": "photo", "backbone": backbone}
                yield error_panel(label, PHOTO, options.output, error, **about)
                continue
            for label, chosen in rows:
                for method in methods:
                    place = PairContext(session, chosen, backbone, label, method)
                    start = time.perf_counter()
                    try:
                        with torch.no_grad():
                            measured = self.measure(place)
                    except Exception as error:  # the other panels must come whatever happens
                        about = {"backbone": backbone, "method": method, "grid": grids[label]}
                        column = self.column(place)
                        panel = error_panel(label, column, place.size, error, **about)
                        found.append((place, panel))
                        yield panel
                        continue
                    found.append((place, measured))
                    last = label == rows[-1][0] and method == methods[-1]
                    if not last and time.perf_counter() - start > PATIENCE:
                        panel = self.paint(place, measured, self.scale([measured]))
                        note = " · colour scale not yet shared" if shared else ""
                        yield replace(panel, caption=panel.caption + note, provisional=shared)
            yield from self._final(found, shared)

    def render(self, session: Session, options: Options) -> list[Panel]:
        """Return all final panels, row by row, methods in the order of the options."""
        panels: dict[tuple[str, str], Panel] = {}
        for panel in self.stream(session, options):
            panels.pop((panel.row, panel.column), None)  # slow methods were shown first
            panels[panel.row, panel.column] = panel
        return list(panels.values())

    def _final(self, found: list[tuple[PairContext, M | Panel]], shared: bool) -> Iterator[Panel]:
        """Yield every method again in its order, errors too, drawn on the scale of all."""
        good = [measured for _, measured in found if not isinstance(measured, Panel)]
        if not good:
            return
        scale = self.scale(good)
        explained = set()
        for place, measured in found:
            if place.label not in explained:
                explained.add(place.label)
                key = self.key(place, scale if shared else None)
                if key is not None:
                    yield key
            if isinstance(measured, Panel):  # of an error
                yield measured
            else:
                yield self.paint(place, measured, scale if shared else self.scale([measured]))


def percent(share: float) -> str:
    """Return a share as text that does not hide small amounts behind a zero."""
    if share == 0:
        return "0%"
    return "<0.1%" if abs(share) < 0.001 else f"{100 * share:.1f}%"


def photo_recipe(photo: Photo) -> dict[str, Any]:
    """Return what names a photo: file name, digest and size."""
    return {"name": photo.name, "sha256": photo.digest, "size": list(photo.size)}
