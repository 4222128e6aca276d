"""Average the weights of several runs of one method and backbone; ship then scores the mean."""

from __future__ import annotations

import argparse
from pathlib import Path

from explorer.core import ExplorerError
from explorer.files.outputs import add_output
from explorer.weights.rows import check_checkpoint_name

HELP = "average the weights of several runs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "parts",
        nargs="+",
        metavar="WEIGHTS[=SHARE]",
        help="what train, ship or mix wrote; a share is 1 unless given",
    )
    checked = {
        "endings": (".safetensors",),
        "beside": (".json", ".md"),
        "stem": check_checkpoint_name,
    }
    help_text = "weights to write (.safetensors)"
    add_output(parser, "--out", checked, required=True, help=help_text)


def run(args: argparse.Namespace) -> int:
    """Write the mean and its card; return 0."""
    from explorer.training.mixing import mix

    print(f"wrote {mix([_part(text) for text in args.parts], args.out)}")
    return 0


def _part(text: str) -> tuple[Path, float]:
    """Read WEIGHTS[=SHARE]."""
    name, equals, share = text.rpartition("=")
    if not equals:
        return Path(text), 1.0
    try:
        return Path(name), float(share)
    except ValueError:
        raise ExplorerError(f"mix takes WEIGHTS or WEIGHTS=SHARE, not {text[:80]!r}") from None
