"""What probes predict at every pixel: classes, metres, directions, or the classes you painted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch

from explorer.core import ExplorerError, Panel, unknown_name
from explorer.core.messages import join_names, quoted
from explorer.datasets.classes import Colour
from explorer.probes import Prediction, Probe, SegmentationProbe
from explorer.probes.base import CLASS, SCALAR
from explorer.probes.strokes import read_strokes
from explorer.session import Options
from explorer.upsamplers import UPSAMPLERS
from explorer.views import palette
from explorer.views.base import VIEWS, method_title
from explorer.views.predictions import (
    CONFIDENCE,
    DISAGREEMENT,
    SCRIBBLE,
    ProbeParams,
    predict,
)
from explorer.views.rows import PairContext, SharedScaleView, percent

LEGEND_ENTRIES = 12
NORMAL_LEGEND = (
    ("faces you", (128, 128, 255)),
    ("faces right", (255, 128, 128)),
    ("faces up", (128, 255, 128)),
)
DIFFERENT = np.array([226, 70, 60])
DOUBT = "low confidence: this photo looks unlike those the probe learnt from"


@dataclass(frozen=True, eq=False)
class Reading:
    """A probe's prediction for one method; ``other`` is the reference's, for disagreement."""

    probe: Probe
    found: Prediction
    other: Prediction | None = None


@VIEWS.register("probe")
class ProbeView(SharedScaleView[Reading]):
    """What a linear probe predicts from each method's features, pixel by pixel over the photo.

    Classes, metres, directions, or the classes of your own strokes, as `ProbeParams` says.
    """

    name = "probe"
    title = "Probes"
    order = 60
    Params = ProbeParams
    shows_query = True
    figure_options: ClassVar = {"shares": False}
    leading_arguments = ("probe", "show")
    api_defaults: ClassVar = {"opacity": 0.7}

    @classmethod
    def check(cls, options: Options) -> None:
        """Check the reference as well, whether or not it is shown."""
        reference = _reference(options, cls.params(options).show == DISAGREEMENT)
        if reference not in (*options.upsamplers, *UPSAMPLERS):
            raise unknown_name("upsampler", reference, UPSAMPLERS)

    @classmethod
    def check_given(cls, given: Mapping[str, Any]) -> None:
        """Read the strokes as well."""
        super().check_given(given)
        read_strokes(given.get("strokes", []))

    def methods(self, options: Options) -> tuple[str, ...]:
        """Return the methods; without the reference if disagreement is shown."""
        if self.params(options).show != DISAGREEMENT:
            return options.upsamplers
        reference = _reference(options)
        found = tuple(name for name in options.upsamplers if name != reference)
        if not found:
            raise ExplorerError("disagreement needs two upsamplers; choose another one as well")
        return found

    def measure(self, place: PairContext) -> Reading:
        """Predict, with the reference's method too if disagreement is shown."""
        show = self.params(place.options).show
        probe, found = predict(place)
        if show == CONFIDENCE and found.confidence is None:
            raise ExplorerError(f"a probe of {probe.title.lower()} cannot tell how sure it is")
        if show != DISAGREEMENT:
            return Reading(probe, found)
        other = replace(place, method=_reference(place.options))
        return Reading(probe, found, predict(other)[1])

    def scale(self, found: list[Reading]) -> tuple[float, float]:
        """Return the lowest and highest number that has a colour."""
        if found[0].other is not None:
            high = max(float(np.percentile(_difference(one), 99.5)) for one in found)
            return 0.0, max(high, 1e-3)
        if found[0].probe.reading != SCALAR:
            return 0.0, 1.0
        ends = [np.percentile(one.found.values.cpu().numpy(), (0.5, 99.5)) for one in found]
        return float(min(low for low, _ in ends)), float(max(high for _, high in ends))

    def paint(self, place: PairContext, measured: Reading, scale: tuple[float, float]) -> Panel:
        """Colour a reading and lay it over the photo."""
        show = self.params(place.options).show
        if show == CONFIDENCE:
            return self._confidence(place, measured)
        if show == DISAGREEMENT:
            return self._disagreement(place, measured, scale)
        colours, parts = _painted(measured, scale, self.params(place.options).shares)
        return self._panel(place, measured, colours, **parts)

    def _confidence(self, place: PairContext, measured: Reading) -> Panel:
        values = measured.found.confidence.cpu().numpy()
        colours = palette.look_up(palette.SEQUENTIAL, values, 0, 1)
        bar = palette.colorbar(palette.SEQUENTIAL, 0, 1, "confidence")
        return self._panel(place, measured, colours, opacity=1.0, colorbar=bar)

    def _disagreement(
        self, place: PairContext, measured: Reading, scale: tuple[float, float]
    ) -> Panel:
        difference = _difference(measured)
        reference = method_title(_reference(place.options))
        if measured.probe.reading == CLASS:
            base = palette.backdrop(photo_of(place))
            colours = np.where(difference[..., None] > 0, DIFFERENT, base).astype(np.uint8)
            parts = {"legend": (("another class", tuple(int(v) for v in DIFFERENT)),)}
            metrics = (("pixels that differ", percent(float((difference > 0).mean()))),)
        else:
            unit = measured.probe.unit if measured.probe.reading == SCALAR else "°"
            low, high = scale
            colours = palette.look_up(palette.SEQUENTIAL, difference, low, high)
            label = f"difference ({unit})" if unit else "difference"
            parts = {"colorbar": palette.colorbar(palette.SEQUENTIAL, low, high, label)}
            metrics = (("mean difference", f"{difference.mean():.2f} {unit}".rstrip()),)
        made = self._panel(
            place, measured, colours, opacity=1.0, metrics=metrics, reference=reference, **parts
        )
        column = f"{place.column} vs {reference}"
        return replace(made, column=column, against=_reference(place.options))

    def _panel(
        self,
        place: PairContext,
        measured: Reading,
        colours: np.ndarray,
        opacity: float | None = None,
        metrics: tuple[tuple[str, str], ...] | None = None,
        reference: str = "",
        **parts,
    ) -> Panel:
        probe, options = measured.probe, place.options
        if opacity is None:
            opacity = self.params(options).opacity
        photo = photo_of(place).astype(np.float32)
        image = (opacity * colours + (1 - opacity) * photo + 0.5).astype(np.uint8)
        notes = [probe.caption(), _other_features(place, probe), place.resampler.note()]
        if metrics is None:
            metrics = ()
            if measured.found.confidence is not None:
                sure = measured.found.confidence.mean().item()
                metrics = (("mean confidence", percent(sure)),)
                if probe.usual_confidence is not None and sure < probe.usual_confidence:
                    notes.insert(0, DOUBT)
        parts["marker"] = place.marker() if options.query else None
        if options.query:
            metrics = (("here", at_pixel(measured, place.query)), *metrics)
        recipe = place.recipe(
            self.name,
            query=list(options.query) if options.query else None,
            probe=probe.provenance(),
            show=self.params(options).show,
            opacity=opacity,
            **({"reference": reference} if reference else {}),
            **({"strokes": options.view.get("strokes")} if probe.name == SCRIBBLE else {}),
        )
        return place.panel(image, notes, metrics=metrics, recipe=recipe, **parts)


def _other_features(place: PairContext, probe: Probe) -> str:
    """Return what a caption says of a probe that learnt from features aligned otherwise, or ""."""
    aligned = bool(place.session.backbone(place.backbone).alignment(place.options.align))
    if probe.name == SCRIBBLE or probe.aligned == aligned:
        return ""
    return f"learnt from {'aligned' if probe.aligned else 'unaligned'} features"


def at_pixel(measured: Reading, pixel: tuple[int, int]) -> str:
    """Return what is predicted at (row, col): class and confidence, metres, or the normal."""
    row, col = pixel
    values = measured.found.values
    if measured.probe.reading == CLASS:
        name = measured.probe.classes.names[int(values[row, col])]
        if measured.found.confidence is None:
            return name
        return f"{name} {percent(measured.found.confidence[row, col].item())}"
    if measured.probe.reading == SCALAR:
        return f"{values[row, col].item():.2f} {measured.probe.unit}".rstrip()
    return ", ".join(f"{part:+.2f}" for part in values[:, row, col].tolist())


def colours_of(probe: SegmentationProbe) -> tuple[Colour, ...]:
    """Return one colour per class: the probe's own, or the palette's."""
    return probe.classes.colours or palette.categorical(len(probe.classes))


def photo_of(place: PairContext) -> np.ndarray:
    """Return the photo at the output size, (H, W, 3) uint8."""
    image = place.session.guidance(place.options)[0]
    return image.mul(255).round().byte().permute(1, 2, 0).cpu().numpy()


def _painted(
    measured: Reading, scale: tuple[float, float], shares: bool
) -> tuple[np.ndarray, dict]:
    """Return colours (H, W, 3) and what explains them."""
    probe, values = measured.probe, measured.found.values.cpu().numpy()
    if probe.reading == CLASS:
        colours = colours_of(probe)
        counts = np.bincount(values.ravel(), minlength=probe.outputs)
        order = [k for k in np.argsort(-counts, kind="stable") if counts[k]][:LEGEND_ENTRIES]
        names = [probe.classes.names[k] for k in order]
        if shares:
            names = [
                f"{n} {percent(counts[k] / values.size)}" for n, k in zip(names, order, strict=True)
            ]
        legend = tuple((name, colours[k]) for name, k in zip(names, order, strict=True))
        return np.array(colours, np.uint8)[values], {"legend": legend}
    if probe.reading == SCALAR:
        low, high = scale
        bar = palette.colorbar(palette.SEQUENTIAL, low, high, _scalar(probe))
        return palette.look_up(palette.SEQUENTIAL, values, low, high), {"colorbar": bar}
    # The usual picture of normals: right is red, up is green, towards the viewer is blue.
    seen = values * np.array([1, -1, -1])[:, None, None]
    colours = ((seen.transpose(1, 2, 0) + 1) * 127.5).round().astype(np.uint8)
    return colours, {"legend": NORMAL_LEGEND}


def _scalar(probe: Probe) -> str:
    """Return what a colour bar of a probe's values says."""
    return f"{probe.quantity or probe.title.lower()}{f' ({probe.unit})' if probe.unit else ''}"


def _difference(measured: Reading) -> np.ndarray:
    """Return how far two predictions are apart (H, W): 0 or 1, metres, or degrees."""
    one, other = measured.found.values.cpu().double(), measured.other.values.cpu().double()
    if measured.probe.reading == CLASS:
        return (one != other).double().numpy()
    if measured.probe.reading == SCALAR:
        return (one - other).abs().numpy()
    cross = torch.linalg.cross(one, other, dim=0).norm(dim=0)
    return torch.rad2deg(torch.atan2(cross, (one * other).sum(dim=0))).numpy()


def _reference(options: Options, on_screen: bool = True) -> str:
    reference = ProbeView.params(options).reference or options.upsamplers[0]
    if on_screen and reference not in options.upsamplers:
        raise ExplorerError(
            f"the reference {quoted(reference)} is not among the upsamplers: "
            f"{join_names(options.upsamplers)}"
        )
    return reference
