"""Make a figure of one photo, backbones by upsamplers, as PNG, PDF or SVG with its recipe
inside.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

HELP = "a figure of one photo: backbones by upsamplers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("photo", type=Path)
    parser.add_argument("--backbones", default="efficientnet_lite0", help="NAME[:STAGE],...")
    parser.add_argument("--upsamplers", default="bilinear,jbu,jafar,anyup")
    parser.add_argument("--views", default="pca", help="pca,attention,reach,similarity")
    parser.add_argument("--query", help="ROW,COL on the output grid; default: the middle")
    parser.add_argument("--checkpoint", action="append", default=[], metavar="METHOD=NAME_OR_PATH")
    parser.add_argument("--input-size", type=int, default=448, help="longer side, in pixels")
    parser.add_argument("--output-size", type=int, default=448, help="longer side, in pixels")
    parser.add_argument("--components", default="1,2,3", help="PCA components, from 1")
    parser.add_argument("--percentile", type=float, default=1.0)
    parser.add_argument("--device")
    parser.add_argument("--width", type=float, default=6.75, help="printed width in inches")
    parser.add_argument("--dpi", type=int, default=300)
    parser.add_argument("--theme", default="light", choices=("light", "dark", "transparent"))
    parser.add_argument("--metrics", action="store_true", help="numbers under the panels")
    parser.add_argument("--out", type=Path, required=True, help="FILE.png, FILE.pdf or FILE.svg")


def run(args: argparse.Namespace) -> int:
    """Write the figure; return 0."""
    from explorer.core import ExplorerError
    from explorer.figure import FORMATS, FigureStyle, render
    from explorer.session import Session
    from explorer.upsamplers import UPSAMPLERS
    from explorer.views import VIEWS

    kind = args.out.suffix.lower().lstrip(".")
    if kind not in FORMATS:
        raise ExplorerError(f"--out must end in one of: {', '.join('.' + f for f in FORMATS)}")
    options = read_options(args)
    for name in options.upsamplers:
        UPSAMPLERS.get(name)
    views = [VIEWS.create(name) for name in args.views.split(",")]
    session = Session(args.device)
    panels = []
    for view in views:
        made = view.render(session, options)
        failed = next((panel for panel in made if panel.error), None)
        if failed:
            raise ExplorerError(f"{failed.row}, {failed.column}: {failed.error}")
        if len(views) > 1:
            made = [replace(panel, row=f"{panel.row} · {view.title}") for panel in made]
        panels += made
    style = FigureStyle(width_in=args.width, dpi=args.dpi, theme=args.theme, metrics=args.metrics)
    data = render(panels, style, kind, options.recipe() | {"views": args.views.split(",")})
    part = args.out.with_suffix(args.out.suffix + ".part")
    part.write_bytes(data)
    os.replace(part, args.out)
    print(f"wrote {args.out} ({len(data) / 2**20:.2f} MiB)")
    return 0


def read_options(args: argparse.Namespace):
    """Return the options that the arguments stand for.

    Raises:
        ExplorerError: an argument that cannot be read, with what is expected.
    """
    from explorer.core import ExplorerError
    from explorer.image import open_photo
    from explorer.session import Options

    pairs = [pair.partition("=") for pair in args.checkpoint]
    if any(not name or not value for name, _, value in pairs):
        raise ExplorerError("--checkpoint is written as METHOD=NAME or METHOD=PATH")
    return Options(
        open_photo(args.photo),
        tuple(args.backbones.split(",")),
        tuple(args.upsamplers.split(",")),
        args.input_size,
        args.output_size,
        {name: value for name, _, value in pairs},
        query=_numbers(args.query, "--query", 2) if args.query else None,
        view={
            "components": [c - 1 for c in _numbers(args.components, "--components", 3)],
            "percentile": args.percentile,
        },
    )


def _numbers(text: str, name: str, count: int) -> tuple[int, ...]:
    from explorer.core import ExplorerError

    parts = text.split(",")
    if len(parts) != count or not all(part.strip().isdigit() for part in parts):
        raise ExplorerError(f"{name} takes {count} whole numbers with commas, not {text[:40]!r}")
    return tuple(int(part) for part in parts)
