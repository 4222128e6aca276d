"""The colours of classes and scales, decided once for screen, paper and exports."""

from __future__ import annotations

import numpy as np

Colour = tuple[int, int, int]

GOLDEN_ANGLE = 137.50776405003785
LEVELS = (0.72, 0.55, 0.84)  # OKLCH lightness, in turn: neighbours in hue differ in lightness too
CHROMA = 0.13
# viridis at nine equal steps: light is far, and it survives greyscale print
DEPTH_STOPS = (
    (68, 1, 84),
    (71, 44, 122),
    (59, 81, 139),
    (44, 113, 142),
    (33, 144, 141),
    (39, 173, 129),
    (92, 200, 99),
    (170, 220, 50),
    (253, 231, 37),
)
GREY_STOPS = ((20, 20, 20), (245, 245, 245))
DIFFER_STOPS = ((35, 35, 40), (214, 69, 65))


def class_colours(count: int) -> tuple[Colour, ...]:
    """Return ``count`` colours that stay apart, always the same ones in the same order."""
    hue = np.radians((np.arange(count) * GOLDEN_ANGLE + 25) % 360)
    level = np.array([LEVELS[i % len(LEVELS)] for i in range(count)])
    lab = np.stack([level, CHROMA * np.cos(hue), CHROMA * np.sin(hue)], axis=-1)
    return tuple(tuple(int(v) for v in row) for row in oklab_to_rgb(lab))


def ramp(stops: tuple[Colour, ...], count: int = 256) -> np.ndarray:
    """Return (count, 3) uint8 colours that pass through ``stops`` at equal steps."""
    points = np.linspace(0, len(stops) - 1, count)
    channels = [np.interp(points, range(len(stops)), [s[c] for s in stops]) for c in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def paint(values: np.ndarray, low: float, high: float, stops: tuple[Colour, ...]) -> np.ndarray:
    """Return (H, W, 3) uint8 colours of (H, W) values; what lies outside [low, high] is clipped."""
    colours = ramp(stops)
    share = (np.asarray(values, float) - low) / max(high - low, 1e-12)
    return colours[(np.nan_to_num(share).clip(0, 1) * (len(colours) - 1)).round().astype(int)]


def oklab_to_rgb(lab: np.ndarray) -> np.ndarray:
    """Return (..., 3) uint8 sRGB of OKLab (..., 3), clipped to the gamut."""
    root = np.array(
        [
            [1, 0.3963377774, 0.2158037573],
            [1, -0.1055613458, -0.0638541728],
            [1, -0.0894841775, -1.2914855480],
        ]
    )
    mix = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = ((lab @ root.T) ** 3 @ mix.T).clip(0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (curved * 255).round().clip(0, 255).astype(np.uint8)
