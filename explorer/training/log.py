"""The log of a run: JSON lines that survive kills, a curve anyone can open, progress with the time
left.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from explorer.files.atomic import part_file, write_atomically

SPIKE = 30  # times the median of the losses


class RunLog:
    """Append-only JSON lines; on resuming, entries at or after the resumed step are dropped
    first.
    """

    def __init__(self, path: Path, resumed_step: int = 0):
        self.path = path
        kept = [row for row in read_log(path) if row["step"] < resumed_step]
        write_atomically(path, "".join(json.dumps(row) + "\n" for row in kept).encode())
        self.file = path.open("a")

    def write(self, row: dict[str, Any]) -> None:
        """Append one row and hand it to the system."""
        self.file.write(json.dumps(row) + "\n")
        self.file.flush()


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a log; a last line cut by a kill is ignored."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def plot(log: Path, out: Path) -> None:
    """Draw the loss curve and the validation gains (and labels kept) of a log into a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = read_log(log)
    losses = [(row["step"], row["loss"]) for row in rows if "loss" in row]
    gains = [row for row in rows if "gain_x2" in row]
    figure = Figure(figsize=(8, 3.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    if losses:
        steps, values = zip(*losses, strict=True)
        left.plot(steps, values, lw=0.5, alpha=0.4, color="tab:blue")
        smooth, mean = [], values[0]
        for value in values:
            mean += (value - mean) * 0.05
            smooth.append(mean)
        left.plot(steps, smooth, color="tab:blue")
        usual = statistics.median(map(abs, values))
        if max(map(abs, values)) > SPIKE * usual > 0:  # a straight axis would show nothing else
            left.set_yscale("symlog", linthresh=usual)
    left.set(xlabel="step", ylabel="loss")
    for factor, colour in ((2, "tab:orange"), (4, "tab:green")):
        right.plot(
            [row["step"] for row in gains],
            [row[f"gain_x{factor}"] for row in gains],
            marker="o",
            ms=3,
            color=colour,
            label=f"cosine x{factor}",
        )
    kept = [
        (row["step"], row["labels"] - row["labels_bilinear"]) for row in gains if "labels" in row
    ]
    if kept:
        right.plot(
            *zip(*kept, strict=True), marker="o", ms=3, color="tab:purple", label="labels kept"
        )
    right.axhline(0, color="grey", lw=0.8)
    right.set(xlabel="step", ylabel="over bilinear")
    if gains:
        right.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    with part_file(out) as part:
        figure.savefig(part, format="png")
