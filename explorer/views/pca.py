"""PCA colours: one basis and one colour scale for every method of a backbone."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le, Lt
from pydantic import BeforeValidator
from pydantic.dataclasses import dataclass
from torch import Tensor

from explorer.core import ExplorerError, Panel, SizeError
from explorer.core.messages import quoted
from explorer.core.validation import Described, Real, Whole, checked
from explorer.session import Options, Session, identity
from explorer.upsamplers import UPSAMPLERS
from explorer.views.base import VIEWS, View, error_panel, joined, photo_panel
from explorer.views.basis import Basis, Scale, fit, project
from explorer.views.params import Control, Params
from explorer.views.rows import PairContext, backbone_provenance, row_label

KEPT = 12
PREVIEW_SHRINK = 4
SMALLEST_PREVIEWED = 128  # pixels of the output's shorter side
Component = Annotated[Whole, Ge(0), Le(KEPT - 1)]


def parse_components(numbers: Sequence[int]) -> list[int]:
    """Return components from 0, as the view takes them, for three numbers from 1."""
    last = Annotated[Whole, Ge(1), Le(KEPT)]
    kind = Annotated[tuple[last, last, last], Described(f"three numbers from 1 to {KEPT}")]
    return [number - 1 for number in checked(kind, numbers, "components")]


def _from_text(value: Any) -> Any:
    """Read "4-6" as components from 0; leave anything but a text as it is."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"([0-9]{1,3})-([0-9]{1,3})", value)
    if not found:
        raise ExplorerError(f"PCA components are written as 1-3 or 4-6, not {quoted(value)}")
    return parse_components(list(range(int(found[1]), int(found[2]) + 1)))


Components = Annotated[tuple[Component, Component, Component], BeforeValidator(_from_text)]


@dataclass(frozen=True)
class PCAParams(Params):
    """Which components are shown, and how their colours are scaled."""

    components: Annotated[
        Components,
        Control(
            "Components",
            'Three principal components as red, green and blue: indices from 0, or text as "1-3".',
            choices=tuple((f"{n}-{n + 2}", (n - 1, n, n + 1)) for n in range(1, KEPT, 3)),
            free=True,
            key="components",
        ),
    ] = (0, 1, 2)
    percentile: Annotated[
        Real,
        Ge(0),
        Lt(50),
        Control(
            "Clipped, %",
            "Percentile of the coarse cells that is clipped at each end of the colour scale.",
            step=0.5,
            ends=(0, 10),
            key="percentile",
        ),
    ] = 1.0


@VIEWS.register("pca")
class PCAView(View):
    """Principal components of the features as colours, comparable across methods."""

    name = "pca"
    title = "PCA"
    order = 10
    Params = PCAParams
    preset = "method comparison with insets"
    figure_options: ClassVar = {  # recipes have always named them
        "components": list(PCAParams.components),
        "percentile": PCAParams.percentile,
    }
    endpoint = "explore"
    api_defaults: ClassVar = {"components": "1-3"}

    def stream(self, session: Session, options: Options) -> Iterator[Panel]:
        """Yield what is ready first: photos and coarse maps, methods without weights, then small
        previews of the others, and last their maps, cheap ones before expensive ones.
        """
        setting = self.params(options)
        rows: list[tuple[str, str]] = []
        for backbone in options.backbones:
            label = backbone
            try:
                label = row_label(session, backbone)
                yield photo_panel(session, options, label, backbone)
                yield self._coarse(session, options, backbone, label, setting)
                rows.append((backbone, label))
            except Exception as error:
                about = {"role": "coarse", "backbone": backbone}
                yield error_panel(label, "Coarse", options.output, error, **about)
        places = [
            PairContext(session, options, *row, method)
            for row in rows
            for method in sorted(options.upsamplers, key=_cost)
        ]
        for work in (self._quick, self._preview, self._method):
            left = []
            for place in places:
                try:
                    panel = work(place, setting)
                except Exception as error:  # the other panels must come whatever happens
                    about = {"backbone": place.backbone, "method": place.method}
                    panel = error_panel(place.label, place.column, place.size, error, **about)
                if panel is not None:
                    yield panel
                if panel is None or panel.preview:
                    left.append(place)
            places = left

    def render(self, session: Session, options: Options) -> list[Panel]:
        """Return all final panels, row by row, methods in the order of the options."""
        places = {name: n for n, name in enumerate(options.upsamplers)}
        rows = {name: n for n, name in enumerate(options.backbones)}
        panels = {(panel.row, panel.column): panel for panel in self.stream(session, options)}

        def place(panel: Panel) -> tuple[int, int]:
            lead = {"photo": -2, "coarse": -1}.get(panel.role)
            return rows[panel.backbone], places[panel.method] if lead is None else lead

        return sorted(panels.values(), key=place)

    def basis(
        self, session: Session, options: Options, backbone: str, setting: PCAParams
    ) -> tuple[Basis, Scale]:
        """Return the row's basis (first 12 components) and the colour scale of its coarse cells."""
        features = session.features(options, backbone)
        model = session.backbone(backbone)
        key = (options.photo.digest, *identity(model, options), features.image_size)

        def make() -> Basis:
            return fit([features.data], KEPT)

        found = session.results.get(("basis", *key), make)
        if max(setting.components) >= len(found.weight):
            raise ExplorerError(
                f"these features have only {len(found.weight)} components; choose lower ones"
            )
        coarse = self._pick(project(found, features.data), setting)
        return found, Scale.robust(coarse, setting.percentile)

    def projected(
        self, session: Session, options: Options, backbone: str, method: str, setting: PCAParams
    ) -> tuple[Tensor, Scale, Basis]:
        """Return a method's chosen components (1, 3, H', W'), their scale and basis."""
        basis, scale = self.basis(session, options, backbone, setting)
        made = session.upsampler(method, backbone, options)
        if made.space != "backbone":
            own = session.resampler(options, backbone, method).resampler.values
            basis = fit([own], KEPT)
            scale = Scale.robust(self._pick(project(basis, own), setting), setting.percentile)
        all_of_them = session.projected(
            options, backbone, method, basis.weight, basis.bias, f"pca{KEPT}"
        )
        return self._pick(all_of_them, setting), scale, basis

    def _coarse(
        self, session: Session, options: Options, backbone: str, label: str, setting: PCAParams
    ) -> Panel:
        basis, scale = self.basis(session, options, backbone, setting)
        features = session.features(options, backbone)
        model = session.backbone(backbone)
        height, width = features.grid
        colours = scale.paint(self._pick(project(basis, features.data), setting)[0])
        explained = [basis.explained[c].item() for c in setting.components]
        return Panel(
            label,
            "Coarse",
            colours,
            caption=joined(
                f"{height}×{width} cells, {model.dim} channels", model.alignment_note(options.align)
            ),
            origin=model.origin,
            metrics=(("variance", " + ".join(f"{100 * e:.0f}%" for e in explained)),),
            recipe=self._recipe(options, backbone, model, None, setting, basis),
            role="coarse",
            backbone=backbone,
            grid=features.grid,
        )

    def _quick(self, place: PairContext, setting: PCAParams) -> Panel | None:
        """Return the map of a method without an encoder, or one that is kept already."""
        return self._method(place, setting) if not place.upsampler.trained or place.kept else None

    def _preview(self, place: PairContext, setting: PCAParams) -> Panel | None:
        """Return a map of a part of the size, if it shows the same colours as the whole one."""
        session, options, backbone = place.session, place.options, place.backbone
        if place.upsampler.space != "backbone" or min(place.size) < SMALLEST_PREVIEWED:
            return None
        basis, scale = self.basis(session, options, backbone, setting)
        try:
            small = session.preview(options, backbone, place.method, PREVIEW_SHRINK)
        except SizeError:  # what is too small for a preview may be large enough in full
            return None
        chosen = list(setting.components)
        colours = small.project(basis.weight[chosen], basis.bias[chosen])[0]
        return Panel(
            place.label,
            place.column,
            scale.paint(colours),
            caption=f"preview at 1/{PREVIEW_SHRINK} size",
            origin=place.upsampler.origin,
            backbone=backbone,
            method=place.method,
            grid=small.grid,
            preview=True,
        )

    def _method(self, place: PairContext, setting: PCAParams) -> Panel:
        session, options, backbone = place.session, place.options, place.backbone
        made = place.upsampler
        start = time.perf_counter()
        colours, scale, basis = self.projected(session, options, backbone, place.method, setting)
        prepared = session.resampler(options, backbone, place.method)
        seconds = max(prepared.seconds, time.perf_counter() - start)
        notes = [prepared.resampler.note()]
        if made.space != "backbone":
            notes.append("own PCA basis: outputs live in a normalised space")
        model = session.backbone(backbone)
        recipe = self._recipe(options, backbone, model, made, setting, basis)
        return place.panel(scale.paint(colours[0]), notes, recipe=recipe, seconds=seconds)

    def _pick(self, components: Tensor, setting: PCAParams) -> Tensor:
        return components[:, list(setting.components)]

    def _recipe(self, options, backbone, model, made, setting, basis) -> dict:
        return {
            "view": self.name,
            "backbone": backbone_provenance(model, backbone, options),
            "upsampler": made and made.provenance(),
            "pca": describe(basis, setting),
        }


def describe(basis: Basis, setting: PCAParams) -> str:
    """Return the recipe of the colours in words."""
    chosen = ", ".join(str(c + 1) for c in setting.components)
    return (
        f"PCA of {basis.cells} coarse cells, components {chosen}, largest loading positive, "
        f"colours from percentile {setting.percentile:g} to {100 - setting.percentile:g} of the "
        "coarse cells, shared by the row"
    )


def _cost(name: str) -> float:
    """Return the seconds that a method declares; none for an unknown one, which fails at once."""
    return UPSAMPLERS.get(name).cost.seconds if name in UPSAMPLERS else 0.0
