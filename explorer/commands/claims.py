"""Print the claims table, the which-method guide and the published tables as Markdown; the
numbers of this project are read from the shipped cards and reports.
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "claims, evidence and verdicts as Markdown (docs/claims.md)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--out", type=Path, help="write to this file instead of printing")


def run(args: argparse.Namespace) -> int:
    """Print or write the document; return 0."""
    from explorer.core import ExplorerError
    from explorer.findings import document
    from explorer.hub.places import write_atomically

    text = document()
    if args.out is None:
        print(text, end="")
        return 0
    try:
        write_atomically(args.out, text.encode())
    except OSError as error:
        raise ExplorerError(f"{args.out} cannot be written: {error}") from None
    print(args.out)
    return 0
