"""Score a finished training run on the held-out photos and put it, with its card, into a folder."""

from __future__ import annotations

import argparse

from explorer.cli.arguments import assignments
from explorer.files.inputs import given_path
from explorer.files.outputs import add_output, check_file
from explorer.weights.rows import check_checkpoint_name

HELP = "score a finished run and write its card"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "weights",
        type=given_path,
        help="what train wrote, or weights shipped before, to score again",
    )
    parser.add_argument(
        "--data", required=True, type=given_path, help="the photos it was trained on"
    )
    parser.add_argument("--backbones", help="NAME[:STAGE],... to score on; default: the run's own")
    parser.add_argument(
        "--options", help="of the method at use, NAME=VALUE,..., beside those it was trained with"
    )
    add_output(parser, "--out", {"folder": True}, default="checkpoints", help="folder")
    parser.add_argument("--name", help="default: the run's file name")
    parser.add_argument("--held-out", type=int, default=80)
    parser.add_argument("--photos", type=int, help="score on the first N held-out photos only")
    parser.add_argument("--guidance", type=int, default=448, help="side of the guidance, pixels")
    parser.add_argument(
        "--labelled", type=given_path, help="folder with label maps: sharpness at use"
    )
    parser.add_argument("--labels", help="its folder of label maps, e.g. labels13")
    parser.add_argument("--labelled-photos", type=int, default=12)
    add_output(parser, "--cache", {"folder": True}, help="folder for half-precision features")
    parser.add_argument("--notes", default="")
    parser.add_argument("--device")


def run(args: argparse.Namespace) -> int:
    """Write checkpoint and card; return 0."""
    from explorer.backbones import load_backbone
    from explorer.cli.progress import progress_bar, report_to
    from explorer.core import pick_device
    from explorer.datasets import open_dataset
    from explorer.loading import load_upsampler
    from explorer.resources.feature_cache import FeatureCache
    from explorer.training.photos import photo_paths, split
    from explorer.training.recipe import check_options
    from explorer.training.sharpness import label_scores
    from explorer.training.shipping import read_run, scores, ship

    shipped = _name(args)
    found = read_run(args.weights)
    recipe, options = found["recipe"], found["options"]
    if args.options is not None:
        options |= assignments(args.options, "--options")
        check_options(recipe["method"], options)
    train, held_out = split(photo_paths(args.data), args.held_out)
    device = pick_device(args.device)
    labelled = open_dataset(args.labelled, "labels", args.labels) if args.labelled else None
    scored, width = {}, None
    for name in args.backbones.split(",") if args.backbones else recipe["backbones"]:
        base, _, stage = name.partition(":")
        backbone = load_backbone(base, stage or None, device)
        width = width or backbone.dim
        upsampler = load_upsampler(
            recipe["method"],
            channels=backbone.dim,
            checkpoint=args.weights,
            options=options,
            device=device,
        )

        photos = held_out[: args.photos]
        cache = FeatureCache(args.cache)
        with progress_bar(name) as bar:
            report = report_to(bar)
            scored[name] = scores(upsampler, backbone, photos, cache, report, args.guidance)
            if labelled:
                number = args.labelled_photos
                found_here = label_scores(upsampler, backbone, labelled, number, cache, report)
                scored[name] |= found_here
        print(f"{name}: {scored[name]}")
    target = ship(
        args.weights,
        args.out,
        shipped,
        found,
        scored,
        width,
        f"{len(train)} photos of {args.data.resolve().name}",
        args.notes,
    )
    print(f"wrote {target}")
    return 0


def _name(args: argparse.Namespace) -> str:
    """Return the name to ship under; raises ExplorerError if no checkpoint can have it."""
    name = args.weights.stem if args.name is None else args.name
    check_checkpoint_name(name)
    check_file(args.out / f"{name}.safetensors", name="--name", beside=(".json", ".md"))
    return name
