"""``python -m explorer COMMAND``: every module of ``explorer.commands`` is a command.

Exit statuses are listed in `explorer.cli.exit_status`. A command's module, and the libraries it
needs, are imported when it is asked for.
"""

from __future__ import annotations

import sys

from explorer.cli.interrupts import Interrupts  # nothing else here: each import delays listening

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

AS_MODULE = "python -m explorer"
FULL_SIZE = ("train", "evaluate", "ship", "figure")  # many large tensors, one after the other


def command_names() -> list[str]:
    """Return the names of all commands."""
    import pkgutil

    from explorer import commands

    return sorted(module.name for module in pkgutil.iter_modules(commands.__path__))


def build_parser(only: str | None = None, name: str = AS_MODULE) -> argparse.ArgumentParser:
    """Return the parser with one subcommand per module, or with that of one command ``only``.

    ``name`` is what help texts call the program.
    """
    import argparse
    import importlib

    parser = argparse.ArgumentParser(prog=name, description="Feature upsampling")
    chosen = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in command_names() if only is None else [only]:
        module = importlib.import_module(f"explorer.commands.{command}")
        child = chosen.add_parser(command, help=module.HELP, description=module.__doc__)
        module.add_arguments(child)
        child.set_defaults(run=module.run)
    return parser


def main(arguments: list[str] | None = None, name: str = AS_MODULE) -> int:
    """Run a command and return its exit status; errors a user can read end with one line."""
    from explorer.cli.exit_status import ended

    return ended(lambda: _run(sys.argv[1:] if arguments is None else arguments, name))


def _run(arguments: list[str], name: str) -> int:
    named = arguments[0] if arguments and arguments[0] in command_names() else None
    args = build_parser(named, name).parse_args(arguments)
    if hasattr(args, "outputs"):
        from explorer.files.outputs import check_outputs

        check_outputs(args)
    if args.command in FULL_SIZE:
        from explorer.resources.allocator import keep_freed_memory

        keep_freed_memory()
    return args.run(args)


def program(name: str = "feature-explorer") -> None:
    """Run the command line as a program of its own: ``feature-explorer``, ``-m explorer``."""
    interrupts = Interrupts()
    interrupts.install()
    from explorer.cli.exit_status import run_program

    run_program(lambda: main(name=name), interrupts)


if __name__ == "__main__":
    program(AS_MODULE)
