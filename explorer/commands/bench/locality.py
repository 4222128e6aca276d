"""What drawing attention to near cells does: one set of weights with other Gaussians and bilinear
heads.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from explorer.cli.arguments import numbers
from explorer.commands.bench import settings

ORDER = 80  # in the command's help


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    settings.add_arguments(parser)
    parser.add_argument("--upsampler", default="jafar", choices=("jafar", "anyup"))
    parser.add_argument(
        "--sigmas", default="0,2,1.5,1", help="standard deviations in cells; 0: none"
    )
    parser.add_argument("--heads", default="0,1,2,4", help="numbers of bilinear heads")


def bench(args: argparse.Namespace) -> list[bool]:
    """Print gains over bilinear and labels kept, setting by setting; nothing is promised."""
    from explorer.backbones import load_backbone
    from explorer.loading import load_upsampler

    sigmas = numbers(args.sigmas, "--sigmas", kind=float)
    counts = numbers(args.heads, "--heads")
    backbone = load_backbone(args.backbone)
    method = load_upsampler(args.upsampler, args.backbone, args.checkpoint, channels=backbone.dim)

    def places(image, given, size) -> Iterator[tuple[str, Any]]:
        for sigma in sigmas:
            for count in counts:
                method.sigma_cells, method.bilinear_heads = sigma, count
                near = f"sigma {sigma:g}" if sigma else "no Gaussian"
                yield f"{near}, {count} bilinear", method.prepare(image, given, size)

    settings.bench(args, backbone, method, "setting", places)
    return []
