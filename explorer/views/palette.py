"""Every colour the views use: perceptual maps, a wheel of directions, classes, heat over a photo.

Colours are built in OKLab, where equal steps look equal. Tables are (N, 3) uint8.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from explorer.core import Colorbar, ExplorerError
from explorer.imaging.color import oklab_to_linear, oklab_to_rgb, rgb_to_oklab, seen_oklab

STEPS = 256
BAR = 65  # colours of a colour bar
GAMMA = 0.5  # weights span orders of magnitude: their square root is what eyes can compare
WHEEL_PALE, WHEEL_FULL = 0.965, 0.68  # OKLab lightness in the middle and on the rim
WHEEL_CHROMA = 0.18
RED = np.deg2rad(29)  # the OKLab hue that points right


def _into_gamut(lab: np.ndarray) -> np.ndarray:
    """Lower the chroma of (N, 3) colours until the screen can show them; lightness and hue stay."""
    low, high = np.zeros(len(lab)), np.ones(len(lab))
    for _ in range(24):
        middle = (low + high) / 2
        linear = oklab_to_linear(lab * np.stack([np.ones_like(middle), middle, middle], axis=1))
        fits = ((linear >= -1e-6) & (linear <= 1 + 1e-6)).all(axis=1)
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return lab * np.stack([np.ones_like(low), low, low], axis=1)


# --- maps of numbers ---


def _table(stops: list[tuple[float, float, float]]) -> np.ndarray:
    """Return STEPS colours through stops (lightness, chroma, hue in degrees), straight in OKLab."""
    lightness, chroma, hue = np.array(stops).T
    hue = np.deg2rad(hue)
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)
    # Equal steps of lightness: a reader who sees no hue still reads the order.
    at = (lightness - lightness[0]) / (lightness[-1] - lightness[0])
    where = np.linspace(0, 1, STEPS)
    full = np.stack([np.interp(where, at, part) for part in lab.T], axis=1)
    return oklab_to_rgb(_into_gamut(full))


SEQUENTIAL = _table(
    [
        (0.16, 0.04, 285),
        (0.34, 0.16, 300),
        (0.52, 0.21, 355),
        (0.66, 0.21, 32),
        (0.80, 0.16, 70),
        (0.96, 0.10, 103),
    ]
)
_COOL = _table(
    [(0.16, 0.04, 285), (0.36, 0.14, 268), (0.56, 0.16, 250), (0.76, 0.12, 215), (0.96, 0.05, 180)]
)
# The upper half is SEQUENTIAL: a weight has the same colour beside methods without negative ones.
DIVERGING = np.concatenate([_COOL[:0:-1], SEQUENTIAL])


def look_up(
    table: np.ndarray, values: np.ndarray, low: float, high: float, gamma: float = 1.0
) -> np.ndarray:
    """Return the colours (..., 3) uint8 of numbers from ``low`` to ``high``, clipped at the ends.

    Colours follow the number's share of the range to the power ``gamma``.
    """
    span = high - low
    share = (np.asarray(values, np.float32) - low) / span if span > 0 else np.zeros_like(values)
    share = np.clip(share, 0, 1)
    share = share if gamma == 1 else share**gamma
    return table[(share * (len(table) - 1) + 0.5).astype(np.intp)]


def colorbar(
    table: np.ndarray, low: float, high: float, label: str, gamma: float = 1.0
) -> Colorbar:
    """Return the scale of ``look_up`` as a panel's colour bar, linear in the numbers."""
    colours = look_up(table, np.linspace(low, high, BAR), low, high, gamma)
    return Colorbar(float(low), float(high), label, tuples(colours))


def tuples(colours: np.ndarray) -> tuple[tuple[int, int, int], ...]:
    """Return (N, 3) colours as the plain tuples that panels carry."""
    return tuple((int(r), int(g), int(b)) for r, g, b in colours)


# --- directions ---


@lru_cache(maxsize=1)
def _rim() -> np.ndarray:
    """The rim's chroma per degree of hue: as much as the screen has, up to WHEEL_CHROMA."""
    hue = np.deg2rad(np.arange(360))
    full = np.stack([np.full(360, WHEEL_FULL), np.cos(hue), np.sin(hue)], axis=1)
    full[:, 1:] *= WHEEL_CHROMA
    chroma = np.hypot(*_into_gamut(full)[:, 1:].T)
    wrapped = np.concatenate([chroma[-20:], chroma, chroma[:20]])
    return np.convolve(wrapped, np.ones(41) / 41, mode="valid")  # no creases at the gamut's corners


def wheel(down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return a colour (..., 3) uint8 per vector: hue is its direction, chroma its length.

    Args:
        down: vertical part, positive downwards; lengths from 1 on share the rim's chroma.
        right: horizontal part, same shape.
    """
    down, right = np.asarray(down, np.float32), np.asarray(right, np.float32)
    length = np.hypot(down, right)
    reach = np.minimum(length, 1)
    angle = np.arctan2(-down, right) + RED
    rim = _rim()[np.rint(np.rad2deg(angle)).astype(int) % 360]
    chroma = rim * reach
    lightness = WHEEL_PALE + (WHEEL_FULL - WHEEL_PALE) * reach
    lab = np.stack([lightness, chroma * np.cos(angle), chroma * np.sin(angle)], axis=-1)
    return oklab_to_rgb(lab)


# --- classes ---


@lru_cache(maxsize=64)
def categorical(count: int) -> tuple[tuple[int, int, int], ...]:
    """Return ``count`` class colours; the first 16 stay apart for every colour vision deficiency.

    Each colour is the one farthest, in the worst of normal and three dichromatic visions, from all
    before it, so that a shorter palette is the beginning of a longer one. Raises ExplorerError for
    more than 256.
    """
    if not 1 <= count <= 256:
        raise ExplorerError(f"a palette has 1 to 256 colours, not {count}")
    side = np.arange(0, 256, 15)
    rgb = np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = rgb_to_oklab(rgb)
    # Neither as dark as a shadow nor as pale as paper, nor grey like a photo without colour.
    usable = (lab[:, 0] > 0.40) & (lab[:, 0] < 0.91) & (np.hypot(lab[:, 1], lab[:, 2]) > 0.07)
    rgb = rgb[usable]
    labs = np.stack(list(seen_oklab(rgb).values()))  # (4, N, 3)
    chosen = [int(np.abs(rgb - np.array([0, 114, 189])).sum(axis=1).argmin())]
    nearest = np.full(len(rgb), np.inf)
    while len(chosen) < count:
        distance = np.linalg.norm(labs - labs[:, chosen[-1], None], axis=2).min(axis=0)
        nearest = np.minimum(nearest, distance)
        chosen.append(int(nearest.argmax()))
    return tuples(rgb[chosen])


# --- heat over a photo ---


def backdrop(photo: np.ndarray) -> np.ndarray:
    """Return a photo (H, W, 3) uint8 without colour and dimmed, so that heat stands out on it."""
    grey = photo.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    dimmed = (0.60 * grey + 16).astype(np.uint8)
    return np.repeat(dimmed[:, :, None], 3, axis=2)


def heat(weights: np.ndarray, high: float, signed: bool, opacity: float, gamma: float = GAMMA):
    """Return colours (..., 3) float32 and opacities (...,) of weights; weight 0 is transparent.

    ``high`` is the weight that has the last colour; ``signed`` chooses DIVERGING.
    """
    weights = np.asarray(weights, np.float32)
    strength = np.clip(np.abs(weights) / high, 0, 1) ** gamma if high > 0 else 0 * weights
    # Small weights start in violet or blue: the tables' darkest part would not show on a photo.
    shown = 0.25 + 0.75 * strength
    if signed:
        colours = look_up(DIVERGING, np.where(weights < 0, -shown, shown), -1, 1)
    else:
        colours = look_up(SEQUENTIAL, shown, 0, 1)
    # Opaque soon, so that hue tells the weight and the photo only shades it.
    return colours.astype(np.float32), opacity * (1 - (1 - strength) ** 2)


def overlay(
    base: np.ndarray, weights: np.ndarray, high: float, signed: bool, opacity: float
) -> np.ndarray:
    """Return ``base`` (H, W, 3) uint8 under the heat of sharp-edged cells ``weights`` (h, w)."""
    out = base.copy()
    colours, alpha = heat(weights, high, signed, opacity)
    used = alpha > 0
    if not used.any():
        return out
    # Most cells are transparent most of the time: only pixels of the others are blended.
    rows, cols = (
        _pixels_of(np.flatnonzero(used.any(axis=1 - axis)), weights.shape[axis], base.shape[axis])
        for axis in (0, 1)
    )
    part = out[rows[0].start : rows[0].stop, cols[0].start : cols[0].stop]
    keep = (1 - alpha)[rows[1]][:, cols[1]]
    for channel in range(3):
        add = (colours[..., channel] * alpha + 0.5)[rows[1]][:, cols[1]]
        add += part[..., channel] * keep
        part[..., channel] = add
    return out


def _pixels_of(cells: np.ndarray, count: int, pixels: int) -> tuple[range, np.ndarray]:
    """Return the pixels from the first to the last of some cells, and each one's cell."""
    cell_of = (2 * np.arange(pixels) + 1) * count // (2 * pixels)
    start, stop = np.searchsorted(cell_of, [cells[0], cells[-1] + 1])
    return range(int(start), int(stop)), cell_of[start:stop]


def heat_bar(high: float, signed: bool, opacity: float, label: str) -> Colorbar:
    """Return the scale of ``overlay`` as it looks over the backdrop's middle grey."""
    weights = np.linspace(-high if signed else 0, high, BAR)
    colours, alpha = heat(weights, high, signed, opacity)
    grey = 0.60 * 128 + 16
    mixed = grey * (1 - alpha[:, None]) + colours * alpha[:, None]
    low = -high if signed else 0.0
    return Colorbar(float(low), float(high), label, tuples(mixed.round().astype(int)))
