"""From settings to a figure's panels and to the recipe that travels inside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from explorer import __version__
from explorer.core import ExplorerError, Panel
from explorer.imaging import Photo
from explorer.session import Options, Session
from explorer.views import VIEWS
from explorer.views.base import check_second_photo
from explorer.views.predictions import SCRIBBLE, ProbeParams, find_probe
from explorer.weights.paths import digest
from explorer.weights.resolution import is_path

LIBRARIES = ("torch", "timm", "numpy", "matplotlib", "pillow")


@dataclass(frozen=True, eq=False)
class Shown:
    """One view of a figure: its name, its own options (None: those of ``Options.view``), and the
    second photo of a view that looks at one.
    """

    name: str
    view: Mapping[str, Any] | None = None
    second: Photo | None = None

    def options(self, options: Options) -> Options:
        """Return the settings with this view's own options."""
        return options if self.view is None else replace(options, view=dict(self.view))


def figure_panels(session: Session, options: Options, views: Sequence[Shown]) -> list[Panel]:
    """Return the panels of one or more views for a figure, those with an error included.

    The rows of several views are told apart by the view's title. Folders are left out: a figure
    made again must be the same.
    """
    titles: Counter[str] = Counter()
    panels: list[Panel] = []
    for shown in views:
        extra = {} if shown.second is None else {"second": shown.second}
        check_second_photo(shown.name, bool(extra))
        view = VIEWS.create(shown.name, **extra)
        titles[view.title] += 1
        count = titles[view.title]
        title = view.title if count == 1 else f"{view.title} {count}"
        for panel in view.render(session, shown.options(options)):
            row = f"{panel.row} · {title}" if len(views) > 1 else panel.row
            recipe = dict(panel.recipe)
            if "checkpoints" in recipe:
                recipe["checkpoints"] = portable(options.checkpoints)
            panels.append(replace(panel, row=row, recipe=recipe))
    return panels


def complete(panels: Sequence[Panel], excused: Collection[tuple[str, str]] = ()) -> Sequence[Panel]:
    """Return the panels; raise ExplorerError with the first error that one of them carries, but
    for panels whose (row, column) is ``excused``.
    """
    for panel in panels:
        if panel.error and (panel.row, panel.column) not in excused:
            raise ExplorerError(f"{panel.row}, {panel.column}: {panel.error}")
    return panels


def figure_recipe(
    session: Session,
    options: Options,
    views: Sequence[Shown],
    preset: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return everything a figure is made from but its style, as JSON values without any path.

    Settings, every view with all its options, weights with digests, versions. ``preset`` is what
    the style was derived from, if the style alone does not tell.
    """
    recipe = options.recipe()
    del recipe["view"]
    return recipe | {
        "checkpoints": portable(options.checkpoints),
        "views": [
            {
                "name": shown.name,
                "options": dict(shown.options(options).view),
                "second": shown.second
                and {"name": shown.second.name, "sha256": shown.second.digest},
            }
            for shown in views
        ],
        "weights": weights(session, options, views),
        "versions": versions(),
        "preset": None if preset is None else dict(preset),
    }


def versions() -> dict[str, str]:
    """Return the versions of the explorer and of the libraries that decide about pixels."""
    return {"explorer": __version__} | {name: metadata.version(name) for name in LIBRARIES}


def portable(checkpoints: Mapping[str, str]) -> dict[str, Any]:
    """Return chosen checkpoints as JSON: rows by name, files by file name and digest.

    Raises:
        ExplorerError: a file that is not there.
    """
    found: dict[str, Any] = {}
    for method, wanted in checkpoints.items():
        found[method] = wanted
        if is_path(wanted):
            path = Path(wanted).expanduser()
            if not path.is_file():
                raise ExplorerError(f"there is no file of weights {path} for {method}")
            found[method] = {"file": path.name, "sha256": digest(path)}
    return found


def weights(session: Session, options: Options, views: Sequence[Shown] = ()) -> list[dict]:
    """Return who made what: backbones, trained upsamplers and probes with origin and sha256.

    What cannot be loaded is left out: its panel says why.
    """
    found = []

    def add(load, **about: str) -> None:
        try:
            made = load()
        except ExplorerError:
            return
        if getattr(made, "trained", True):
            if "upsampler" in about:
                note = made.weights_note()
                about |= {"checkpoint": made.checkpoint} | ({"note": note} if note else {})
            elif getattr(made, "fallback_for", ""):
                about["fallback_for"] = made.fallback_for
            # what follows a colon in a probe's digest belongs to the photo
            digest = made.digest.split(":")[0] if "probe" in about else made.digest
            if set(about) == {"backbone"} and made.alignment_note(options.align):
                about["alignment"] = made.alignment_note(options.align)
            found.append({**about, "origin": made.origin, "sha256": digest})

    for name in options.backbones:
        add(lambda name=name: session.backbone(name), backbone=name)
        for method in options.upsamplers:
            add(
                lambda name=name, method=method: session.upsampler(method, name, options),
                backbone=name,
                upsampler=method,
            )
        for chosen in (shown.options(options) for shown in views if shown.name == "probe"):
            wanted = ProbeParams.read(chosen.view).probe
            if wanted != SCRIBBLE:
                add(
                    lambda name=name, chosen=chosen: find_probe(session, chosen, name),
                    backbone=name,
                    probe=wanted,
                )
    return found
