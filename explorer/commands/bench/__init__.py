"""Measure what the project promises: attention, clicks, precision, memory, and many visitors."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
from types import ModuleType

from explorer.commands.bench import clicks
from explorer.commands.bench.attention import AttentionCase
from explorer.commands.bench.measuring import measured

__all__ = ["AttentionCase", "add_arguments", "clicks", "measured", "run"]

HELP = "time and memory of attention and of a click; precision; many visitors; windows and locality"


def benches() -> dict[str, ModuleType]:
    """Return the benches by name, in their order: modules of this package with an ``ORDER``."""
    found = [
        importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)
    ]
    found = sorted((m for m in found if hasattr(m, "ORDER")), key=lambda m: m.ORDER)
    return {module.__name__.rpartition(".")[2]: module for module in found}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    chosen = parser.add_subparsers(dest="bench", required=True, metavar="WHAT")
    for name, module in benches().items():
        child = chosen.add_parser(name, help=module.__doc__)
        module.add_arguments(child)
        child.add_argument("--threads", type=int, help="torch's threads; by default its own choice")
        child.add_argument("--check", action="store_true", help="fail if a target is missed")


def run(args: argparse.Namespace) -> int:
    """Print the measurements; return 1 if a target was to be checked and is missed, else 0."""
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    busy = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads{busy}")
    with torch.no_grad():
        met = benches()[args.bench].bench(args)
    return 0 if all(met) or not args.check else 1
