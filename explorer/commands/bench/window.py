"""What AnyUp's window does at use: one set of weights under windows of several widths."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from explorer.command_line import numbers
from explorer.commands.bench.measuring import circumstances
from explorer.core import ExplorerError
from explorer.findings.benches import BILINEAR, NO_WINDOW, OWN_WINDOW
from explorer.hub.places import write_json

KEYS = ("gain_x2", "gain_x4", "labels")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    parser.add_argument("--data", type=Path, required=True, help="the photos train was given")
    parser.add_argument("--labelled", type=Path, required=True, help="folder with label maps")
    parser.add_argument("--labels", help="its folder of label maps, e.g. labels13")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--checkpoint", help="a row, a path or 'untrained'; default: as the app")
    parser.add_argument("--ratios", default="0.05,0.1,0.2,0.3,0", help="half-widths; 0: no window")
    parser.add_argument("--photos", type=int, default=80, help="the first N held-out photos")
    parser.add_argument("--labelled-photos", type=int, default=12)
    parser.add_argument("--guidance", type=int, default=112, help="side of the guidance, pixels")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--out", type=Path, help="a JSON file to write the measurements to")


def bench(args: argparse.Namespace) -> list[bool]:
    """Print gains over bilinear and labels kept, window by window; nothing is promised."""
    from explorer.backbones import load_backbone
    from explorer.loading import load_upsampler

    backbone = load_backbone(args.backbone)
    anyup = load_upsampler("anyup", args.backbone, args.checkpoint, channels=backbone.dim)
    found = measure(args, backbone, anyup)
    print(
        f"{anyup.checkpoint} on {args.backbone}, {found['photos']} held-out and "
        f"{found['labelled_photos']} labelled photos"
    )
    print(f"{'window':<16}{'x2':>10}{'x4':>10}{'labels kept':>14}   (cosine over bilinear's)")
    for row in found["rows"]:
        print(
            f"{row['window']:<16}{row['gain_x2']:>+10.4f}{row['gain_x4']:>+10.4f}"
            f"{row['labels']:>14.1%}"
        )
    if args.out:
        facts = {
            "backbone": args.backbone,
            "checkpoint": anyup.checkpoint,
            "sha256": anyup.digest,
            "guidance": args.guidance,
        }
        write_json(args.out, facts | found | circumstances(anyup.device))
    return []


def measure(args: argparse.Namespace, backbone, anyup) -> dict[str, Any]:
    """Return ``rows``, one per window, the checkpoint's own first and bilinear last, and the
    photos counted: ``photos`` and ``labelled_photos``.

    ``gain_x2`` and ``gain_x4``: cosine over bilinear's on held-out photos; ``labels``: the share
    of pixels whose label survives at use. Queries and keys are made once: only windows differ.

    Raises:
        ExplorerError: fewer than five photos, of which none is held out.
    """
    import torch

    from explorer.datasets import open_dataset
    from explorer.feature_cache import FeatureCache
    from explorer.training.photos import photo_paths, split
    from explorer.training.sharpness import label_cases
    from explorer.training.validation import cases, cosine
    from explorer.upsamplers import UPSAMPLERS

    ratios = numbers(args.ratios, "--ratios", kind=float)
    bilinear, cache, device = UPSAMPLERS.create("bilinear"), FeatureCache(args.cache), anyup.device
    dataset = open_dataset(args.labelled, "labels", args.labels)
    sums: dict[str, dict[str, float]] = {}

    def methods(image, given, size) -> Iterator[tuple[str, Any]]:
        made = anyup.prepare(image, given, size)
        yield OWN_WINDOW, made
        for ratio in ratios:
            yield f"\u00b1{ratio:g}" if ratio > 0 else NO_WINDOW, made.with_window(ratio, "")
        yield BILINEAR, bilinear.prepare(image, given, size)

    def count(name: str, key: str, value: float) -> None:
        row = sums.setdefault(name, dict.fromkeys(KEYS, 0.0))
        row[key] += value

    _, held_out = split(photo_paths(args.data))
    if not held_out:
        raise ExplorerError(f"{args.data} has too few photos: a fifth, at most 80, is held out")
    seen = kept = 0
    with torch.no_grad():
        for case in cases(held_out[: args.photos], backbone, cache, device, args.guidance):
            size, seen = tuple(case.target.shape[-2:]), seen + 1
            for factor, given in case.inputs.items():
                for name, made in methods(case.guidance, given, size):
                    count(name, f"gain_x{factor}", cosine(made.apply(given), case.target))
        for case in label_cases(backbone, dataset, args.labelled_photos, cache, device):
            kept += 1
            for name, made in methods(case.guidance, case.features, tuple(case.truth.shape)):
                count(name, "labels", case.kept(made))
    rows = []
    for name, row in sums.items():
        gains = {k: (row[k] - sums[BILINEAR][k]) / seen for k in KEYS[:2]}
        rows.append({"window": name} | gains | {"labels": row["labels"] / kept})
    return {"rows": rows, "photos": seen, "labelled_photos": kept}
