"""List every registered backbone, upsampler, checkpoint and view, where it is from, whether it is
usable now; and the options of every view.
"""

from __future__ import annotations

import argparse

HELP = "everything that is registered, and whether it is usable now"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "kind",
        nargs="?",
        choices=("backbones", "upsamplers", "checkpoints", "views", "options"),
        help="only this kind",
    )


def run(args: argparse.Namespace) -> int:
    """Print the tables; return 0."""
    from explorer.catalogue import tables

    for kind, (head, rows) in tables().items():
        if args.kind in (None, kind):
            widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
            print(kind)
            for row in [head, *rows]:
                line = "  ".join(str(cell).ljust(w) for cell, w in zip(row, widths, strict=True))
                print(f"  {line}".rstrip())
            print()
    return 0
