"""Where everything looks: moments carried through the map equal those of single stencils."""

import numpy as np
import pytest
import torch
from tiny import METHODS

from explorer.upsamplers import UPSAMPLERS, LinearResampler
from explorer.views import VIEWS, palette
from explorer.views.attention_offset import RIM, attention_offset

PIXELS = [(0, 0), (60, 72), (0, 40), (33, 0), (30, 36), (59, 3), (17, 55)]


@pytest.mark.parametrize("name", METHODS)
def test_moments_equal_those_of_the_stencil(session, options, name):
    resampler = session.resampler(options(), "tiny", name).resampler
    if not isinstance(resampler, LinearResampler):
        pytest.skip("not one map for all channels")
    found = attention_offset(resampler)
    height, width = resampler.grid
    rows, cols = np.mgrid[0:height, 0:width] + 0.5
    for row, col in PIXELS:
        weights = resampler.stencil(row, col).double().numpy()
        weights /= weights.sum()
        down = (weights * rows).sum() - (row + 0.5) * height / 61
        right = (weights * cols).sum() - (col + 0.5) * width / 73
        variance = (weights * (rows**2 + cols**2)).sum()
        variance -= (weights * rows).sum() ** 2 + (weights * cols).sum() ** 2
        assert found.down[row, col] == pytest.approx(down, abs=1e-4)
        assert found.right[row, col] == pytest.approx(right, abs=1e-4)
        assert found.spread[row, col] ** 2 == pytest.approx(max(variance, 0), abs=2e-3)


def test_nearest_reads_one_cell_and_bicubic_leaves_no_spread(session, options):
    nearest = attention_offset(session.resampler(options(), "tiny", "nearest").resampler)
    assert nearest.spread.max() < 0.02 and np.abs(nearest.down).max() < 0.6
    assert nearest.undefined == 0
    bicubic = attention_offset(session.resampler(options(), "tiny", "bicubic").resampler)
    assert bicubic.undefined > 0.1
    panels = VIEWS.create("reach").render(session, options(view={"what": "spread"}))
    by = {panel.column: panel for panel in panels}
    assert "negative weights leave no spread" in by["Bicubic"].caption
    assert "negative weights" not in by["AnyUp"].caption


def test_colours_follow_direction_and_distance(session, options):
    """A pixel at the photo's left edge reads cells to its right, one at the top reads below."""
    chosen = options(upsamplers=("jafar",), view={"rim": 1.0})
    photo, key, panel = VIEWS.create("reach").render(session, chosen)
    assert key.column == "Colour key" and "rim: 1 cells" in key.caption
    found = attention_offset(session.resampler(chosen, "tiny", "jafar").resampler)
    legend = dict(panel.legend)
    for name, part, sign in (
        ("right", found.right, 1),
        ("left", found.right, -1),
        ("down", found.down, 1),
        ("up", found.down, -1),
    ):
        other = found.down if part is found.right else found.right
        straight = (sign * part > 1) & (np.abs(other) < 0.12 * np.abs(part))
        assert straight.any()
        near = {k: np.abs(panel.image[straight].astype(int) - c).sum(1) for k, c in legend.items()}
        assert (near[name] <= np.min(list(near.values()), axis=0)).all()
    still = palette.wheel(np.zeros(1), np.zeros(1))[0]
    assert still.min() > 235 and np.ptp(still.astype(int)) < 6  # white: reads where it stands


def test_fixed_rim_shared_or_own(session, options):
    view = VIEWS.create("reach")
    shared = [p for p in view.render(session, options())[2:] if not p.error]  # per-channel maps
    assert {panel.recipe["rim_cells"] for panel in shared} == {RIM}
    own = view.render(session, options(view={"scale": "own"}))[2:]
    own = [panel for panel in own if not panel.error]
    assert len({panel.recipe["rim_cells"] for panel in own}) > 2


def test_position_of_nearest_is_the_cells_own(session, options):
    chosen = options(upsamplers=("nearest",), view={"what": "position"})
    panel = VIEWS.create("reach").render(session, chosen)[-1]
    rows, cols = np.arange(61) * 10 // 61, np.arange(73) * 12 // 73
    colours = palette.wheel(
        ((rows + 0.5) / 5 - 1)[:, None] + np.zeros(73), ((cols + 0.5) / 6 - 1) + np.zeros((61, 1))
    )
    assert np.abs(panel.image.astype(int) - colours).max() <= 2


def test_windows_can_be_set_live_and_are_kept_apart(session, options):
    view = VIEWS.create("reach")
    narrow, wide = (
        view.render(
            session,
            options(upsamplers=("anyup",), view={"what": "spread", "window_ratio": ratio}),
        )[-1]
        for ratio in (0.02, 0.5)
    )
    assert dict(narrow.metrics)["mean spread"] < dict(wide.metrics)["mean spread"]
    assert "set here" in wide.caption


def test_what_is_not_linear_says_so(session, options):
    panels = VIEWS.create("reach").render(session, options(upsamplers=("bilinear", "twisted")))
    assert panels[-1].column == "twisted" and "choose another method" in panels[-1].error
    assert panels[-2].error is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_features_have_the_same_moments(dtype):
    image, features = torch.rand(1, 3, 96, 128), torch.randn(1, 4, 24, 32)
    method = UPSAMPLERS.create("bilinear")
    exact = attention_offset(method.prepare(image, features))
    half = attention_offset(method.prepare(image, features.to(dtype)))
    for name in ("down", "right", "spread"):
        assert np.allclose(getattr(half, name), getattr(exact, name), atol=1e-3)
