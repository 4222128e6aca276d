"""Measure a property of a backbone on photos: where its cells look."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from explorer.files.bundled import EXAMPLES
from explorer.files.inputs import given_path

HELP = "properties of a backbone, measured on photos: where its cells look"
SIZE = 448


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    chosen = parser.add_subparsers(dest="property", required=True, metavar="WHAT")
    about = "how far from its centre a cell looks, by perturbation and by flip, at three sizes"
    child = chosen.add_parser("alignment", help=about, description=about)
    child.add_argument("backbone", metavar="BACKBONE", help="NAME[:STAGE]")
    child.add_argument("--photos", type=given_path, default=EXAMPLES, metavar="FOLDER")
    child.add_argument("--most", type=int, default=6, help="photos of the folder (6)")
    child.add_argument("--input-size", type=int, default=SIZE, help=f"side, in pixels ({SIZE})")
    corrected = "what is left after the declared offset is corrected"
    child.add_argument("--align", action="store_true", help=corrected)
    child.add_argument("--json", action="store_true", help="print JSON")
    child.add_argument("--device")


def run(args: argparse.Namespace) -> int:
    """Print the offsets; return 0."""
    from explorer.backbones import load_backbone
    from explorer.cli.batch import find_photos
    from explorer.evaluation.cell_offset import at_sizes
    from explorer.imaging import open_photo

    name, _, stage = args.backbone.partition(":")
    backbone = load_backbone(name, stage or None, args.device)
    photos = [open_photo(path) for path in find_photos([args.photos])[: max(0, args.most)]]
    found = at_sizes(backbone, photos, args.input_size, args.align)
    first, *_ = found
    depends = any(first.differs(other) for other in found if other.method == first.method)
    if args.json:
        about = {"backbone": name, "stage": backbone.stage, "aligned": args.align}
        rows = [asdict(one) | {"pixels": one.pixels} for one in found]
        print(json.dumps(about | {"depends_on_size": depends, "measured": rows}, indent=1))
        return 0
    aligned = " aligned" if args.align else ""
    print(
        f"{name}:{backbone.stage}{aligned}, {len(photos)} photos, stride {backbone.stride}: a cell"
    )
    print("looks (x, y) from its centre, 95% interval over photos")
    for one in found:
        values = zip(one.cells, one.low, one.high, one.pixels, strict=True)
        y, x = (
            f"{v:+.2f} [{low:+.2f}, {high:+.2f}] cells {px:+.1f} px" for v, low, high, px in values
        )
        print(f"  {one.method:12s} at {one.input_size}: x {x}, y {y}")
    print(f"the offset {'depends' if depends else 'does not depend'} on the input size")
    return 0
