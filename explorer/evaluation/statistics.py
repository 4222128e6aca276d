"""Spread over seeds and intervals over images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

RESAMPLES = 1000
CHUNK = 100

Scores = Callable[[np.ndarray], dict[str, np.ndarray]]


def over_seeds(sums: np.ndarray, scores: Scores) -> dict[str, np.ndarray]:
    """Return each score per seed, (seeds,), of sums (images, seeds, ...)."""
    return scores(sums.sum(axis=0))


def difference_intervals(
    sums: np.ndarray, baseline: np.ndarray, scores: Scores, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Return 95% bootstrap intervals of each score's difference to the baseline.

    Images are drawn with replacement, the same for both (paired); scores are means over seeds.
    Neighbouring frames of a film resemble each other, for which the interval is too narrow.

    Args:
        sums: (images, seeds, ...).
        baseline: (images, seeds', ...) of the same images.
        scores: from summed sums to scores.
        seed: of the resampling.
    """
    images = len(sums)
    draw = np.random.default_rng(seed)
    found: dict[str, list[np.ndarray]] = {}
    for start in range(0, RESAMPLES, CHUNK):
        count = min(CHUNK, RESAMPLES - start)
        times = draw.multinomial(images, np.full(images, 1 / images), size=count)
        mine, theirs = (scores(np.tensordot(times, part, axes=1)) for part in (sums, baseline))
        for key in mine:
            difference = np.nanmean(mine[key], axis=-1) - np.nanmean(theirs[key], axis=-1)
            found.setdefault(key, []).append(difference)
    return {key: interval(np.concatenate(parts)) for key, parts in found.items()}


def mean_interval(values: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Return the 95% bootstrap interval of the mean of per-image values (images,)."""
    draw = np.random.default_rng(seed)
    images = len(values)
    times = draw.multinomial(images, np.full(images, 1 / images), size=RESAMPLES)
    return interval(times @ values / images)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 2.5th and 97.5th percentile, NaN if nothing is finite."""
    kept = values[np.isfinite(values)]
    if not len(kept):
        return float("nan"), float("nan")
    low, high = np.percentile(kept, (2.5, 97.5))
    return float(low), float(high)
