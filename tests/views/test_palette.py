"""Colours: ordered, invertible, apart, and what the colour bar says."""

import numpy as np
import pytest

from explorer.core import ExplorerError
from explorer.figure import indistinguishable_pairs
from explorer.imaging.color import oklab_to_rgb, rgb_to_oklab
from explorer.views import palette


def test_oklab_of_known_colours_and_back():
    assert np.allclose(rgb_to_oklab(np.array([255, 255, 255])), [1, 0, 0], atol=1e-3)
    red = rgb_to_oklab(np.array([255, 0, 0]))  # Ottosson's published example
    assert np.allclose(red, [0.628, 0.225, 0.126], atol=1e-3)
    colours = np.random.default_rng(0).integers(0, 256, (500, 3))
    assert np.array_equal(oklab_to_rgb(rgb_to_oklab(colours)), colours)


def test_maps_are_ordered_by_lightness():
    lightness = rgb_to_oklab(palette.SEQUENTIAL)[:, 0]
    assert (np.diff(lightness) > 0).all() and lightness[0] < 0.2 and lightness[-1] > 0.93
    steps = np.diff(lightness)
    assert steps.max() < 3 * steps.mean()  # no jump that would look like an edge
    middle = len(palette.DIVERGING) // 2
    below = rgb_to_oklab(palette.DIVERGING[: middle + 1])[:, 0]
    assert (np.diff(below) < 0).all()
    assert np.array_equal(palette.DIVERGING[middle:], palette.SEQUENTIAL)


def test_the_colour_bar_is_the_scale():
    values = np.linspace(-2, 3, palette.BAR)
    for gamma in (1.0, 0.5):
        bar = palette.colorbar(palette.SEQUENTIAL, -2, 3, "x", gamma)
        painted = palette.look_up(palette.SEQUENTIAL, values, -2, 3, gamma)
        assert (bar.low, bar.high) == (-2, 3) and np.array_equal(bar.colors, painted)
    assert np.array_equal(
        palette.look_up(palette.SEQUENTIAL, np.array([-9.0, 9.0]), 0, 1),
        palette.SEQUENTIAL[[0, -1]],
    )
    flat = palette.look_up(palette.SEQUENTIAL, np.ones(3), 1, 1)
    assert (flat == palette.SEQUENTIAL[0]).all()


def test_the_wheel_turns_evenly_and_pales_inwards():
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    rim = rgb_to_oklab(palette.wheel(-np.sin(angle), np.cos(angle)))
    hue = np.unwrap(np.arctan2(rim[:, 2], rim[:, 1]))
    assert np.abs(np.diff(hue) - np.deg2rad(5)).max() < np.deg2rad(2.5)
    chroma = np.hypot(rim[:, 1], rim[:, 2])
    assert chroma.min() > 0.09
    inner = rgb_to_oklab(palette.wheel(-np.sin(angle) / 3, np.cos(angle) / 3))
    assert (np.hypot(inner[:, 1], inner[:, 2]) < 0.6 * chroma).all()
    assert (inner[:, 0] > rim[:, 0]).all()
    far = palette.wheel(-5 * np.sin(angle), 5 * np.cos(angle))
    assert np.array_equal(far, palette.wheel(-np.sin(angle), np.cos(angle)))


def test_class_colours_stay_apart_for_everybody():
    colours = palette.categorical(24)
    assert indistinguishable_pairs([(str(i), colour) for i, colour in enumerate(colours)]) == []
    assert colours == palette.categorical(150)[:24] and len(set(palette.categorical(256))) == 256
    for count in (0, 257):
        with pytest.raises(ExplorerError):
            palette.categorical(count)


def test_heat_leaves_the_photo_where_there_is_no_weight():
    rng = np.random.default_rng(0)
    base = palette.backdrop(rng.integers(0, 256, (31, 45, 3), dtype=np.uint8))
    weights = np.zeros((4, 6), np.float32)
    assert np.array_equal(palette.overlay(base, weights, 1.0, False, 0.9), base)
    weights[2, 3], weights[0, 5] = 1.0, -1.0
    shown = palette.overlay(base, weights, 1.0, True, 1.0)
    changed = (shown != base).any(axis=2)
    cell_row, cell_col = np.arange(31) * 4 // 31, np.arange(45) * 6 // 45
    rows, cols = (2 * np.arange(31) + 1) * 4 // 62, (2 * np.arange(45) + 1) * 6 // 90
    inside = (weights != 0)[rows][:, cols]
    assert np.array_equal(changed, inside) and cell_row.shape == rows.shape
    assert (shown[inside & (weights > 0)[rows][:, cols]] == palette.SEQUENTIAL[-1]).all()
    assert (shown[inside & (weights < 0)[rows][:, cols]] == palette.DIVERGING[0]).all()
    assert cell_col.shape == cols.shape
    assert np.array_equal(
        palette.overlay(base, weights, 1.0, True, 0.0), base
    )  # no opacity, no heat


def test_the_heat_bar_has_both_signs():
    bar = palette.heat_bar(0.4, True, 0.9, "weight")
    assert (bar.low, bar.high) == (-0.4, 0.4) and len(bar.colors) == palette.BAR
    assert palette.heat_bar(0.4, False, 0.9, "weight").low == 0
