"""One set of weights under several settings: what each gains over bilinear, and labels kept."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from explorer.commands.bench.measuring import circumstances
from explorer.core import ExplorerError
from explorer.evidence.benches import BILINEAR
from explorer.files.inputs import given_path
from explorer.files.outputs import add_output
from explorer.weights.paths import write_json

if TYPE_CHECKING:
    from torch import Tensor

    from explorer.backbones import Backbone
    from explorer.upsamplers import Upsampler
    from explorer.upsamplers.base import LinearResampler

KEYS = ("gain_x2", "gain_x4", "labels")
Settings = Callable[["Tensor", "Tensor", tuple[int, int]], Iterable[tuple[str, "LinearResampler"]]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what such a bench needs beside the settings."""
    parser.add_argument("--data", type=given_path, required=True, help="the photos train was given")
    parser.add_argument("--labelled", type=given_path, required=True, help="folder with label maps")
    parser.add_argument("--labels", help="its folder of label maps, e.g. labels13")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--checkpoint", help="a row, a path or 'untrained'; default: as the app")
    parser.add_argument("--photos", type=int, default=80, help="the first N held-out photos")
    parser.add_argument("--labelled-photos", type=int, default=12)
    parser.add_argument("--guidance", type=int, default=112, help="side of the guidance, pixels")
    add_output(parser, "--cache", {"folder": True}, help="folder for half-precision features")
    add_output(parser, "--out", help="a JSON file to write the measurements to")


def bench(
    args: argparse.Namespace,
    backbone: Backbone,
    upsampler: Upsampler,
    name: str,
    settings: Settings,
) -> None:
    """Measure, print a line per setting under the heading ``name``, and write ``--out``."""
    found = measure(args, backbone, upsampler, name, settings)
    print(
        f"{upsampler.checkpoint} on {args.backbone}, {found['photos']} held-out and "
        f"{found['labelled_photos']} labelled photos"
    )
    print(f"{name:<24}{'x2':>10}{'x4':>10}{'labels kept':>14}   (cosine over bilinear's)")
    for row in found["rows"]:
        print(
            f"{row[name]:<24}{row['gain_x2']:>+10.4f}{row['gain_x4']:>+10.4f}{row['labels']:>14.1%}"
        )
    if args.out:
        facts = {
            "backbone": args.backbone,
            "checkpoint": upsampler.checkpoint,
            "sha256": upsampler.digest,
            "guidance": args.guidance,
        }
        write_json(args.out, facts | found | circumstances(upsampler.device))


def measure(
    args: argparse.Namespace,
    backbone: Backbone,
    upsampler: Upsampler,
    name: str,
    settings: Settings,
) -> dict[str, Any]:
    """Return ``rows``, one per setting and bilinear last, each called by the key ``name``, and the
    photos counted: ``photos`` and ``labelled_photos``.

    ``gain_x2`` and ``gain_x4``: cosine over bilinear's on held-out photos; ``labels``: the share
    of pixels whose label survives at use. ``settings(image, features, size)`` yields each
    setting's name and resampler.

    Raises:
        ExplorerError: fewer than five photos, of which none is held out.
    """
    import torch

    from explorer.datasets import open_dataset
    from explorer.resources.feature_cache import FeatureCache
    from explorer.training.photos import photo_paths, split
    from explorer.training.sharpness import label_cases
    from explorer.training.validation import cases, cosine
    from explorer.upsamplers import UPSAMPLERS

    bilinear, device = UPSAMPLERS.create("bilinear"), upsampler.device
    cache = FeatureCache(args.cache)
    dataset = open_dataset(args.labelled, "labels", args.labels)
    sums: dict[str, dict[str, float]] = {}

    def methods(image, given, size) -> Iterator[tuple[str, Any]]:
        yield from settings(image, given, size)
        yield BILINEAR, bilinear.prepare(image, given, size)

    def count(called: str, key: str, value: float) -> None:
        row = sums.setdefault(called, dict.fromkeys(KEYS, 0.0))
        row[key] += value

    _, held_out = split(photo_paths(args.data))
    if not held_out:
        raise ExplorerError(f"{args.data} has too few photos: a fifth, at most 80, is held out")
    seen = kept = 0
    with torch.no_grad():
        for case in cases(held_out[: args.photos], backbone, cache, device, args.guidance):
            size, seen = tuple(case.target.shape[-2:]), seen + 1
            for factor, given in case.inputs.items():
                for called, made in methods(case.guidance, given, size):
                    count(called, f"gain_x{factor}", cosine(made.apply(given), case.target))
        for case in label_cases(backbone, dataset, args.labelled_photos, cache, device):
            kept += 1
            for called, made in methods(case.guidance, case.features, case.size):
                count(called, "labels", case.kept(made))
    rows = []
    for called, row in sums.items():
        gains = {k: (row[k] - sums[BILINEAR][k]) / seen for k in KEYS[:2]}
        rows.append({name: called} | gains | {"labels": row["labels"] / kept})
    return {"rows": rows, "photos": seen, "labelled_photos": kept}
