"""Protocols that score upsamplers on data sets: probes, and comparisons without one."""

from __future__ import annotations

import pkgutil
import sys
from pathlib import Path


def task_names() -> list[str]:
    """Return what ``evaluate`` can be asked for; nothing is imported.

    A module in ``tasks`` or ``comparisons`` is a task of its name. "preservation" trains the probes
    of the data's maps on bilinear features alone.
    """
    probes, comparisons = (
        [one.name for one in pkgutil.iter_modules(_folders(package))]
        for package in ("tasks", "comparisons")
    )
    return [name for name in (*probes, "preservation", *comparisons) if name != "base"]


def probe_names(task: str, data: Path, labels: str | None) -> list[str]:
    """Return the probes that a task trains: "preservation" has those that the data allow.

    Args:
        task: a probe's name, or "preservation".
        data: the data set's folder.
        labels: the folder of label maps, if one was named.
    """
    if task != "preservation":
        return [task]
    depth = (data / "depth").is_dir()
    return ["segmentation"] * (labels is not None or not depth) + ["depth"] * depth


def _folders(package: str) -> list[str]:
    loaded = sys.modules.get(f"{__name__}.{package}")
    return list(loaded.__path__) if loaded else [str(Path(__file__).parent / package)]
