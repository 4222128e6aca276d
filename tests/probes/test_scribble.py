"""The scribble probe: strokes to labels, quickly, and one sentence where there is too little."""

from __future__ import annotations

import io
import json
import time

import numpy as np
import pytest
import torch
from PIL import Image

from explorer.core import ExplorerError
from explorer.datasets import ClassSet
from explorer.probes import Stroke, fit_scribble
from explorer.probes.scribble import check_strokes, labels_npy, palette_png
from explorer.probes.strokes import (
    MAX_POINTS,
    MAX_POINTS_TOGETHER,
    MAX_STROKES,
    dump_strokes,
    load_strokes,
    open_strokes,
    rasterise,
    read_strokes,
)

RED, BLUE, GREEN = (220, 60, 60), (60, 60, 220), (60, 180, 60)
LEFT = Stroke("left", RED, ((0.2, 0.2), (0.8, 0.2)), 0.02)
RIGHT = Stroke("right", BLUE, ((0.2, 0.9), (0.8, 0.9)), 0.02)


def features(classes=2, channels=32, size=(60, 80)):
    """Upright stripes, each with a direction of its own, and noise."""
    draw = torch.Generator().manual_seed(0)
    stripe = torch.arange(size[1]) * classes // size[1]
    means = 2 * torch.randn(classes, channels, generator=draw)
    noise = torch.randn(channels, *size, generator=draw)
    return means[stripe].T[:, None].expand(-1, size[0], -1) + noise, stripe.expand(size)


def test_two_strokes_label_the_whole_photo():
    values, truth = features()
    made = fit_scribble([LEFT, RIGHT], values)
    found = made.label(values)
    assert (found.values == truth).float().mean() > 0.99
    assert made.classes.names == ("left", "right") and made.classes.colours == (RED, BLUE)
    assert 0.5 <= found.confidence.min() and found.confidence.max() <= 1 and made.agreement > 0.99


def test_three_classes_and_the_oracle():
    from sklearn.linear_model import LogisticRegression

    values, truth = features(3)
    middle = Stroke("middle", GREEN, ((0.1, 0.5), (0.9, 0.5)), 0.03)
    strokes = [LEFT, middle, RIGHT]
    made = fit_scribble(strokes, values)
    assert (made.label(values).values == truth).float().mean() > 0.99
    painted = rasterise(strokes, (60, 80))
    chosen = values[:, torch.from_numpy(painted >= 0)].T.double().numpy()
    scale = np.sqrt(chosen.var(axis=0).mean())
    oracle = LogisticRegression(C=10.0, max_iter=200, class_weight="balanced")
    oracle.fit((chosen - chosen.mean(axis=0)) / scale, painted[painted >= 0])
    everywhere = (values.flatten(1).T.double().numpy() - chosen.mean(axis=0)) / scale
    wanted = oracle.predict_proba(everywhere).max(axis=1)
    assert made.label(values).confidence.flatten().numpy() == pytest.approx(wanted, abs=5e-3)


def test_a_wide_class_does_not_drown_a_thin_one():
    values, truth = features()
    flood = Stroke("left", RED, tuple((r / 20, 0.25) for r in range(21)), 0.2)
    dot = Stroke("right", BLUE, ((0.5, 0.9),), 0.01)
    assert (fit_scribble([flood, dot], values).label(values).values == truth).float().mean() > 0.9


@pytest.mark.parametrize(
    ("strokes", "message"),
    [
        ([], "at least two classes"),
        ([LEFT], "only 'left' is painted"),
        ([LEFT, Stroke("left", RED, ((0.5, 0.5),))], "only 'left' is painted"),
        ([LEFT, Stroke("right", BLUE, LEFT.points, 0.02)], "'left' are covered"),
        ([LEFT, Stroke("out", BLUE, ((3.0, 3.0),))], "'out' are covered by others or lie outside"),
    ],
)
def test_too_little_paint_is_one_sentence(strokes, message):
    values, _ = features()
    with pytest.raises(ExplorerError, match=message) as caught:
        fit_scribble(strokes, values)
    assert "\n" not in str(caught.value)
    with pytest.raises(ExplorerError, match=message):
        check_strokes(strokes, (60, 80))


def test_more_classes_than_colours_are_refused():
    strokes = [Stroke(f"c{n}", (n, n, n), ((n / 20, 0.5),), 0.01) for n in range(17)]
    with pytest.raises(ExplorerError, match="17 classes are painted; at most 16"):
        check_strokes(strokes, (100, 100))
    classes, painted = check_strokes(strokes[:16], (100, 100))
    assert len(classes) == 16 and set(np.unique(painted)) == set(range(-1, 16))


def test_strokes_are_painted_where_they_are_drawn_and_the_last_one_wins():
    line = Stroke("a", RED, ((0.5, 0.1), (0.5, 0.9)), 0.02)
    dot = Stroke("b", BLUE, ((0.5, 0.5),), 0.05)
    painted = rasterise([line, dot], (100, 200))
    assert painted[50, 100] == 1 and painted[50, 30] == 0 and painted[20, 100] == -1
    rows, cols = np.nonzero(painted == 1)
    assert rows.mean() == pytest.approx(49.5, abs=0.6) and cols.mean() == pytest.approx(
        99.5, abs=0.6
    )
    assert len(rows) == pytest.approx(np.pi * 10**2, rel=0.1)
    assert rasterise([dot, line], (100, 200))[50, 100] == 1  # numbered by first appearance
    tiny = Stroke("c", GREEN, ((0.25, 0.75),), 1e-6)
    assert (rasterise([tiny], (8, 8)) >= 0).any()


def test_strokes_survive_json_and_strange_json_is_refused():
    assert load_strokes(dump_strokes([LEFT, RIGHT])) == [LEFT, RIGHT]
    good = LEFT.to_json()
    for text in (
        "nothing",
        '{"strokes": 3}',
        "[{}]",
        str([good | {"colour": [1, 2]}]).replace("'", '"'),
        str([good | {"points": []}]).replace("'", '"'),
        str([good | {"radius": 0}]).replace("'", '"'),
        str([good | {"name": " "}]).replace("'", '"'),
        '[{"name": "a", "colour": [1, 2, 3], "points": [[NaN, 0]]}]',
        '[{"name": "a", "colour": [1, 2, 300], "points": [[0, 0]]}]',
        '[{"name": "a", "colour": [1, 2, 3], "points": [[0, 0, 0]]}]',
        '[{"name": "a", "colour": [1, 2, 3], "points": [[0, 5]]}]',
        '[{"name": "a", "colour": [1, 2, 3], "points": 7}]',
        '[{"name": "a", "colour": 7, "points": [[0, 0]]}]',
        '[{"name": {"a": 1}, "colour": [1, 2, 3], "points": [[0, 0]]}]',
        '[{"name": "\\u0000", "colour": [1, 2, 3], "points": [[0, 0]]}]',
        '["stroke"]',
        "[" * 100_000,
        "9" * 5000,
    ):
        with pytest.raises(ExplorerError):
            load_strokes(text)


def test_names_keep_what_a_font_can_show():
    value = LEFT.to_json() | {"name": " two\nlines\x00\ud800 größer " + "x" * 99}
    (stroke,) = read_strokes([value])
    assert stroke.name.startswith("two lines größer xxx") and len(stroke.name) == 60


def test_more_than_anyone_paints_is_refused_quickly():
    value = LEFT.to_json()
    line = [[0.5, n / MAX_POINTS] for n in range(MAX_POINTS)]
    thin = value | {"points": line, "radius": 0.001}
    assert len(read_strokes([thin] * (MAX_POINTS_TOGETHER // MAX_POINTS))) == 10
    start = time.perf_counter()
    for values in (
        [value] * (MAX_STROKES + 1),
        [thin] * 11,
        [value | {"points": [*line, [0, 0]]}],
        [value | {"points": line[:2000], "radius": 0.5}],  # many discs as large as the photo
        [value | {"points": [[0, -1], [0, 2]] * 900, "radius": 0.1}],  # few discs, long lines
    ):
        with pytest.raises(ExplorerError) as caught:
            read_strokes(values)
        assert len(str(caught.value)) < 300
    assert time.perf_counter() - start < 10


def test_a_file_names_the_photo_it_was_painted_on():
    text = dump_strokes([LEFT], {"name": "cat.jpg", "sha256": "12"})
    assert open_strokes(text) == ([LEFT], {"name": "cat.jpg", "sha256": "12"})
    assert open_strokes(dump_strokes([LEFT])) == ([LEFT], {})
    odd = json.loads(text) | {"photo": {"name": 3, "sha256": ["x"], "other": "y"}}
    assert open_strokes(json.dumps(odd)) == ([LEFT], {})


def test_exports_hold_the_labels_and_the_palette():
    classes = ClassSet(("a", "b", "c"), (RED, BLUE, GREEN))
    labels = np.random.default_rng(0).integers(0, 3, (20, 30)).astype(np.int64)
    labels[0] = 255
    picture = Image.open(io.BytesIO(palette_png(labels, classes)))
    assert json.loads(picture.text["classes"]) == ["a", "b", "c"]
    assert picture.mode == "P" and (np.array(picture) == labels).all()
    assert (np.array(picture.convert("RGB"))[labels == 2] == GREEN).all()
    assert (np.load(io.BytesIO(labels_npy(torch.from_numpy(labels)))) == labels).all()
    made = palette_png(labels, ClassSet(("ä", "ü", "ö"), (RED, BLUE, GREEN)), {"size": (1, 2)})
    text = Image.open(io.BytesIO(made)).text
    assert json.loads(text["classes"]) == ["ä", "ü", "ö"]
    assert json.loads(text["recipe"]) == {"size": [1, 2]}
    with pytest.raises(ExplorerError, match="holds 0 to 2"):
        palette_png(np.full((2, 2), 3), classes)


@pytest.mark.slow
def test_every_pixel_of_a_448_photo_gets_a_label():
    values, _ = features(3, size=(448, 448))
    strokes = [LEFT, RIGHT, Stroke("middle", GREEN, ((0.1, 0.5), (0.9, 0.5)), 0.03)]
    found = fit_scribble(strokes, values).label(values)
    assert found.values.shape == found.confidence.shape == (448, 448)
    assert set(found.values.unique().tolist()) <= {0, 1, 2}
    assert 1 / 3 - 1e-4 <= found.confidence.min() and found.confidence.max() <= 1 + 1e-4
