"""What bfloat16 costs in accuracy: encoders only, as the app can run them, or everything."""

from __future__ import annotations

import argparse
import time

from explorer.commands.bench.clicks import EXAMPLE
from explorer.commands.bench.measuring import target
from explorer.files.inputs import given_path

ORDER = 30  # in the command's help

LEAST_COSINE = 0.999  # of encoders in bfloat16, mean over pixels, of the methods that are halved


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    parser.add_argument("--photo", type=given_path, default=EXAMPLE)
    parser.add_argument("--backbone", default="efficientnet_lite0", help="NAME[:STAGE]")
    parser.add_argument("--upsamplers", help="by default every one")
    parser.add_argument("--size", type=int, default=224, help="longer side of input and output")


def bench(args: argparse.Namespace) -> list[bool]:
    """Compare float32 with bfloat16 per method on one photo; differences are relative to the
    largest feature.
    """
    import torch

    from explorer.imaging import fit_size, open_photo
    from explorer.options import Options
    from explorer.session import Session
    from explorer.upsamplers import UPSAMPLERS
    from explorer.upsamplers.half_precision import HALF, prepare

    names = args.upsamplers.split(",") if args.upsamplers else UPSAMPLERS.names()
    session = Session("cpu", allow_network=False)
    options = Options(open_photo(args.photo), (args.backbone,), tuple(names), args.size, args.size)
    model = session.backbone(args.backbone)
    size = fit_size(options.photo.size, options.input_size, model.stride)
    features = session.features(options, args.backbone)
    image = session.guidance(options)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        halved = model.extract(options.photo.tensor(size))
    print(f"{options.photo.name}, output {options.output}, {args.backbone}; bfloat16 on the CPU")
    print(row("backbone", "all", features.data, halved.data))
    met, cells = [], features.data.bfloat16()
    for name in names:
        method = session.upsampler(name, args.backbone, options)

        def exact(method=method):
            return method.prepare(image, features, options.output).features()

        def encoders(method=method):
            return prepare(method, image, features, options.output, HALF).features()

        def everything(method=method):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return method.prepare(image, cells, options.output).features()

        made, spent = {}, {}
        for kind, body in (("exact", exact), ("encoders", encoders), ("all", everything)):
            start = time.process_time()
            made[kind] = body()
            spent[kind] = time.process_time() - start
        note = f"{method.checkpoint}; CPU s: " + ", ".join(
            f"{kind} {seconds:.1f}" for kind, seconds in spent.items()
        )
        if method.half_precision:
            print(row(name, "encoders", made["exact"], made["encoders"]))
            found = cosines(made["exact"], made["encoders"]).mean().item()
            met.append(found >= LEAST_COSINE)
        print(row(name, "all", made["exact"], made["all"]), f"  [{note}]")
    if met:
        target(f"mean cosine at least {LEAST_COSINE:g} with half-precision encoders", all(met))
    return met


def cosines(exact, half):
    """Return the cosine of every pixel's features (B, C, H, W), (B, H, W)."""
    import torch

    return torch.cosine_similarity(exact.double(), half.double(), dim=1)


def row(name: str, what: str, exact, half) -> str:
    """Return a line: largest and mean difference as a share of the largest feature, and cosines."""
    scale = exact.abs().max().item()
    apart = (exact - half.float()).abs() / scale
    found = cosines(exact, half)
    return (
        f"  {name:<12}{what:<10}max {apart.max().item():.1e}  mean {apart.mean().item():.1e}  "
        f"cosine mean {found.mean().item():.6f}, worst pixel {found.min().item():.4f}"
    )
