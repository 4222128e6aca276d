"""What AnyUp's window does at use: one set of weights under windows of several widths."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from explorer.cli.arguments import numbers
from explorer.commands.bench import settings
from explorer.evidence.benches import NO_WINDOW, OWN_WINDOW

ORDER = 70  # in the command's help


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    settings.add_arguments(parser)
    parser.add_argument("--ratios", default="0.05,0.1,0.2,0.3,0", help="half-widths; 0: no window")


def bench(args: argparse.Namespace) -> list[bool]:
    """Print gains over bilinear and labels kept, window by window; nothing is promised."""
    from explorer.backbones import load_backbone
    from explorer.loading import load_upsampler

    ratios = numbers(args.ratios, "--ratios", kind=float)
    backbone = load_backbone(args.backbone)
    anyup = load_upsampler("anyup", args.backbone, args.checkpoint, channels=backbone.dim)

    def windows(image, given, size) -> Iterator[tuple[str, Any]]:
        made = anyup.prepare(image, given, size)  # queries and keys are the same for all
        yield OWN_WINDOW, made
        for ratio in ratios:
            yield f"\u00b1{ratio:g}" if ratio > 0 else NO_WINDOW, made.with_window(ratio, "")

    settings.bench(args, backbone, anyup, "window", windows)
    return []
