"""``python -m explorer COMMAND``: every module of ``explorer.commands`` is a command."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys

from explorer import commands
from explorer.allocation import keep_freed_memory
from explorer.core import ExplorerError

FULL_SIZE = ("train", "evaluate", "ship", "figure")  # many large tensors, one after the other


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with one subcommand per module."""
    parser = argparse.ArgumentParser(prog="python -m explorer", description="Feature upsampling")
    chosen = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for found in sorted(m.name for m in pkgutil.iter_modules(commands.__path__)):
        module = importlib.import_module(f"explorer.commands.{found}")
        child = chosen.add_parser(found, help=module.HELP, description=module.__doc__)
        module.add_arguments(child)
        child.set_defaults(run=module.run)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run a command; errors a user can read end with one line and status 2."""
    args = build_parser().parse_args(arguments)
    if args.command in FULL_SIZE:
        keep_freed_memory()
    try:
        return args.run(args)
    except ExplorerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
