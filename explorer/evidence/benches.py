"""Reading what ``bench ... --out docs/results/bench/NAME.json`` measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from explorer.evidence.results import results_folder

TRAINING_KEYS = [(name, key) for name in ("jafar", "anyup") for key in ("seconds", "bytes")]
OWN_WINDOW, NO_WINDOW, BILINEAR = "its own", "none", "bilinear"  # rows of ``bench window``
Facts = Mapping[str, Any]


def training_costs(folder: Path | None = None) -> tuple[Facts | None, list[str]]:
    """Return what ``bench training --out bench/training.json`` wrote beside the reports, None if
    it never ran, and a sentence if the file is none.
    """

    def read(facts: Facts) -> None:
        _ = facts["batch"]
        for row in facts["rows"]:
            _ = [row["guidance"], *(row[name][key] for name, key in TRAINING_KEYS)]

    return _bench("training", folder, read)


def window_effects(folder: Path | None = None) -> tuple[Facts | None, list[str]]:
    """Return what ``bench window --out bench/window.json`` wrote beside the reports, None if it
    never ran, and a sentence if the file is none.
    """

    def read(facts: Facts) -> None:
        _ = [facts[key] for key in ("photos", "labelled_photos", "backbone", "checkpoint")]
        rows = {row["window"]: row for row in facts["rows"]}
        for name in (OWN_WINDOW, NO_WINDOW, BILINEAR):
            f"{rows[name]['gain_x2']:+.4f} {rows[name]['gain_x4']:+.4f} {rows[name]['labels']:.1%}"

    return _bench("window", folder, read)


def _bench(
    name: str, folder: Path | None, read: Callable[[Facts], None]
) -> tuple[Facts | None, list[str]]:
    path = (folder or results_folder()) / "bench" / f"{name}.json"
    if not path.is_file():
        return None, []
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        read(facts)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return None, [f"{path.name} is not what `bench {name}` writes: {error!r}"]
    return facts, []
