"""AnyUp's window attention against a dense masked multi-head attention."""

from __future__ import annotations

import argparse
import statistics

import psutil

from explorer.commands.bench.measuring import GIB, Cost, measured, target

ORDER = 10  # in the command's help

DENSE_NEEDS = 12 * GIB  # what must be free before the dense version is tried
FASTER, WINDOWED_GIB, DENSE_GIB, LARGE_GIB = 3.0, 1.0, 7.0, 4.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    parser.add_argument("--skip-dense", action="store_true", help="only the windowed version")
    parser.add_argument("--skip-large", action="store_true", help="not the 896 px output")
    parser.add_argument("--rounds", type=int, default=3, help="turns of windowed and dense")


def bench(args: argparse.Namespace) -> list[bool]:
    """Compare windowed with dense attention on the same inputs and weights, in turns."""
    case = AttentionCase(grid=32, output=448)
    print(case.title)
    case.windowed()  # the first call pays for torch's own start
    free = psutil.virtual_memory().available
    short = free < DENSE_NEEDS
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

        from explorer.upsamplers.layers import RawValueAttention
        from explorer.upsamplers.windows import window_bounds

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

        bounds = [tuple(pair) for pair in self.bounds.tolist()]
        return AttentionResampler(
            self.values,
            self.attention.query(self.queries.permute(0, 2, 3, 1)),
            self.attention.key(self.keys),
            self.attention.heads,
            bounds,
            bounds,
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
