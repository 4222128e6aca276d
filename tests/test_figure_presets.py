"""A figure preset is one file: menus, commands, recipes and the API find it in the registry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from plugins import plugged_in

from explorer.__main__ import main
from explorer.core import Panel, UnknownNameError
from explorer.figure import PRESETS, FigureStyle, presets, read_figure, render
from explorer.reproduce.fields import read_preset
from explorer.ui.export_fields import preset_field

# Recipes hold these names.
SHIPPED = [
    "teaser strip",
    "method comparison with insets",
    "attention figure",
    "probe figure",
    "backbone grid",
]
POSTCARD = '''
from explorer.figure.presets.base import preset
from explorer.figure.style import FigureStyle


@preset("postcard", order=15)
def postcard(panels):
    """All panels on a dark card."""
    return FigureStyle(width_in=5.5, theme="dark", metrics=len(panels) > 2)
'''


def noise(seed, *size):
    return np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)


def cases():
    """Panels of several kinds: one, many, some or all of them failed, of other shapes."""
    grid = [
        Panel(row, f"c{n}", noise(n, 48, 64), role=role, metrics=(("mIoU", "61.2"),))
        for row in ("a", "b")
        for n, role in enumerate(("photo", "coarse", "method", "method", "method"))
    ]
    seen = [replace(p, rectangle=(0.1, 0.3, 0.5, 0.7), marker=(0.2, 0.6)) for p in grid[:3]]
    failed = [replace(p, error="the weights are missing") for p in grid]
    return {
        "one": grid[:1],
        "grid": grid,
        "windows": seen,
        "some failed": [*grid[:5], *failed[5:]],
        "all failed": failed,
        "small": [grid[0], replace(grid[1], image=noise(9, 6, 8))],
    }


@pytest.fixture
def postcard(tmp_path):
    with plugged_in(PRESETS, presets, tmp_path, "postcard", POSTCARD) as module:
        yield module.postcard


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_makes_a_style_for_any_panels(name):
    for case, panels in cases().items():
        style = PRESETS.get(name)(panels)
        assert style == PRESETS[name](list(panels)), f"{case}: not the same twice"
        assert FigureStyle.from_dict(style.to_dict()) == style, f"{case}: no recipe holds it"
        assert render(panels, style, "png").startswith(b"\x89PNG"), case


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_declared_for_menus(name):
    assert PRESETS.describe(name).endswith(".")
    assert isinstance(PRESETS.get(name).order, int | float)


def test_names_that_recipes_hold_stay():
    assert list(PRESETS) == SHIPPED
    for name in SHIPPED:
        remarks = []
        assert read_preset({"preset": {"name": name, "changes": {}}}, remarks)["name"] == name
        assert remarks == []


def test_another_name_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean teaser strip"):
        PRESETS["teaser stripe"]


def test_a_file_is_found_by_menus_and_recipes(postcard):
    assert list(PRESETS) == [SHIPPED[0], "postcard", *SHIPPED[1:]]
    assert ("Postcard", "postcard") in preset_field().choices
    remarks = []
    assert read_preset({"preset": {"name": "postcard", "changes": {}}}, remarks)
    assert remarks == []


def test_a_file_is_found_by_the_command_and_restored(postcard, tmp_path, examples):
    photo, out = str(examples / "cat.jpg"), tmp_path / "card.png"
    cheap = ["--upsamplers", "nearest", "--input-size", "64", "--output-size", "32", "--dpi", "50"]
    assert main(["figure", photo, *cheap, "--preset", "postcard", "--out", str(out)]) == 0
    made = read_figure(out)
    assert made["recipe"]["preset"]["name"] == "postcard"
    assert (made["style"]["theme"], made["style"]["width_in"]) == ("dark", 5.5)
    again = tmp_path / "again.png"
    assert main(["figure", "--recipe", str(out), "--photo", photo, "--out", str(again)]) == 0
    assert again.read_bytes() == out.read_bytes()
