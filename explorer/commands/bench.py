"""Measure what the project promises: the cost of window attention, and of a click."""

from __future__ import annotations

import argparse
import io
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

HELP = "time and memory of window attention, and of a click"

GIB = 2**30
DENSE_NEEDS = 12 * GIB  # what must be free before the dense version is tried
FASTER, WINDOWED_GIB, DENSE_GIB, LARGE_GIB = 3.0, 1.0, 7.0, 4.0
ATTENTION_MS, SIMILARITY_MS = 150.0, 1500.0
EXAMPLE = Path(__file__).parents[2] / "assets" / "examples" / "china.jpg"
CLICKS = ((0.5, 0.5), (0.3, 0.7), (0.02, 0.98), (0.8, 0.2), (0.45, 0.33))  # shares of the output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    chosen = parser.add_subparsers(dest="bench", required=True, metavar="WHAT")
    attention = chosen.add_parser(
        "attention", help="AnyUp's window attention against a dense masked multi-head attention"
    )
    attention.add_argument("--skip-dense", action="store_true", help="only the windowed version")
    attention.add_argument("--skip-large", action="store_true", help="not the 896 px output")
    clicks = chosen.add_parser("clicks", help="from a click to updated panels, once prepared")
    clicks.add_argument("--photo", type=Path, default=EXAMPLE)
    clicks.add_argument("--backbone", default="efficientnet_lite0", help="NAME[:STAGE]")
    clicks.add_argument("--upsamplers", default="bilinear,featup,jafar,anyup")
    clicks.add_argument("--checkpoint", action="append", default=[], metavar="METHOD=NAME_OR_PATH")
    clicks.add_argument("--size", type=int, default=448, help="longer side of input and output")
    attention.add_argument("--rounds", type=int, default=3, help="turns of windowed and dense")
    for child in (attention, clicks):
        child.add_argument("--threads", type=int, help="torch's threads; by default its own choice")
        child.add_argument("--check", action="store_true", help="fail if a target is missed")


def run(args: argparse.Namespace) -> int:
    """Print the measurements; return 1 if a target was to be checked and is missed, else 0."""
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads{load}")
    with torch.no_grad():
        met = bench_attention(args) if args.bench == "attention" else bench_clicks(args)
    return 0 if all(met) or not args.check else 1


def target(text: str, met: bool) -> bool:
    """Print whether a target is met and return it."""
    print(f"  {text}: {'met' if met else 'MISSED'}")
    return met


# --- time and memory of one process ---


@dataclass
class Cost:
    """Wall and CPU seconds, and the bytes beyond those held before (None if unknown here)."""

    wall: float = 0.0
    cpu: float = 0.0
    extra: int | None = None

    def row(self, name: str) -> str:
        """Return a line of a table."""
        extra = "unknown" if self.extra is None else f"{self.extra / GIB:.2f} GiB"
        return f"  {name:<12}{self.wall:8.2f} s wall{self.cpu:8.2f} s CPU{extra:>12} peak extra"


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure the body; its peak memory is the kernel's own high-water mark, reset before."""
    cost = Cost()
    _reset_peak()
    before = _status("VmRSS")
    wall, cpu = time.perf_counter(), time.process_time()
    yield cost
    cost.wall, cost.cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = _status("VmHWM")
    cost.extra = None if before is None or peak is None else peak - before


def _reset_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # elsewhere the mark stays that of the process: too high, never too low
        pass


def _status(name: str) -> int | None:
    return _kibibytes(Path("/proc/self/status"), name)


def _kibibytes(path: Path, name: str) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return 1024 * int(found[0]) if found else None


# --- attention ---


def bench_attention(args: argparse.Namespace) -> list[bool]:
    """Compare windowed with dense attention on the same inputs and weights, in turns."""
    case = AttentionCase(grid=32, output=448)
    print(case.title)
    case.windowed()  # the first call pays for torch's own start
    free = _kibibytes(Path("/proc/meminfo"), "MemAvailable")
    short = free is not None and free < DENSE_NEEDS
    if short and not args.skip_dense:
        print(f"  dense skipped: {free / GIB:.1f} GiB free, {DENSE_NEEDS / GIB:.0f} GiB wanted")
    fast, slow, differ = [], [], 0.0
    for _ in range(max(1, args.rounds)):
        with measured() as cost:
            found = case.windowed()
        fast.append(cost)
        print(cost.row("windowed"))
        if not (args.skip_dense or short):
            with measured() as cost:
                dense = case.dense()
            slow.append(cost)
            print(cost.row("dense"))
            differ = max(differ, (found - dense).abs().max().item())
            del dense
        del found
    met = []
    peak = _most(fast)
    if peak is not None:
        met.append(target(f"windowed under {WINDOWED_GIB:g} GiB", peak < WINDOWED_GIB * GIB))
    if slow:
        print(f"  largest difference of the outputs: {differ:.1e}")
        ratios = sorted(d.wall / w.wall for w, d in zip(fast, slow, strict=True))
        middle = statistics.median(ratios)
        text = f"{middle:.1f}x faster (median; {ratios[0]:.1f} to {ratios[-1]:.1f})"
        met.append(target(f"{text}, at least {FASTER:g}x wanted", middle >= FASTER))
        peak = _most(slow)
        if peak is not None:
            wanted = f"dense over {DENSE_GIB:g} GiB, so the window is what saves it"
            met.append(target(wanted, peak > DENSE_GIB * GIB))
    del case
    if not args.skip_large:
        case = AttentionCase(grid=64, output=896)
        print(case.title)
        with measured() as large:
            case.windowed()
        print(large.row("windowed"))
        if large.extra is not None:
            met.append(target(f"under {LARGE_GIB:g} GiB", large.extra < LARGE_GIB * GIB))
    return met


def _most(costs: list[Cost]) -> int | None:
    """Return the highest of the peaks, or None if one is unknown."""
    peaks = [cost.extra for cost in costs]
    return None if None in peaks else max(peaks)


class AttentionCase:
    """Random queries, keys, cells and weights of AnyUp's published size."""

    def __init__(self, grid: int, output: int, dim: int = 128, channels: int = 384):
        import torch

        from explorer.upsamplers.attention import window_bounds
        from explorer.upsamplers.layers import RawValueAttention

        torch.manual_seed(0)
        self.ratio, heads = 0.1, 4
        self.attention = RawValueAttention(dim, heads).eval().requires_grad_(False)
        self.queries = torch.randn(1, dim, output, output)
        self.keys = torch.randn(1, grid, grid, dim)
        self.values = torch.randn(1, channels, grid, grid)
        self.bounds = window_bounds(grid, output, self.ratio)
        self.title = (
            f"{grid}x{grid} cells, {channels} channels, output {output}x{output}, window "
            f"±{self.ratio:g}, {heads} heads of {dim // heads}"
        )

    def windowed(self):
        """Return (1, C, H', W') as AnyUp does here: only the keys inside each window."""
        from explorer.upsamplers.attention import AttentionResampler
        from explorer.upsamplers.guided import project_queries

        return AttentionResampler(
            self.values,
            project_queries(self.attention, self.queries),
            self.attention.key(self.keys),
            self.attention.heads,
            self.bounds,
            self.bounds,
        ).features()

    def dense(self):
        """Return the same by ``nn.MultiheadAttention`` with a mask over all keys."""
        import torch

        cells = torch.arange(self.keys.shape[1])
        inside = (cells >= self.bounds[:, :1]) & (cells < self.bounds[:, 1:])  # (H', h)
        mask = ~(inside[:, None, :, None] & inside[None, :, None, :]).flatten(2).flatten(0, 1)
        query = self.attention.norm_q(self.queries.flatten(2).transpose(1, 2))
        key = self.attention.norm_k(self.keys.flatten(1, 2))
        _, weights = self.attention.attention(
            query, key, key, attn_mask=mask, need_weights=True, average_attn_weights=True
        )
        out = weights @ self.values.flatten(2).transpose(1, 2)
        return out.transpose(1, 2).unflatten(2, self.queries.shape[2:])


# --- clicks ---


def bench_clicks(args: argparse.Namespace) -> list[bool]:
    """Time a click for every method: attention overlays and similarity maps, once prepared."""
    from explorer.image import open_photo
    from explorer.session import Options, Session
    from explorer.views import VIEWS
    from explorer.views.attention import reading
    from explorer.views.rows import Place
    from explorer.views.similarity import similarity

    methods = tuple(args.upsamplers.split(","))
    options = Options(
        open_photo(args.photo),
        (args.backbone,),
        methods,
        args.size,
        args.size,
        dict(pair.split("=", 1) for pair in args.checkpoint),
    )
    session = Session("cpu")
    height, width = options.output
    queries = [(int(row * height), int(col * width)) for row, col in CLICKS]
    print(f"{options.photo.name}, output {height}x{width}, {args.backbone}, {len(methods)} methods")

    with measured() as cost:
        VIEWS.create("attention").render(session, options.at((0, 0)))
    print(f"  preparing, once per photo: {cost.wall:.1f} s wall, {cost.cpu:.1f} s CPU")
    for method in methods:
        places = [Place(session, options.at(q), args.backbone, "", method) for q in queries]
        clicks = [_time(partial(reading, place)) for place in places]
        print(f"    {method}: {_spread(clicks)}")
    view = VIEWS.create("attention")
    clicks = [_time(partial(view.render, session, options.at(q))) for q in queries]
    print(f"  click to attention overlays: {_spread(clicks)}")
    drawn = view.render(session, options.at(queries[0]))[1:]  # the photo stays as it is
    files = [_time(lambda: [_png(panel.image) for panel in drawn]) for _ in range(5)]
    print(f"  those as PNG files: {_spread(files)}")
    total = _median(clicks) + _median(files)
    met = [target(f"{total:.0f} ms, under {ATTENTION_MS:.0f} ms wanted", total < ATTENTION_MS)]

    print("  once per photo, norms:")
    for method in methods:
        once = _time(partial(session.norms, options, args.backbone, method))
        print(f"    {method}: {once[0]:.1f} s wall, {once[1]:.1f} s CPU")
    for method in methods:
        places = [Place(session, options.at(q), args.backbone, "", method) for q in queries[:3]]
        clicks = [_time(partial(similarity, place, place)) for place in places]
        print(f"    {method}: {_spread(clicks)}")
    view = VIEWS.create("similarity")
    clicks = [_time(partial(view.render, session, options.at(q))) for q in queries[3:]]
    print(f"  click to similarity maps: {_spread(clicks)}")
    total = _median(clicks)
    met.append(
        target(f"{total:.0f} ms, under {SIMILARITY_MS:.0f} ms wanted", total < SIMILARITY_MS)
    )
    return met


def _time(body: Callable[[], object]) -> tuple[float, float]:
    """Return wall and CPU seconds of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    body()
    return time.perf_counter() - wall, time.process_time() - cpu


def _median(times: list[tuple[float, float]]) -> float:
    """Return the median wall time in milliseconds."""
    return 1000 * statistics.median(wall for wall, _ in times)


def _spread(times: list[tuple[float, float]]) -> str:
    """Return medians and the best of some timings as text."""
    wall, cpu = ([1000 * one[i] for one in times] for i in (0, 1))
    return (
        f"median {statistics.median(wall):.0f} ms wall ({min(wall):.0f} to {max(wall):.0f}), "
        f"{statistics.median(cpu):.0f} ms CPU"
    )


def _png(image) -> int:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG", compress_level=1)
    return out.tell()
