"""Start the page; the same as ``python app.py``."""

from __future__ import annotations

import argparse

HELP = "start the page in the browser"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``app.py``."""
    from explorer.server import launch

    launch.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Serve the page until it is stopped; return 0."""
    from explorer.server import launch

    launch.serve(args)
    return 0
