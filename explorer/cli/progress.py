"""Progress on the terminal: tqdm's bars, redrawn often on a terminal and seldom in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from tqdm import tqdm

SECONDS_IN_A_LOG = 15.0


def progress_bar(
    what: str,
    total: int | None = None,
    unit: str = "photo",
    *,
    items: Iterable[Any] | None = None,
    initial: int = 0,
    quiet: bool = False,
    leave: bool = True,
) -> tqdm:
    """Return a bar on standard error: ``update(1)`` counts one more, ``close()`` ends it.

    Args:
        what: stands before the bar.
        total: how many there are, None if that is not known yet.
        unit: of what is counted; "B" is shown as kB, MB ...
        items: iterate over the bar, and each of them counts.
        initial: how many were done before.
        quiet: show nothing.
        leave: whether the finished bar stays on the terminal; in a log it always does.
    """
    live = sys.stderr.isatty()
    return tqdm(
        items,
        total=total,
        desc=what,
        unit=unit,
        unit_scale=unit == "B",
        initial=initial,
        disable=quiet,
        leave=leave or not live,
        file=sys.stderr,
        dynamic_ncols=True,
        mininterval=0.1 if live else SECONDS_IN_A_LOG,
    )


def report_to(bar: tqdm) -> Callable[[int, int | None], None]:
    """Return a function of (done, total) that moves the bar there."""

    def report(done: int, total: int | None) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return report
