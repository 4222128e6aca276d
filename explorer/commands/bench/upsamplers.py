"""Every upsampler at several sizes: seconds, memory, arithmetic, beside its plain formula."""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.cli.arguments import name_list
from explorer.commands.bench.measuring import GIB, measured
from explorer.core import ExplorerError
from explorer.files.atomic import write_atomically
from explorer.files.inputs import given_path
from explorer.files.outputs import add_output

if TYPE_CHECKING:
    from torch import Tensor

ORDER = 5  # in the command's help
CELL = 14  # pixels
REPEATS = 3
PLAIN_DEFAULT = Path("tests/upsamplers/plain.py")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    parser.add_argument("--methods", help="NAME,...; default: all")
    parser.add_argument("--sizes", default="224,448", help="sides of the output, in pixels")
    parser.add_argument("--channels", type=int, default=384)
    plain = "a Python file whose PLAIN maps names to functions (method, image, features, size)"
    parser.add_argument("--plain", type=given_path, metavar="FILE", help=plain)
    add_output(parser, "--out", {"endings": (".md",)}, help="write the table as Markdown")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # METHOD:SIZE:WHAT, in its own process


def bench(args: argparse.Namespace) -> list[bool]:
    """Measure each method in processes of its own, beside its plain formula; print the table."""
    from explorer.upsamplers import UPSAMPLERS

    plain = args.plain or (PLAIN_DEFAULT if PLAIN_DEFAULT.is_file() else None)
    if args.one:
        name, size, what = args.one.split(":")
        print(json.dumps(_measure(name, int(size), args.channels, what, plain)))
        return []
    names = name_list(args.methods, "--methods") if args.methods else UPSAMPLERS.names()
    for name in names:
        UPSAMPLERS.get(name)
    known = _functions(plain) if plain else {}
    rate = matrix_rate()
    print(f"torch's matrix product: {rate:.0f} GFLOP/s in float32")
    head = ["method", "px", "prepare s", "user+sys", "all channels s", "3 channels s", "extra GiB"]
    rows = [[*head, "GFLOP", "of the rate", "plain s", "plain extra GiB", "times faster"]]
    for size in (int(part) for part in args.sizes.split(",")):
        for name in names:
            ours = _child(args, f"{name}:{size}:ours", plain)
            other = _child(args, f"{name}:{size}:plain", plain) if name in known else None
            rows.append(_row(name, size, ours, other, rate))
            print(" | ".join(rows[-1]), flush=True)
    table = ["| " + " | ".join(row) + " |" for row in rows]
    table.insert(1, "|" + "---|" * len(rows[0]))
    print("\n".join(["", *table]))
    if args.out:
        write_atomically(Path(args.out), ("\n".join(table) + "\n").encode())
    return []


def matrix_rate(side: int = 1536) -> float:
    """Return the GFLOP/s of torch's own float32 matrix product here."""
    import torch

    a, b = torch.randn(side, side), torch.randn(side, side)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return 2 * side**3 / min(times) / 1e9


def _row(name: str, size: int, ours: dict, other: dict | None, rate: float) -> list[str]:
    if "error" in ours:
        return [name, str(size), ours["error"], *[""] * 9]
    spent = ours["prepare"]["wall"] + ours["all"]["wall"]
    cells = [name, str(size), f"{ours['prepare']['wall']:.2f}"]
    cells += [f"{ours['prepare']['user']:.2f}+{ours['prepare']['sys']:.2f}"]
    cells += [f"{ours['all']['wall']:.2f}", f"{ours['three']['wall']:.2f}"]
    cells += [f"{ours['extra'] / GIB:.2f}", f"{ours['gflop']:.1f}"]
    cells += [f"{100 * ours['gflop'] / spent / rate:.0f}%"]
    if other is None or "error" in other:
        return [*cells, "-" if other is None else other["error"], "", ""]
    wall = other["plain"]["wall"]
    return [*cells, f"{wall:.2f}", f"{other['extra'] / GIB:.2f}", f"{wall / spent:.1f}"]


def _child(args: argparse.Namespace, one: str, plain: Path | None) -> dict[str, Any]:
    command = [sys.executable, "-m", "explorer", "bench", "upsamplers", "--one", one]
    command += ["--channels", str(args.channels)]
    if plain:
        command += ["--plain", str(plain)]
    if args.threads:
        command += ["--threads", str(args.threads)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["stopped by the system"]
        return {"error": lines[-1].removeprefix("error: ")}
    return json.loads(done.stdout.strip().splitlines()[-1])


def _measure(name: str, size: int, channels: int, what: str, plain: Path | None) -> dict[str, Any]:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from explorer.upsamplers import UPSAMPLERS

    torch.manual_seed(0)
    kind = UPSAMPLERS.get(name)
    method = kind(**kind.options_for(channels)).eval()
    cells = size // CELL
    image, features = torch.rand(1, 3, size, size), torch.randn(1, channels, cells, cells)
    weight, output = torch.randn(3, channels), (size, size)
    with torch.no_grad():
        method.prepare(image[..., :160, :160], features[..., :10, :10], (160, 160)).features()
        found: dict[str, Any] = {}
        if what == "plain":
            body = _functions(plain)[name]
            with measured() as cost:
                body(method, image, features, output)
            found["plain"] = _times(lambda: body(method, image, features, output))
        else:
            with measured() as cost:
                made = method.prepare(image, features, output)
                made.features()
            with FlopCounterMode(display=False) as count:
                method.prepare(image, features, output).features()
            found["gflop"] = count.get_total_flops() / 1e9
            found["prepare"] = _times(lambda: method.prepare(image, features, output))
            found["all"] = _times(made.features)
            found["three"] = _times(lambda: made.project(weight))
    return found | {"extra": cost.extra or 0}


def _times(body: Callable[[], Any]) -> dict[str, float]:
    """Return medians of wall, user and system seconds over a few calls."""
    calls = []
    for _ in range(REPEATS):
        before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        body()
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
        spent = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
        calls.append((wall, *spent))
    return dict(
        zip(("wall", "user", "sys"), map(statistics.median, zip(*calls, strict=True)), strict=True)
    )


def _functions(path: Path) -> dict[str, Callable[..., Tensor]]:
    spec = importlib.util.spec_from_file_location("plain_formulas", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not isinstance(getattr(module, "PLAIN", None), dict):
        raise ExplorerError(f"{path} has no dictionary PLAIN of names and functions")
    return module.PLAIN
