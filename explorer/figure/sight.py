"""Whether readers with a colour vision deficiency can tell the colours of a legend apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

# Full dichromacy in linear RGB (Machado, Oliveira and Fernandes, 2009).
_DEFICIENCIES = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
TOO_CLOSE = 0.06  # OKLab distance under which two chips are hard to tell apart


def _oklab(linear: np.ndarray) -> np.ndarray:
    return np.cbrt(np.clip(linear, 0, 1) @ _TO_CONES.T) @ _TO_OKLAB.T


def confusable(
    legend: Sequence[tuple[str, tuple[int, int, int]]], closest: float = TOO_CLOSE
) -> list[tuple[str, str, str]]:
    """Return (name, other name, vision) for colours that look alike to some readers.

    ``vision`` is "protanopia", "deuteranopia", "tritanopia", or "normal" when nobody can tell them
    apart; each pair is listed once. ``closest`` is a distance in OKLab.
    """
    if len(legend) < 2:
        return []
    srgb = np.array([color for _, color in legend], float) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = {"normal": _oklab(linear)}
    seen |= {name: _oklab(linear @ np.array(m).T) for name, m in _DEFICIENCIES.items()}
    found = []
    for i, j in combinations(range(len(legend)), 2):
        for vision, lab in seen.items():
            if np.linalg.norm(lab[i] - lab[j]) < closest:
                found.append((legend[i][0], legend[j][0], vision))
                break
    return found
