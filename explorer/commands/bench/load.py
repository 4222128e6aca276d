"""Many visitors at once: answers compared with a single visitor's, waiting times, memory."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from explorer.commands.bench.measuring import target
from explorer.core import ExplorerError

ORDER = 50  # in the command's help

ANSWERED = 0.95  # the share of requests that must be answered; the rest may meet a full queue
FLAT = 1.10  # how much larger the last third of the memory curve may be than the middle one
START_SECONDS = 300
MIB = 2**20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--requests", type=int, default=10, help="of each visitor")
    parser.add_argument(
        "--cache-gb", type=float, default=0.1, help="the server's, small to fill it"
    )
    parser.add_argument("--queue", type=int, default=32, help="how many requests may wait")
    parser.add_argument("--kill", action="store_true", help="kill -9 the server midway, restart it")
    parser.add_argument("--seed", type=int, default=0)


def bench(args: argparse.Namespace) -> list[bool]:
    """Ask every case alone, then all visitors at once on a fresh server; print what happened."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        plan = {"seed": args.seed, "cases": cases(place)}
        with server(args, place) as running:
            alone = visits(plan, running, place, visitors=1, requests=len(plan["cases"]))
            wanted = {line["case"]: line.get("digest") for line in alone}
            if None in wanted.values():
                raise ExplorerError(f"a single visitor was not answered: {alone}")
            if not args.kill:
                running.restart()
            began = time.time()
            many = visits(plan, running, place, args.visitors, args.requests, args.kill)
            spent = time.time() - began
            curve = list(running.curve)
    return told(many, wanted, spent, curve, args)


def told(
    many: list[dict[str, Any]],
    wanted: dict[int, str],
    spent: float,
    curve: list[int],
    args: argparse.Namespace,
) -> list[bool]:
    """Print the counts, waiting times and memory; return which targets are met."""
    total = len(many)
    answered = [line for line in many if "digest" in line]
    wrong = [line for line in answered if line["digest"] != wanted[line["case"]]]
    errors = Counter(line["error"] for line in many if "error" in line)
    full = errors.pop("full", 0)
    waits = sorted(line["at"] - line["from"] for line in answered)
    print(f"{args.visitors} visitors x {args.requests} requests: {total} in {spent:.0f} s")
    print(f"  answered {len(answered)}, queue full {full}, other errors {sum(errors.values())}")
    for text, count in errors.most_common(5):
        print(f"    {count} x {text}")
    if waits:
        middle, late = statistics.median(waits), waits[int(0.95 * (len(waits) - 1))]
        print(f"  waiting time p50 {middle:.1f} s, p95 {late:.1f} s, longest {waits[-1]:.1f} s")
    lost = sum(errors.values())
    most = args.visitors if args.kill else 0  # whatever was under way when the server was killed
    least = ANSWERED * total - most
    met = [
        target(f"{len(wrong)} answers differ from the single visitor's, 0 wanted", not wrong),
        target(
            f"{100 * len(answered) / total:.1f}% answered, {100 * least / total:g}% wanted",
            len(answered) >= least,
        ),
        target(f"{lost} other errors, at most {most} wanted", lost <= most),
    ]
    if len(curve) >= 6 and not args.kill:
        shown = ", ".join(f"{size / MIB:.0f}" for size in curve[:: max(1, len(curve) // 20)])
        print(f"  memory of the server in MiB, over {total} requests: {shown}")
        third = len(curve) // 3
        early, last = statistics.mean(curve[third:-third]), statistics.mean(curve[-third:])
        met.append(
            target(f"memory: last third {last / early:.2f} of the middle one", last < FLAT * early)
        )
    return met


def cases(folder: Path) -> list[dict[str, Any]]:
    """Write small photos and return the requests to make of them: mixed endpoints and sizes."""
    import numpy as np
    from PIL import Image

    chance = np.random.default_rng(0)
    photos = []
    for number, (height, width) in enumerate(((96, 128), (128, 96), (80, 80), (120, 60))):
        path = folder / f"photo{number}.png"
        coarse = chance.integers(0, 255, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(path)
        photos.append(str(path))
    small = {"backbones": ["efficientnet_lite0"], "input_size": 64, "output_size": 64}
    found = []
    for number, photo in enumerate(photos):
        more = {"output_size": 64 + 16 * number, "input_size": 64 + 32 * (number % 2)}
        three, two = ["bilinear", "jbu", "anyup"], ["nearest", "anyup"]
        point = {"row": 10 + number, "col": 20}
        settings = small | more
        found += [
            {"endpoint": "explore", "photo": photo, "arguments": settings | {"upsamplers": three}},
            {
                "endpoint": "attention",
                "photo": photo,
                "arguments": settings | point | {"upsamplers": two},
            },
            {
                "endpoint": "similarity",
                "photo": photo,
                "second": photos[number - 1],
                "arguments": settings | point | {"upsamplers": ["bilinear"]},
            },
        ]
    return found


class Running:
    """A server process that can be killed and started again on the same port."""

    def __init__(self, command: list[str], environment: dict[str, str], port: int, log: Path):
        self.command, self.environment, self.log = command, environment, log
        self.address = f"http://127.0.0.1:{port}"
        self.curve: list[int] = []
        self.start()

    def start(self) -> None:
        """Start the process and wait until it answers."""
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdout=out, stderr=out
            )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            if self.health():
                return
            time.sleep(0.5)
        self.stop(signal.SIGKILL)
        raise ExplorerError(f"the app did not start: {self.log.read_text()[-400:]}")

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End the process."""
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def restart(self, how: int = signal.SIGTERM) -> None:
        """End the process and start it again."""
        self.stop(how)
        self.start()

    def health(self) -> dict[str, Any] | None:
        """Return what /healthz says, None if it does not answer."""
        try:
            with urllib.request.urlopen(f"{self.address}/healthz", timeout=10) as answer:
                return json.load(answer)
        except OSError:
            return None


@contextmanager
def server(args: argparse.Namespace, folder: Path) -> Iterator[Running]:
    """Run the app in a process of its own, its files in ``folder``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "explorer", "app", "--port", str(port), "--device", "cpu"]
    command += ["--cache-gb", str(args.cache_gb), "--queue", str(args.queue)]
    environment = os.environ | {"GRADIO_TEMP_DIR": str(folder / "served"), "HF_HUB_OFFLINE": "1"}
    running = Running(command, environment, port, folder / "server.log")
    try:
        yield running
    finally:
        running.stop()


def visits(
    plan: dict[str, Any],
    running: Running,
    folder: Path,
    visitors: int,
    requests: int,
    kill: bool = False,
) -> list[dict[str, Any]]:
    """Let visitors come in a process of their own; collect answers and the server's memory."""
    whole = plan | {"address": running.address, "visitors": visitors, "requests": requests}
    file = folder / "plan.json"
    file.write_text(json.dumps(whole), "utf-8")
    command = [sys.executable, "-m", "explorer.server.visitors", str(file)]
    environment = os.environ | {"GRADIO_TEMP_DIR": str(folder / "visitors")}
    found: list[dict[str, Any]] = []
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        for text in process.stdout:
            found.append(json.loads(text))
            if len(found) % 10 == 0:
                told = running.health()
                if told and told["resident_bytes"]:
                    running.curve.append(told["resident_bytes"])
            if kill and len(found) == visitors * requests // 2:
                print("  killed with SIGKILL, starting again")
                running.restart(signal.SIGKILL)
        process.wait()
    finally:
        if process.poll() is None:
            process.kill()
    return found
