"""Whether readers with a colour vision deficiency can tell the colours of a legend apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from explorer.imaging.color import seen_oklab

TOO_CLOSE = 0.06  # OKLab distance under which two chips are hard to tell apart


def indistinguishable_pairs(
    legend: Sequence[tuple[str, tuple[int, int, int]]], closest: float = TOO_CLOSE
) -> list[tuple[str, str, str]]:
    """Return (name, other name, vision) for colours that look alike to some readers.

    ``vision`` is "protanopia", "deuteranopia", "tritanopia", or "normal" when nobody can tell them
    apart; each pair is listed once. ``closest`` is a distance in OKLab.
    """
    if len(legend) < 2:
        return []
    seen = seen_oklab(np.array([color for _, color in legend]))
    found = []
    for i, j in combinations(range(len(legend)), 2):
        for vision, lab in seen.items():
            if np.linalg.norm(lab[i] - lab[j]) < closest:
                found.append((legend[i][0], legend[j][0], vision))
                break
    return found
