"""Print the claims table, the which-method guide and the published tables as Markdown; the
numbers of this project are read from the shipped cards and reports.
"""

from __future__ import annotations

import argparse

from explorer.files.outputs import add_output

HELP = "claims, evidence and verdicts as Markdown (docs/claims.md)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_output(parser, "--out", help="write to this file instead of printing")


def run(args: argparse.Namespace) -> int:
    """Print or write the document; return 0."""
    from explorer.evidence import document
    from explorer.files.atomic import write_atomically

    text = document()
    if args.out is None:
        print(text, end="")
        return 0
    write_atomically(args.out, text.encode())
    print(args.out)
    return 0
