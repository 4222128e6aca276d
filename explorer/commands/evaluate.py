"""Score upsamplers on a folder of photos by the published protocols, with controls."""

from __future__ import annotations

import argparse
import sys

from explorer.cli.arguments import add_align, chosen_align
from explorer.evaluation import probe_names, task_names
from explorer.files.inputs import given_path
from explorer.files.outputs import add_output
from explorer.weights.rows import check_checkpoint_name

HELP = "score upsamplers on a folder of photos"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("task", choices=task_names())
    parser.add_argument(
        "--data", required=True, type=given_path, help="folder with images/ and maps"
    )
    parser.add_argument(
        "--labels",
        help="the folder of label maps, e.g. labels13; reconstruction then takes its test photos "
        "alone, instead of all",
    )
    parser.add_argument("--classes", help="class names: a known set or a file, one per line")
    parser.add_argument("--depth-max", type=float, default=10.0, help="metres of an 8-bit 255")
    parser.add_argument("--split", default="test", choices=("test", "val"), help="list to test on")
    parser.add_argument("--check", action="store_true", help="only look for faults in the files")
    parser.add_argument("--backbone", default="efficientnet_lite0", help="NAME[:STAGE]")
    parser.add_argument(
        "--upsamplers",
        default="bilinear,jafar,anyup",
        help="NAME[@CHECKPOINT][:plain],...; plain ones get features that are not aligned",
    )
    parser.add_argument(
        "--controls", default="jbu,blurred,untrained", help="of jbu,blurred,untrained; or none"
    )
    add_output(
        parser,
        "--out",
        {"folder": True, "files": ("report.md", "report.json", "chart.png")},
        help="folder for the report and what it is made from",
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", help="photos, N or TRAIN,TEST; evenly spread over each split")
    parser.add_argument("--pixels", type=int, default=512, help="per training photo and seed")
    parser.add_argument("--steps", type=int, default=300, help="of each probe's training")
    parser.add_argument("--probes", default="own,shared", help="of own,shared")
    parser.add_argument("--input-size", type=int, default=448, help="longer side, in pixels")
    parser.add_argument(
        "--output-size", default="448", help="longer side, or labels: the maps' own"
    )
    add_align(parser)
    features = "folder for features; default: OUT/features"
    add_output(parser, "--cache", {"folder": True}, help=features)
    parser.add_argument("--cache-gib", type=float, default=8.0)
    add_output(
        parser,
        "--save-probe",
        {
            "endings": (".safetensors",),
            "beside": (".json", ".md"),
            "stem": check_checkpoint_name,
        },
        help="write the shared probe (.safetensors)",
    )
    parser.add_argument("--probe-method", help="save this method's own probe instead")
    parser.add_argument(
        "--licence", default="non-commercial research use only: trained on research-only photos"
    )
    parser.add_argument("--notes", default="", help="for the saved probe's card")
    parser.add_argument("--cpu", action="store_true", help="ignore any GPU")
    parser.add_argument("--offline", action="store_true", help="download no weights")
    parser.add_argument("--quiet", action="store_true")


def run(args: argparse.Namespace) -> int:
    """Check or evaluate; return 0, or 1 if the check found faults."""
    from explorer.core import ExplorerError

    if args.check:
        return _check(args)
    if args.out is None:
        raise ExplorerError("say where the report goes: --out FOLDER")
    from explorer.evaluation.running import Request, evaluate

    line = evaluate(_request(args, Request))
    if line:
        print(line)
    return 0


def _request(args: argparse.Namespace, kind):
    from explorer.core import ExplorerError

    limits = (args.limit or "").split(",") if args.limit else []
    if len(limits) > 2 or not all(part.strip().isdigit() for part in limits):
        raise ExplorerError("--limit is one number of photos, or two: TRAIN,TEST")
    numbers = [int(part) for part in limits]
    if args.output_size != "labels" and not args.output_size.isdigit():
        raise ExplorerError("--output-size is a number of pixels, or the word labels")
    return kind(
        task=args.task,
        data=args.data,
        out=args.out,
        labels=args.labels,
        classes=args.classes,
        depth_max=args.depth_max,
        part=args.split,
        backbone=args.backbone,
        upsamplers=tuple(args.upsamplers.split(",")),
        controls=() if args.controls == "none" else tuple(args.controls.split(",")),
        seeds=args.seeds,
        limit_train=numbers[0] if numbers else None,
        limit_test=numbers[-1] if numbers else None,
        pixels=args.pixels,
        steps=args.steps,
        variants=tuple(args.probes.split(",")),
        input_size=args.input_size,
        align=chosen_align(args),
        output_size=None if args.output_size == "labels" else int(args.output_size),
        cache=args.cache,
        cache_bytes=int(args.cache_gib * 2**30),
        save_probe=args.save_probe,
        probe_method=args.probe_method,
        licence=args.licence,
        notes=args.notes,
        cpu=args.cpu,
        allow_network=not args.offline,
        quiet=args.quiet,
    )


def _check(args: argparse.Namespace) -> int:
    from explorer.datasets import check_dataset

    def progress(done: int, total: int) -> None:
        if not args.quiet and (done % 50 == 0 or done == total):
            print(f"checked {done} of {total}", file=sys.stderr, flush=True)

    found = 0
    for kind in _kinds(args):
        faults = check_dataset(
            args.data,
            kind,
            args.labels if kind in ("labels", "boundaries") else None,
            args.classes,
            args.depth_max,
            args.split,
            progress,
        )
        for fault in faults:
            print(fault)
        found += len(faults)
    print(f"{found} faults in {args.data}" if found else f"{args.data} is in order")
    return 1 if found else 0


def _kinds(args: argparse.Namespace) -> list[str | None]:
    from explorer.evaluation.comparisons import COMPARISONS
    from explorer.probes import PROBES

    if args.task in COMPARISONS:
        return [COMPARISONS.get(args.task).maps(args.labels)]
    return [PROBES.get(name).maps for name in probe_names(args.task, args.data, args.labels)]
