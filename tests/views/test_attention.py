"""The attention view: exact weights, windows where they belong, numbers that are what they say."""

import json
import math

import numpy as np
import pytest
import torch
from scipy import stats
from tiny import METHODS

from explorer.core import ONCE, ExplorerError
from explorer.imaging import cell_of_pixel
from explorer.upsamplers import UPSAMPLERS, LinearResampler
from explorer.views import VIEWS, palette, rows
from explorer.views.attention import AttentionView, numbers, reading, weights_table
from explorer.views.rows import PairContext

GRID, SIZE = (10, 12), (61, 73)
CORNERS = [(0, 0), (0, 72), (60, 0), (60, 72)]
BORDERS = [(0, 30), (60, 31), (17, 0), (29, 72)]
QUERIES = CORNERS + BORDERS + [(r, c) for r in range(1, 61, 7) for c in range(2, 73, 11)]
LINEAR = [name for name in METHODS if UPSAMPLERS.get(name).linear]


def place(session, options, method, **changes):
    return PairContext(session, options(**changes), "tiny", "Tiny", method)


def window(index, outputs, cells, ratio):
    """Half-open cells within ``ratio`` of a pixel's centre, touched ones included, by counting."""
    centre = np.float32(np.float32(index + 0.5) / np.float32(outputs))
    low, high = (np.float32(centre + sign * np.float32(ratio)) for sign in (-1, 1))
    edges = [(np.float32(k), np.float32(k + 1)) for k in range(cells)]
    low, high = max(low, np.float32(0)) * cells, min(high, np.float32(1)) * cells
    seen = [k for k, (start, stop) in enumerate(edges) if stop > low and start < high]
    return seen[0], seen[-1] + 1


@pytest.mark.parametrize("ratio", [None, 0.0, 0.03, 0.25])
def test_anyup_reads_its_window_and_nothing_else(session, options, ratio):
    expected_ratio = 0.1 if ratio is None else ratio
    for query in QUERIES:
        changes = {"query": query, "view": {"window_ratio": ratio}}
        found = reading(place(session, options, "anyup", **changes))
        spans = [
            window(i, n, k, expected_ratio) if expected_ratio else (0, k)
            for i, n, k in zip(query, SIZE, GRID, strict=True)
        ]
        inside = np.zeros(GRID, bool)
        inside[slice(*spans[0]), slice(*spans[1])] = True
        assert ((found.weights > 0) == inside).all(), query
        assert found.weights.sum() == pytest.approx(1, abs=1e-5)
        seen = found.window
        assert (seen.row0, seen.row1, seen.col0, seen.col1) == (*spans[0], *spans[1])


def test_jafar_reads_everything(session, options):
    for query in CORNERS + BORDERS:
        found = reading(place(session, options, "jafar", query=query))
        assert (found.weights > 0).all() and found.window.size == GRID
        assert found.weights.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", [name for name in METHODS if UPSAMPLERS.get(name).convex])
def test_convex_weights_sum_to_one(session, options, name):
    for query in QUERIES[::5]:
        weights = weights_table(session, options(query=query), "tiny", name)
        assert weights.shape == session.resampler(options(), "tiny", name).resampler.grid
        assert weights.shape == GRID or UPSAMPLERS.get(name).reading != ONCE
        assert weights.dtype == np.float32 and weights.min() >= 0
        assert weights.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("sizes", [(96, 73), (96, 192), (128, 60), (48, 97)])
@pytest.mark.parametrize("name", LINEAR)
def test_the_weights_reproduce_the_pixel(session, options, name, sizes):
    chosen = options(input_size=sizes[0], output_size=sizes[1], upsamplers=(name,))
    try:
        resampler = session.resampler(chosen, "tiny", name).resampler
    except ExplorerError:
        pytest.skip(f"{name} does not take this size")
    height, width = resampler.output_size
    whole = resampler.features()[0]
    mapped = whole
    if isinstance(resampler, LinearResampler):
        mapped = resampler.apply(resampler.values)[0]  # without FeatUp's channel mixing
    for row, col in [(0, 0), (height - 1, width - 1), (0, width // 3), (height // 2, 5)]:
        assert (resampler.pixel(row, col) - whole[:, row, col]).abs().max() < 2e-5
        if isinstance(resampler, LinearResampler):
            weights = torch.from_numpy(
                weights_table(session, chosen.with_query((row, col)), "tiny", name)
            )
            pixel = torch.einsum("hw,chw->c", weights, resampler.values[0])
            assert (pixel - mapped[:, row, col]).abs().max() < 2e-5


def test_numbers_equal_the_definitions():
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(120)).reshape(10, 12)
    weights[rng.random((10, 12)) < 0.3] = 0
    weights /= weights.sum()
    found = numbers(weights, (20, 50), SIZE, 0.1)
    assert found["entropy"] == pytest.approx(stats.entropy(weights.ravel(), base=2))
    assert found["cells"] == pytest.approx(2 ** stats.entropy(weights.ravel(), base=2))
    down = sum(weights[i, j] * (i + 0.5) for i in range(10) for j in range(12)) - 20.5 * 10 / 61
    right = sum(weights[i, j] * (j + 0.5) for i in range(10) for j in range(12)) - 50.5 * 12 / 73
    assert found["offset"] == pytest.approx(math.hypot(down, right))
    spans = [window(i, n, k, 0.1) for i, n, k in zip((20, 50), SIZE, (10, 12), strict=True)]
    outside = 1 - weights[slice(*spans[0]), slice(*spans[1])].sum()
    assert found["outside"] == pytest.approx(outside)


def test_numbers_of_one_cell_and_of_all():
    one = np.zeros((10, 12))
    one[3, 8] = 1
    assert numbers(one, (20, 50), SIZE) | {"offset": 0} == {
        "entropy": 0,
        "cells": 1,
        "outside": 0,
        "offset": 0,
    }
    flat = numbers(np.full((10, 12), 1 / 120), (20, 50), SIZE)
    assert flat["cells"] == pytest.approx(120) and flat["outside"] > 0.5


def test_a_window_set_here_is_exactly_that_checkpoints(session, options):
    """Live: queries and keys are those already prepared, and the caption says it differs."""
    wide = {"window_ratio": 0.3}
    live = place(session, options, "anyup", view=wide)
    prepared = session.resampler(live.options, "tiny", "anyup").resampler
    shown = live.windowed(0.3)
    assert shown.queries is prepared.queries and shown.keys is prepared.keys
    method = session.upsampler("anyup", "tiny", live.options)
    method.window_ratio = 0.3
    try:
        with torch.no_grad():
            made = method.prepare(
                session.guidance(live.options), session.features(live.options, "tiny"), SIZE
            )
    finally:
        method.window_ratio = 0.1
    assert torch.equal(made.attention(20, 50).weights, shown.attention(20, 50).weights)
    panel = VIEWS.create("attention").render(session, options(upsamplers=("anyup",), view=wide))[-1]
    assert "±0.3 set here, the checkpoint's is ±0.1" in panel.caption
    plain = VIEWS.create("attention").render(session, options(upsamplers=("anyup",)))[-1]
    assert "set here" not in plain.caption and "window ±0.1" in plain.caption


def test_heads(session, options):
    seen = session.resampler(options(), "tiny", "jafar").resampler.attention(20, 50)
    for head in (0, 3, "2"):
        found = reading(place(session, options, "jafar", view={"head": head}))
        assert np.array_equal(found.weights, seen.heads[int(head)].numpy())
        assert f"head {int(head) + 1} of 4" in found.notes[0]
    mean = reading(place(session, options, "jafar")).weights
    assert np.allclose(mean, seen.heads.mean(dim=0).numpy(), atol=1e-7)
    panels = VIEWS.create("attention").render(
        session, options(upsamplers=("bilinear", "jafar"), view={"head": 9})
    )
    assert [bool(p.error) for p in panels] == [False, False, True]
    assert "4 heads" in panels[2].error


def test_panels(session, options):
    chosen = options()
    panels = VIEWS.create("attention").render(session, chosen)
    assert panels[0].column == "Photo" and panels[0].marker == (20.5 / 61, 50.5 / 73)
    titles = [UPSAMPLERS.get(name).title for name in METHODS]
    assert [p.column for p in panels[1:]] == titles
    for name, panel in zip(METHODS, panels[1:], strict=True):
        assert panel.error is None and panel.image.shape == (*SIZE, 3)
        assert panel.image.dtype == np.uint8 and panel.marker == (20.5 / 61, 50.5 / 73)
        attends = UPSAMPLERS.get(name).has_attention
        assert (panel.rectangle is not None) == attends
        assert ("attention" if attends else "effective stencil") in panel.caption
        assert {key for key, _ in panel.metrics} == {"entropy", "cells", "outside ±0.1", "offset"}
        assert json.loads(json.dumps(panel.recipe))["upsampler"]["name"] == name
    by = dict(zip(METHODS, panels[1:], strict=True))
    assert by["jafar"].rectangle == (0, 1, 0, 1)
    spans = [window(i, n, k, 0.1) for i, n, k in zip((20, 50), SIZE, GRID, strict=True)]
    (r0, r1), (c0, c1) = spans
    assert by["anyup"].rectangle == pytest.approx((r0 / 10, r1 / 10, c0 / 12, c1 / 12))
    assert dict(by["anyup"].metrics)["outside ±0.1"] == "0%"
    assert "channel mixing" in by["featup"].caption
    assert "negative weights" in by["bicubic"].caption and by["bicubic"].colorbar.low < 0


def test_one_scale_or_one_each(session, options):
    shared = VIEWS.create("attention").render(session, options())[1:]
    highs = {panel.colorbar.high for panel in shared}
    assert len(highs) == 1
    own = VIEWS.create("attention").render(session, options(view={"scale": "own"}))[1:]
    for name, panel in zip(METHODS, own, strict=True):
        weights = weights_table(session, options(), "tiny", name)
        assert panel.colorbar.high == pytest.approx(np.abs(weights).max())
    assert highs == {max(panel.colorbar.high for panel in own)}


def test_cells_are_sharp_and_coloured_by_their_weight(session, options):
    chosen = options(upsamplers=("anyup",), view={"opacity": 1.0})
    view = VIEWS.create("attention")
    photo, panel = view.render(session, chosen)
    weights = weights_table(session, chosen, "tiny", "anyup")
    grey = palette.backdrop(photo.image)
    colours, alpha = palette.heat(weights, weights.max(), False, 1.0)
    for row in range(0, 61, 3):
        for col in range(0, 73, 3):
            i, j = cell_of_pixel(row, col, SIZE, GRID)
            mixed = grey[row, col] * (1 - alpha[i, j]) + colours[i, j] * alpha[i, j]
            assert np.abs(panel.image[row, col] - mixed).max() <= 1
            if weights[i, j] == 0:
                assert (panel.image[row, col] == grey[row, col]).all()
    i, j = np.unravel_index(weights.argmax(), GRID)
    row, col = int((i + 0.5) * 61 / 10), int((j + 0.5) * 73 / 12)
    assert (panel.image[row, col] == palette.SEQUENTIAL[-1]).all()


def test_slow_methods_show_before_the_scale_is_shared(session, options, monkeypatch):
    monkeypatch.setattr(rows, "PATIENCE", -1.0)
    chosen = options(upsamplers=("bilinear", "jafar", "anyup"))
    panels = list(VIEWS.create("attention").stream(session, chosen))
    assert [p.column for p in panels] == [
        "Photo",
        *("Bilinear", "JAFAR"),
        *("Bilinear", "JAFAR", "AnyUp"),
    ]
    assert all("not yet shared" in p.caption and p.provisional for p in panels[1:3])
    final = VIEWS.create("attention").render(session, chosen)
    assert not any("not yet shared" in p.caption or p.provisional for p in final)
    assert [p.column for p in final] == ["Photo", "Bilinear", "JAFAR", "AnyUp"]


def test_what_fails_is_said_in_its_place(session, options):
    names = ("bilinear", "twisted", "no_such_method", "anyup")
    panels = VIEWS.create("attention").render(session, options(upsamplers=names))
    assert [p.column for p in panels] == ["Photo", "Bilinear", "twisted", "no_such_method", "AnyUp"]
    assert "not linear" in panels[2].error and "no_such_method" in panels[3].error
    assert not panels[1].error and not panels[4].error
    outside = VIEWS.create("attention").render(session, options(query=(61, 0)))
    assert all("outside the 61x73 output" in p.error for p in outside[1:])
    wrong = VIEWS.create("attention").render(session, options(backbones=("nobody",)))
    assert len(wrong) == 1 and "nobody" in wrong[0].error


def test_without_a_query_the_middle_is_shown(session, options):
    panel = VIEWS.create("attention").render(session, options(query=None))[-1]
    assert panel.marker == (30.5 / 61, 36.5 / 73) and panel.recipe["query"] == [30, 36]


@pytest.mark.parametrize(
    "view",
    [{"head": "all"}, {"head": -1}, {"window_ratio": 2}, {"opacity": "x"}, {"opacity": math.nan}],
)
def test_settings_nobody_can_draw(options, view):
    with pytest.raises(ExplorerError):
        AttentionView.params(options(view=view))
