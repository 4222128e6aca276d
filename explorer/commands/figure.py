"""Make a figure of one photo: backbones by upsamplers, as PNG, PDF or SVG with its recipe
inside.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

HELP = "a figure of one photo: backbones by upsamplers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("photo", type=Path)
    parser.add_argument("--backbones", default="efficientnet_lite0", help="NAME[:STAGE],...")
    parser.add_argument("--upsamplers", default="bilinear,jbu,featup,jafar,anyup")
    parser.add_argument("--checkpoint", action="append", default=[], metavar="METHOD=NAME_OR_PATH")
    parser.add_argument("--input-size", type=int, default=448, help="longer side, in pixels")
    parser.add_argument("--output-size", type=int, default=448, help="longer side, in pixels")
    parser.add_argument("--components", default="1,2,3", help="PCA components, from 1")
    parser.add_argument("--percentile", type=float, default=1.0)
    parser.add_argument("--device")
    parser.add_argument("--width", type=float, default=6.75, help="printed width in inches")
    parser.add_argument("--dpi", type=int, default=300)
    parser.add_argument("--theme", default="light", choices=("light", "dark", "transparent"))
    parser.add_argument("--out", type=Path, required=True, help="FILE.png, FILE.pdf or FILE.svg")


def run(args: argparse.Namespace) -> int:
    """Write the figure; return 0."""
    from explorer.core import ExplorerError
    from explorer.figure import FORMATS, FigureStyle, render
    from explorer.image import open_photo
    from explorer.session import Options, Session
    from explorer.views import VIEWS

    kind = args.out.suffix.lower().lstrip(".")
    if kind not in FORMATS:
        raise ExplorerError(f"--out must end in one of: {', '.join('.' + f for f in FORMATS)}")
    options = Options(
        open_photo(args.photo),
        tuple(args.backbones.split(",")),
        tuple(args.upsamplers.split(",")),
        args.input_size,
        args.output_size,
        dict(pair.split("=", 1) for pair in args.checkpoint),
        view={
            "components": [int(c) - 1 for c in args.components.split(",")],
            "percentile": args.percentile,
        },
    )
    from explorer.upsamplers import UPSAMPLERS

    for name in options.upsamplers:
        UPSAMPLERS.get(name)
    panels = VIEWS.create("pca").render(Session(args.device), options)
    failed = [panel for panel in panels if panel.error]
    if failed:
        raise ExplorerError(f"{failed[0].row}, {failed[0].column}: {failed[0].error}")
    style = FigureStyle(width_in=args.width, dpi=args.dpi, theme=args.theme)
    data = render(panels, style, kind, options.recipe())
    part = args.out.with_suffix(args.out.suffix + ".part")
    part.write_bytes(data)
    os.replace(part, args.out)
    print(f"wrote {args.out} ({len(data) / 2**20:.2f} MiB)")
    return 0
