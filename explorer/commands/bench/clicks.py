"""From a click to updated panels, once prepared."""

from __future__ import annotations

import argparse
import io
from functools import partial

from explorer.commands.bench.measuring import measured, median_ms, spread, target, timed
from explorer.files.bundled import EXAMPLES
from explorer.files.inputs import given_path

ORDER = 20  # in the command's help

ATTENTION_MS, SIMILARITY_MS = 150.0, 1500.0
EXAMPLE = EXAMPLES / "china.jpg"
CLICKS = ((0.5, 0.5), (0.3, 0.7), (0.02, 0.98), (0.8, 0.2), (0.45, 0.33))  # shares of the output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    parser.add_argument("--photo", type=given_path, default=EXAMPLE)
    parser.add_argument("--backbone", default="efficientnet_lite0", help="NAME[:STAGE]")
    parser.add_argument("--upsamplers", default="bilinear,featup,jafar,anyup")
    parser.add_argument("--checkpoint", action="append", default=[], metavar="METHOD=NAME_OR_PATH")
    parser.add_argument("--size", type=int, default=448, help="longer side of input and output")


def bench(args: argparse.Namespace) -> list[bool]:
    """Time a click for every method: attention overlays and similarity maps, once prepared."""
    from explorer.imaging import open_photo
    from explorer.session import Options, Session
    from explorer.views import VIEWS
    from explorer.views.attention import reading
    from explorer.views.rows import PairContext
    from explorer.views.similarity import similarity

    methods = tuple(args.upsamplers.split(","))
    options = Options(
        open_photo(args.photo),
        (args.backbone,),
        methods,
        args.size,
        args.size,
        dict(pair.split("=", 1) for pair in args.checkpoint),
    )
    session = Session("cpu")
    height, width = options.output
    queries = [(int(row * height), int(col * width)) for row, col in CLICKS]
    print(f"{options.photo.name}, output {height}x{width}, {args.backbone}, {len(methods)} methods")

    with measured() as cost:
        VIEWS.create("attention").render(session, options.with_query((0, 0)))
    print(f"  preparing, once per photo: {cost.wall:.1f} s wall, {cost.cpu:.1f} s CPU")
    for method in methods:
        places = [
            PairContext(session, options.with_query(q), args.backbone, "", method) for q in queries
        ]
        clicks = [timed(partial(reading, place)) for place in places]
        print(f"    {method}: {spread(clicks)}")
    view = VIEWS.create("attention")
    clicks = [timed(partial(view.render, session, options.with_query(q))) for q in queries]
    print(f"  click to attention overlays: {spread(clicks)}")
    drawn = view.render(session, options.with_query(queries[0]))[1:]  # the photo stays as it is
    files = [timed(lambda: [_png(panel.image) for panel in drawn]) for _ in range(5)]
    print(f"  those as PNG files: {spread(files)}")
    total = median_ms(clicks) + median_ms(files)
    met = [target(f"{total:.0f} ms, under {ATTENTION_MS:.0f} ms wanted", total < ATTENTION_MS)]

    print("  once per photo, norms:")
    for method in methods:
        once = timed(partial(session.norms, options, args.backbone, method))
        print(f"    {method}: {once[0]:.1f} s wall, {once[1]:.1f} s CPU")
    for method in methods:
        places = [
            PairContext(session, options.with_query(q), args.backbone, "", method)
            for q in queries[:3]
        ]
        clicks = [timed(partial(similarity, place, place)) for place in places]
        print(f"    {method}: {spread(clicks)}")
    view = VIEWS.create("similarity")
    clicks = [timed(partial(view.render, session, options.with_query(q))) for q in queries[3:]]
    print(f"  click to similarity maps: {spread(clicks)}")
    total = median_ms(clicks)
    met.append(
        target(f"{total:.0f} ms, under {SIMILARITY_MS:.0f} ms wanted", total < SIMILARITY_MS)
    )
    return met


def _png(image) -> int:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG", compress_level=1)
    return out.tell()
