"""Make figures of photos, backbones by upsamplers, as PNG, PDF or SVG with their recipe inside, or
make a figure again from that recipe.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.cli.arguments import (
    add_align,
    add_run_arguments,
    chosen_align,
    destination,
    name_list,
    numbers,
    pairs,
    refuse,
    run_photos,
    view_option,
)
from explorer.files.inputs import given_path
from explorer.files.outputs import add_output

if TYPE_CHECKING:
    from explorer.core import Panel
    from explorer.figure import FigureStyle
    from explorer.imaging import Photo
    from explorer.reproduce import Restored, Shown
    from explorer.session import Options, Session

HELP = "figures of photos: backbones by upsamplers; or one again from its recipe"
KINDS = ("png", "pdf", "svg", "zip")
SIZE = 448

# what a recipe decides; with --recipe these are refused
SETTINGS = (
    *("backbones", "upsamplers", "views", "query", "input_size", "output_size", "align"),
    *(
        "components",
        "percentile",
        "view_option",
        "preset",
        "width",
        "dpi",
        "theme",
        "font",
        "metrics",
    ),
    *("captions", "inset", "inset_place"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("photos", nargs="*", metavar="PHOTO", help="files, folders, 'patterns*'")
    parser.add_argument("--photo", action="append", default=[], help="the same, by name")
    parser.add_argument(
        "--recipe", type=given_path, metavar="FIGURE", help="take all settings from it"
    )
    parser.add_argument("--backbones", help="NAME[:STAGE],... (efficientnet_lite0)")
    parser.add_argument("--upsamplers", help="NAME,... (bilinear,jbu,jafar,anyup)")
    parser.add_argument("--views", help="NAME,... of `list views` (pca)")
    parser.add_argument(
        "--view-option", action="append", metavar="NAME=VALUE", help="see: list options"
    )
    parser.add_argument("--query", help="ROW,COL on the output grid (the middle)")
    parser.add_argument("--second", type=given_path, help="second photo of the similarity view")
    parser.add_argument("--checkpoint", action="append", default=[], metavar="METHOD=NAME_OR_PATH")
    parser.add_argument("--input-size", type=int, help=f"longer side, in pixels ({SIZE})")
    parser.add_argument("--output-size", type=int, help=f"longer side, in pixels ({SIZE})")
    add_align(parser)
    parser.add_argument("--components", help="PCA components, from 1 (1,2,3)")
    parser.add_argument("--percentile", type=float, help="clipped at each end of the colours (1)")
    parser.add_argument("--device")
    parser.add_argument("--preset", help="teaser strip, method comparison with insets, ...")
    parser.add_argument("--width", type=float, help="printed width in inches (6.75)")
    parser.add_argument("--dpi", type=int, help="(300)")
    parser.add_argument("--theme", choices=("light", "dark", "transparent"))
    parser.add_argument("--font", choices=("serif", "sans"))
    parser.add_argument("--metrics", action=argparse.BooleanOptionalAction, help="numbers (no)")
    parser.add_argument("--captions", action=argparse.BooleanOptionalAction, help="captions (no)")
    parser.add_argument(
        "--inset", action="append", metavar="R0,R1,C0,C1", help="zoom box in fractions; up to 3"
    )
    parser.add_argument("--inset-place", choices=("below", "beside"))
    parser.add_argument("--zip", action="store_true", help="the panels as PNGs and a LaTeX snippet")
    citations = "citations of what is shown; - prints them"
    add_output(parser, "--bibtex", {"dash": True}, metavar="FILE", help=citations)
    add_run_arguments(parser, KINDS)


@dataclass(frozen=True, eq=False)
class Plan:
    """One figure before anything is computed; ``style`` is None if a preset derives it."""

    options: Options
    views: tuple[Shown, ...]
    recipe: dict[str, Any]
    style: FigureStyle | None
    remarks: tuple[str, ...] = ()
    restored: Restored | None = None  # of a recipe


def run(args: argparse.Namespace) -> int:
    """Write the figures; return 0, or 1 if some photo of several failed."""
    from explorer.core import ExplorerError
    from explorer.imaging import open_photo
    from explorer.reproduce import open_figure, restore
    from explorer.session import Session

    given = [*args.photos, *args.photo]
    if not given:
        raise ExplorerError("name a photo" + (": --photo FILE" if args.recipe else ""))
    chosen = "zip" if args.zip else args.format
    read = [path for path in (args.recipe, args.second) if path]
    place = destination(given, args.out, chosen, KINDS, "pdf", read)
    second = open_photo(args.second) if args.second else None
    if args.recipe:
        refuse(args, SETTINGS, "--recipe brings its own settings")
        figure, files = open_figure(args.recipe), pairs(args.checkpoint, "--checkpoint")
        session = Session(args.device)

        def plan(photo: Photo) -> Plan:
            made = restore(figure, photo, session, second, files)
            return Plan(made.options, made.views, made.recipe, made.style, made.remarks, made)

        styled = None
    else:
        session = Session(args.device)
        plan, styled = read_plan(args, session, second)
    cited: dict[str, None] = {}

    def make(path: Path, target: Path) -> tuple[bool, tuple[str, ...]]:
        try:
            made = plan(open_photo(path))
            cited.update(dict.fromkeys((*made.options.backbones, *made.options.upsamplers)))
            if not args.force and made_before(target, made):
                return False, made.remarks
            said = write_figure(session, made, styled, target)
            return True, (*made.remarks, *said)
        finally:
            session.results.clear()  # the next photo shares none of it

    code = run_photos(place, make)
    if args.bibtex:
        _cite(args.bibtex, list(cited))
    return code


def read_plan(
    args: argparse.Namespace, session: Session, second: Photo | None
) -> tuple[Callable[[Photo], Plan], Callable[[list[Panel]], FigureStyle] | None]:
    """Return what plans a photo's figure, and what derives its style from the panels if a preset
    does. Everything that does not depend on a photo is checked and loaded here.

    Raises:
        ExplorerError: an argument that cannot be used, with what is expected.
    """
    import numpy as np

    from explorer.core import ExplorerError
    from explorer.figure import PRESETS, FigureStyle
    from explorer.imaging import Photo
    from explorer.reproduce import Shown, check_checkpoints, figure_recipe
    from explorer.session import Options
    from explorer.upsamplers import UPSAMPLERS
    from explorer.views import VIEWS
    from explorer.views.base import check_view_options
    from explorer.views.pca import parse_components

    checkpoints = pairs(args.checkpoint, "--checkpoint")
    query = None if args.query is None else tuple(numbers(args.query, "--query", 2))
    upsamplers = name_list(_given(args.upsamplers, "bilinear,jbu,jafar,anyup"), "--upsamplers")
    backbones = name_list(_given(args.backbones, "efficientnet_lite0"), "--backbones")
    sizes = (
        SIZE if args.input_size is None else args.input_size,
        SIZE if args.output_size is None else args.output_size,
    )

    align = chosen_align(args)

    def options_of(photo: Photo) -> Options:
        chosen = (backbones, upsamplers, *sizes, checkpoints)
        return Options(photo, *chosen, query=query, align=align)

    for name in upsamplers:
        UPSAMPLERS.get(name)
    texts = pairs(args.view_option or [], "--view-option")
    given = {name: view_option(text, name) for name, text in texts.items()}
    shown_views = name_list(_given(args.views, "pca"), "--views")
    check_view_options(given, shown_views)
    check_checkpoints(checkpoints, backbones, upsamplers, [given])
    colours = dict(VIEWS.get("pca").figure_options)
    if args.components is not None:
        colours["components"] = parse_components(numbers(args.components, "--components", 3))
    if args.percentile is not None:
        colours["percentile"] = args.percentile
    check_view_options(colours, ["pca"])
    views = [
        Shown(
            name,
            (colours if name == "pca" else {}) | given,
            second if VIEWS.get(name).takes_second_photo else None,
        )
        for name in shown_views
    ]
    if second is not None and all(shown.second is None for shown in views):
        able = [name for name in VIEWS if VIEWS.get(name).takes_second_photo]
        raise ExplorerError(f"--second is the second photo of --views {' or '.join(able)}")
    changes = style_changes(args)
    style, preset, styled = FigureStyle(**({"metrics": False} | changes)), None, None
    if args.preset is not None:
        make = PRESETS.get(args.preset)
        known = style.to_dict()
        preset = {"name": args.preset, "changes": {name: known[name] for name in changes}}
        style = None

        def styled(panels: list[Panel]) -> FigureStyle:
            return replace(make(panels), **changes)

    blank = options_of(Photo(np.zeros((64, 64, 3), np.uint8)))
    for name in backbones:
        for method in upsamplers:
            session.upsampler(method, name, blank)

    def plan(photo: Photo) -> Plan:
        options = options_of(photo)
        options.check_query()
        return Plan(options, tuple(views), figure_recipe(session, options, views, preset), style)

    return plan, styled


def style_changes(args: argparse.Namespace) -> dict[str, Any]:
    """Return the figure's style settings that were given."""
    from explorer.figure import Inset

    names = {"width": "width_in"} | {
        name: name for name in ("dpi", "theme", "font", "metrics", "captions")
    }
    changes = {
        setting: getattr(args, name)
        for name, setting in names.items()
        if getattr(args, name) is not None
    }
    if args.inset:
        boxes = [numbers(text, "--inset", 4, float) for text in args.inset]
        place = args.inset_place or "below"
        changes["insets"] = tuple(Inset(tuple(box), place=place) for box in boxes)
    return changes


def made_before(target: Path, plan: Plan) -> bool:
    """Whether ``target`` is a whole figure with exactly this plan's recipe and style."""
    from explorer.core import ExplorerError
    from explorer.figure.recipe import to_json
    from explorer.reproduce import open_figure

    if not target.is_file():
        return False
    try:
        found = open_figure(target)
    except ExplorerError:
        return False
    same = to_json(found["recipe"]) == to_json(plan.recipe)
    style = plan.style
    return same and (style is None or to_json(found["style"]) == to_json(style.to_dict()))


def write_figure(
    session: Session,
    plan: Plan,
    styled: Callable[[list[Panel]], FigureStyle] | None,
    target: Path,
) -> list[str]:
    """Compute a plan's panels and write the figure, atomically; return remarks on its panels.

    Raises:
        ExplorerError: a panel has no picture, unless it had none in the figure of the recipe.
    """
    from explorer.figure import panels_zip, render
    from explorer.files.atomic import part_file
    from explorer.reproduce import complete, figure_panels

    panels = figure_panels(session, plan.options, plan.views)
    if plan.restored:
        remarks = plan.restored.compared(panels)
    else:
        complete(panels)
        remarks = []
    style = styled(panels) if plan.style is None else plan.style
    kind = target.suffix.lower().lstrip(".")
    if kind == "zip":
        data = panels_zip(panels, style, plan.recipe)
    else:
        data = render(panels, style, kind, plan.recipe)
    with part_file(target) as part:
        part.write_bytes(data)
    return remarks


def _given(text: str | None, usual: str) -> str:
    return usual if text is None else text


def _cite(where: Path, names: list[str]) -> None:
    from explorer.citations import cite
    from explorer.files.atomic import part_file

    text = cite(*names)
    if str(where) == "-":
        print(text, end="")
        return
    with part_file(where) as part:
        part.write_text(text, "utf-8")
