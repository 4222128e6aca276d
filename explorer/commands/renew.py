"""Put methods that were measured again into a report that is kept."""

from __future__ import annotations

import argparse

from explorer.files.inputs import given_path
from explorer.files.outputs import check_file

HELP = "put the rows of a later evaluation into a report"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("report", type=given_path, help="the report (.json) that gets the rows")
    parser.add_argument(
        "later",
        type=given_path,
        nargs="+",
        help="report.json of evaluate with the same data, backbone and settings, and bilinear "
        "among its upsamplers",
    )


def run(args: argparse.Namespace) -> int:
    """Write the report anew; return 0."""
    from explorer.evaluation.merge_reports import renew

    check_file(args.report, (".json",), "the report", (".md", ".png"), args.later)
    print(f"{args.report}: put in {', '.join(renew(args.report, args.later))}")
    return 0
