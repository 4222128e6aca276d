"""The memory estimates that refuse work, against the peaks of that work in fresh processes."""

from __future__ import annotations

import argparse
import subprocess
import sys

from explorer.commands.bench.measuring import GIB, target

ORDER = 40  # in the command's help


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    parser.add_argument("--upsamplers", help="by default every one")
    parser.add_argument("--size", type=int, default=448, help="side of the square output")
    parser.add_argument("--channels", type=int, default=384)


PROGRAM = """
import sys, torch
from explorer.commands.bench.measuring import measured
from explorer.loading import load_upsampler
name, size, channels = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_grad_enabled(False)
torch.set_num_threads(1)
method = load_upsampler(name, device="cpu", channels=channels, checkpoint="untrained")
small = torch.randn(1, channels, 4, 4)
method.prepare(torch.rand(1, 3, 64, 64), small, (64, 64)).project(torch.randn(12, channels))
image, features = torch.rand(1, 3, size, size), torch.randn(1, channels, size // 16, size // 16)
with measured() as cost:
    made = method.prepare(image, features, (size, size))
    made.project(torch.randn(12, channels))
print(-1 if cost.extra is None else cost.extra)
"""


def bench(args: argparse.Namespace) -> list[bool]:
    """Prepare each method and project twelve components; no estimate may be below its peak."""
    from explorer.estimates import projecting_bytes, upsampling_bytes
    from explorer.upsamplers import UPSAMPLERS

    names = args.upsamplers.split(",") if args.upsamplers else UPSAMPLERS.names()
    met = []
    print(f"output {args.size}x{args.size}, {args.channels} channels, peaks beyond the start")
    for name in names:
        command = [sys.executable, "-c", PROGRAM, name, str(args.size), str(args.channels)]
        made = subprocess.run(command, capture_output=True, text=True, check=True)
        peak = int(made.stdout.split()[-1])
        grid = (args.size // 16,) * 2
        output = (args.size,) * 2
        guess = upsampling_bytes(name, args.channels, grid, output)
        guess += projecting_bytes(12, output)
        if peak < 0:
            print(f"  {name}: this system does not tell")
            continue
        text = f"{name}: peak {peak / GIB:.2f} GiB, estimate {guess / GIB:.2f} GiB"
        met.append(target(text, peak <= guess))
    return met
