"""Seconds and memory of a training step: JAFAR and AnyUp side by side, by guidance size."""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from explorer.cli.arguments import numbers
from explorer.commands.bench.measuring import circumstances, measured, size_text
from explorer.files.outputs import add_output
from explorer.resources.allocator import give_back_freed_memory
from explorer.weights.paths import write_json

ORDER = 60  # in the command's help

CHANNELS, CELLS, OUTPUT = 384, 16, 32  # a ViT-S/14 at 224 px in, features of 448 px as the target
METHODS = ("jafar", "anyup")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    parser.add_argument("--guidance", default="112,224,448", help="its sides, in pixels")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3, help="turns of both methods")
    add_output(parser, "--out", help="a JSON file to write the measurements to")


def bench(args: argparse.Namespace) -> list[bool]:
    """Time whole steps (forward, loss, backward, optimiser) in turns; nothing is promised."""
    print(
        f"one training step, batch {args.batch}, {CELLS}x{CELLS} -> {OUTPUT}x{OUTPUT} cells of "
        f"{CHANNELS} channels"
    )
    print(f"{'guidance':>10}  " + "  ".join(f"{name:>20}" for name in METHODS) + "  jafar / anyup")
    found = []
    for side in numbers(args.guidance, "--guidance"):
        row = costs(side, args.batch, args.rounds)
        cells = [
            f"{row[name]['seconds']:.2f} s, {size_text(row[name]['bytes'])}" for name in METHODS
        ]
        ratio = f"{row['jafar']['seconds'] / row['anyup']['seconds']:.2f}x the time"
        print(f"{side:>7} px  " + "  ".join(f"{cell:>20}" for cell in cells) + f"  {ratio}")
        found.append({"guidance": side} | row)
    if args.out:
        write_json(args.out, _facts(args, found))
    return []


def costs(side: int, batch: int, rounds: int) -> dict[str, dict[str, float | None]]:
    """Return {method: {"seconds", "bytes"}} of a step at one guidance size: the median time, the
    largest memory beyond what was held before (None where the system does not tell).
    """
    steps = {name: TrainingStep(name, side, batch) for name in METHODS}
    spent: dict[str, list] = {name: [] for name in METHODS}
    for turn in range(max(1, rounds) + 1):
        for name, step in steps.items():
            give_back_freed_memory()
            with measured() as cost:
                step()
            if turn:  # the first makes the optimiser's state
                spent[name].append(cost)
    made = {}
    for name, each in spent.items():
        peaks = [cost.extra for cost in each]
        seconds = statistics.median(cost.wall for cost in each)
        made[name] = {"seconds": seconds, "bytes": None if None in peaks else max(peaks)}
    return made


def _facts(args: argparse.Namespace, rows: list[dict[str, Any]]) -> dict[str, Any]:
    import torch

    return {
        "rows": rows,
        "batch": args.batch,
        "channels": CHANNELS,
        "cells": CELLS,
        "output": OUTPUT,
    } | circumstances(torch.device("cpu"))


class TrainingStep:
    """One method with its optimiser on random data; calling it makes a step."""

    def __init__(self, name: str, guidance: int, batch: int):
        import torch

        from explorer.upsamplers import UPSAMPLERS

        torch.manual_seed(0)
        kind = UPSAMPLERS.get(name)
        self.upsampler = kind(**kind.options_for(CHANNELS)).train()
        self.optimiser = torch.optim.AdamW(self.upsampler.parameters(), lr=2e-4)
        self.image = torch.rand(batch, 3, guidance, guidance)
        self.features = torch.randn(batch, CHANNELS, CELLS, CELLS)
        self.target = torch.randn(batch, CHANNELS, OUTPUT, OUTPUT)

    def __call__(self) -> None:
        """Make one step."""
        import torch

        from explorer.training.losses import feature_loss

        with torch.enable_grad():
            made = self.upsampler(self.image, self.features, (OUTPUT, OUTPUT))
            feature_loss(made, self.target).backward()
        self.optimiser.step()
        self.optimiser.zero_grad()
