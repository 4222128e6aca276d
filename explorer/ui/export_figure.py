"""What an exported figure shows, how it looks on the page, and the files made of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from explorer.citations import bibtex
from explorer.core import ExplorerError, Panel
from explorer.figure import (
    FigureStyle,
    figure_size,
    indistinguishable_pairs,
    missing_characters,
    panels_zip,
    render,
)
from explorer.figure.grid import arrange
from explorer.figure.latex import shown_keys
from explorer.figure.recipe import to_json
from explorer.imaging import Photo
from explorer.probes.strokes import Stroke
from explorer.reproduce import Shown, figure_panels, figure_recipe
from explorer.session import Options, Session
from explorer.ui.file_store import stored
from explorer.ui.settings import Settings
from explorer.views import VIEWS
from explorer.views.predictions import ProbeParams

SCREEN_DPI = 150
CSS_PX_PER_INCH = 128  # printed inches are shown a third larger than CSS inches
SCRIBBLE = "scribble"
SCRIBBLED = {
    "probe": "scribble",
    "show": "prediction",
    "opacity": ProbeParams.opacity,
    "shares": False,
}
GRID = "backbone grid"


@dataclass(frozen=True, eq=False)
class Content:
    """The panels of a figure and the recipe that makes them again."""

    panels: tuple[Panel, ...]
    recipe: dict[str, Any]

    def names(self) -> dict[str, list[str]]:
        """Return the labels of all "rows" and "columns", in order."""
        return {
            "rows": list(dict.fromkeys(panel.row for panel in self.panels)),
            "columns": list(dict.fromkeys(panel.column for panel in self.panels)),
        }


@dataclass(frozen=True, eq=False)
class _Kept:
    panels: tuple[Panel, ...]

    def nbytes(self) -> int:
        return sum(panel.image.nbytes for panel in self.panels)


class _FailedError(Exception):
    """Carries panels of which some have an error: they are shown, but not kept."""


def view_menu() -> list[tuple[str, str]]:
    """Return (title, name) of the views that a figure can show."""
    found = [(VIEWS.get(name).title, name) for name in VIEWS]
    return [*found, ("Scribble probe", SCRIBBLE)]


def views_of(
    settings: Settings, names: Sequence[str], second: Photo | None, strokes: Sequence[Stroke]
) -> list[Shown]:
    """Return the views called ``names`` (none: the one on screen) with the settings' options.

    Raises:
        ExplorerError: no such view, or a scribble without strokes.
    """
    found = []
    for name in names or (settings.view,):
        if name == SCRIBBLE:
            if not strokes:
                raise ExplorerError("the scribble probe needs strokes: paint some in its tab first")
            found.append(
                Shown("probe", SCRIBBLED | {"strokes": [one.to_json() for one in strokes]})
            )
            continue
        kind = VIEWS.get(name)
        options = dict(kind.figure_options) | replace(settings, view=name).view_options()
        found.append(Shown(name, options, second if kind.takes_second_photo else None))
    return found


def content(session: Session, options: Options, views: Sequence[Shown]) -> Content:
    """Return a figure's panels, those with an error included, and its recipe.

    Raises:
        ExplorerError: settings nobody can compute, or weights that may not be asked for here.
    """
    for method, wanted in options.checkpoints.items():  # a recipe holds the digest of a file
        session.limits.check_checkpoint(method, wanted)
    recipe = figure_recipe(session, options, views)

    def make() -> _Kept:
        panels = tuple(figure_panels(session, options, views))
        if any(panel.error for panel in panels):
            raise _FailedError(panels)
        return _Kept(panels)

    key = ("figure", to_json(recipe), str(session.device), session.encoders)
    try:
        return Content(session.results.get(key, make).panels, recipe)
    except _FailedError as failed:
        return Content(failed.args[0], recipe)


def suiting(views: Sequence[Shown], options: Options) -> str:
    """Return the name of the preset that suits the views."""
    if len(options.backbones) > 1 and {shown.name for shown in views} == {"pca"}:
        return GRID
    chosen = next((shown.name for shown in views if shown.name != "pca"), "pca")
    return VIEWS.get(chosen).preset


def preview_value(shown: Content, style: FigureStyle) -> dict[str, Any]:
    """Describe the figure for the preview; its picture is what ``render`` makes at screen dpi."""
    data = render(shown.panels, replace(style, dpi=SCREEN_DPI), "png", shown.recipe)
    grid = arrange(shown.panels, style)
    rows, columns = (", ".join(filter(None, names)) for names in (grid.rows, grid.columns))
    return {
        "image": stored(data, "preview.png").model_dump(),
        "width": round(style.width_in * CSS_PX_PER_INCH),
        "theme": style.theme,
        "alt": f"The figure: {columns}; {rows}",
    }


def figure_file(shown: Content, style: FigureStyle, kind: str) -> bytes:
    """Return the figure as "png", "pdf" or "svg", its panels as "zip", or its citations as "bib".

    Raises:
        ExplorerError: a style that does not fit the panels, or nothing to cite.
    """
    if kind == "zip":
        return panels_zip(shown.panels, style, shown.recipe)
    if kind == "bib":
        keys = shown_keys(arrange(shown.panels, style).shown())
        if not keys:
            raise ExplorerError("nothing in this figure has a paper to cite")
        return bibtex(keys).encode()
    return render(shown.panels, style, kind, shown.recipe)


def file_name(photo: Photo, views: Sequence[Shown], kind: str) -> str:
    """Return what a downloaded file is called."""
    words = [Path(photo.name).stem, *(shown.name for shown in views)]
    plain = re.sub(r"[^\w-]+", "-", "_".join(words), flags=re.ASCII).strip("-_")[:60]
    return f"{plain or 'figure'}.{kind}"


def summary(shown: Content, style: FigureStyle) -> str:
    """Return a figure's size, and what a reviewer would remark on, as sentences."""
    width, height = figure_size(shown.panels, style)
    grid = arrange(shown.panels, style)
    found = [
        f"{width:.2f} × {height:.2f} in, {len(grid.cells)} panels; PNG "
        f"{round(width * style.dpi)} × {round(height * style.dpi)} px at {style.dpi} dpi"
    ]
    for panel in grid.cells.values():
        if panel.error:
            found.append(f"no picture of {panel.column}, {panel.row}: {panel.error}")
            break
    if style.legends:
        legend = list(dict.fromkeys(entry for panel in grid.shown() for entry in panel.legend))
        alike = indistinguishable_pairs(legend)
        if alike:
            one, other, vision = alike[0]
            who = "everybody" if vision == "normal" else f"readers with {vision}"
            found.append(f"the legend's colours of {one} and {other} look alike to {who}")
    texts = [style.label(name) for name in (*grid.rows, *grid.columns)]
    missing = missing_characters("".join(texts), style.font)
    if missing:
        found.append(f"no font here can print {missing[:20]}")
    return " · ".join(found)
