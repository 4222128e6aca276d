"""The layout of figures: alignment, shapes, selection, and that nothing ever overlaps."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.core import Colorbar, ExplorerError, Panel
from explorer.figure import DOUBLE, MIN_FONT_PT, SINGLE, FigureStyle, Inset, render
from explorer.figure.grid import arrange
from explorer.figure.layout import compose
from explorer.figure.sheet import Gradient, Picture, Stroke, Words

GRAY = tuple((v, v, v) for v in range(0, 256, 17))


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def panels(rows=("vit",), columns=("Image", "bilinear", "anyup"), size=(48, 64), **more):
    return [
        Panel(row, column, noise(*size, seed=10 * r + c), **more)
        for r, row in enumerate(rows)
        for c, column in enumerate(columns)
    ]


_LABELS = st.text(st.sampled_from("abcXYZ_- 0159\u00d7"), min_size=1, max_size=24)


@st.composite
def figures(draw):
    rows = draw(st.lists(_LABELS, min_size=1, max_size=4, unique=True))
    columns = draw(st.lists(_LABELS, min_size=1, max_size=8, unique=True))
    sizes = [draw(st.sampled_from([(8, 8), (30, 40), (40, 17), (20, 80), (9, 16)])) for _ in rows]
    if draw(st.booleans()):
        sizes = sizes[:1] * len(rows)
    bars = draw(st.sampled_from(["none", "one", "row", "panel"]))
    found = []
    for r, row in enumerate(rows):
        for c, column in enumerate(columns):
            scale = {"none": None, "one": 1.0, "row": 1.0 + r, "panel": 1.0 + r + 10 * c}[bars]
            found.append(
                Panel(
                    row,
                    column,
                    noise(*sizes[r], 10 * r + c),
                    caption=draw(_LABELS),
                    metrics=(("mIoU", "61.2"), ("t", "3 ms"))[: draw(st.integers(0, 2))],
                    legend=(("sky", (1, 2, 3)), (draw(_LABELS), (4, 5, 6))),
                    colorbar=Colorbar(-1.0, scale, "similarity", GRAY) if scale and c else None,
                    error=None if draw(st.integers(0, 9)) else "no weights: the Hub is offline",
                )
            )
    boxes = [(0.1, 0.4, 0.2, 0.5), (0.5, 0.9, 0.1, 0.3), (0.0, 0.2, 0.6, 1.0)]
    places = draw(st.lists(st.sampled_from(["below", "beside"]), max_size=3))
    style = FigureStyle(
        width_in=draw(st.sampled_from([SINGLE, 5.1, DOUBLE])),
        dpi=draw(st.sampled_from([72, 97, 300])),
        font=draw(st.sampled_from(["serif", "sans"])),
        font_size_pt=draw(st.sampled_from([6, 8, 10.5])),
        theme=draw(st.sampled_from(["light", "dark"])),
        captions=draw(st.booleans()),
        colorbar_place=draw(st.sampled_from(["right", "below"])),
        transposed=draw(st.booleans()),
        column_gap_pt=draw(st.sampled_from([0, 2, 6])),
        insets=tuple(Inset(box, place=place) for box, place in zip(boxes, places, strict=False)),
    )
    return found, style


@pytest.mark.slow
@settings(max_examples=120, deadline=None)
@given(figures())
def test_nothing_overlaps_and_everything_is_on_the_sheet(figure):
    shown, style = figure
    try:
        sheet = compose(shown, style)
    except ExplorerError as error:  # too narrow is an answer, never a figure that overlaps
        assert "fit" in str(error)
        return
    slack = style.dpi / 72 * 0.75
    words, pictures = sheet.of(Words), sheet.of(Picture)
    for a, b in combinations(words, 2):
        assert not a.box.overlaps(b.box, slack), (a, b)
    for text in words:
        assert all(not text.box.overlaps(p.box, slack) for p in pictures), text
        assert text.size_pt >= 6
    for a, b in combinations(pictures, 2):
        assert not a.box.overlaps(b.box)
    for item in (*words, *pictures):
        box = item.box
        assert box.x >= -slack and box.right <= sheet.width + slack, item
        assert box.y >= -slack and box.bottom <= sheet.height + slack, item
    for stroke in sheet.of(Stroke):
        low, high = stroke.path.vertices.min(0), stroke.path.vertices.max(0)
        clip = stroke.clip
        inside = (
            clip is not None or (low >= -1).all() and (high <= (sheet.width, sheet.height)).all()
        )
        assert inside, stroke


def test_rows_share_a_size_and_columns_align():
    shown = panels(rows=("a", "b"), columns="12345") + panels(("c",), "12345", size=(90, 40))
    boxes = [p.box for p in compose(shown, FigureStyle(width_in=DOUBLE)).of(Picture)]
    rows = [boxes[i : i + 5] for i in (0, 5, 10)]
    assert len({box.w for box in boxes}) == 1
    for row in rows:
        assert len({(box.y, box.h) for box in row}) == 1
    for column in zip(*rows, strict=True):
        assert len({box.x for box in column}) == 1
    assert all(float(v).is_integer() for box in boxes for v in (box.x, box.y, box.w, box.h))
    assert rows[0][0].w / rows[0][0].h == pytest.approx(64 / 48, rel=0.01)
    assert rows[2][0].w / rows[2][0].h == pytest.approx(40 / 90, rel=0.01)


def test_columns_of_different_shapes_share_the_rows_height():
    shown = panels(("a", "b"), ("x",)) + panels(("a", "b"), ("y",), size=(90, 40))
    boxes = [p.box for p in compose(shown, FigureStyle()).of(Picture)]
    assert len({box.h for box in boxes}) == 1
    assert boxes[0].w / boxes[0].h == pytest.approx(64 / 48, rel=0.01)
    assert boxes[1].w / boxes[1].h == pytest.approx(40 / 90, rel=0.01)


def test_a_picture_of_another_shape_is_not_stretched():
    shown = [
        *panels(("a",), ("x", "y")),
        Panel("a", "z", noise(80, 20)),
        *panels(("b",), ("x", "y")),
        Panel("b", "z", noise(48, 64)),
    ]
    boxes = [p.box for p in compose(shown, FigureStyle()).of(Picture)]
    assert boxes[2].w / boxes[2].h == pytest.approx(20 / 80, rel=0.05)
    assert boxes[2].h == boxes[0].h


def test_selection_order_transposition_and_names():
    shown = panels(("a", "b"), ("x", "y", "z"))
    style = FigureStyle(columns=("z", "x"), rows=("b",), names=(("z", "Zed"),))
    assert arrange(shown, style).row(0) == [shown[5], shown[3]]
    assert {"Zed", "x", "b"} == {w.text for w in compose(shown, style).of(Words)}
    turned = arrange(shown, replace(style, transposed=True))
    assert (turned.rows, turned.columns) == (("z", "x"), ("b",))
    for wrong, said in (
        ({"columns": ("q",)}, "no panel has the column 'q'; choose from: x, y, z"),
        ({"rows": ()}, "no row was chosen"),
        ({"rows": ("a", "a")}, "chosen twice"),
    ):
        with pytest.raises(ExplorerError, match=re.escape(said)):
            arrange(shown, FigureStyle(**wrong))
    with pytest.raises(ExplorerError, match="share the row 'a' and the column 'x'"):
        render([shown[0], shown[0]])
    with pytest.raises(ExplorerError, match="no panels"):
        render([])


def test_one_scale_is_drawn_once_and_different_scales_each():
    one = panels(("a", "b"), colorbar=Colorbar(0, 1, "s", GRAY))
    assert len(compose(one, FigureStyle()).of(Gradient)) == 1
    assert len(compose(one, FigureStyle(colorbar_place="below")).of(Gradient)) == 1
    per_row = [replace(p, colorbar=Colorbar(0, "ab".index(p.row) + 1, "s", GRAY)) for p in one]
    assert len(compose(per_row, FigureStyle()).of(Gradient)) == 2
    each = [replace(p, colorbar=Colorbar(0, 1 + i, "s", GRAY)) for i, p in enumerate(one)]
    assert len(compose(each, FigureStyle()).of(Gradient)) == 6
    assert not compose(one, FigureStyle(colorbars=False)).of(Gradient)


def test_the_label_of_a_bar_is_whole_beside_low_rows():
    label = "weight (square-root scale)"
    bar = Colorbar(0.0, 0.772, label, ((0, 0, 0), (255, 255, 255)))
    image = np.zeros((56, 84, 3), np.uint8)
    shown = [Panel("vit", name, image, colorbar=bar) for name in "abcde"]
    for width in (DOUBLE, SINGLE):
        words = compose(shown, FigureStyle(width_in=width)).of(Words)
        upright = [w.text for w in words if w.upright and w.text != "vit"]
        assert len(upright) <= 3
        if width == DOUBLE:
            assert "".join(upright).replace(" ", "") == label.replace(" ", "")


def test_numbers_under_panels_stay_on_one_line_and_names_with_digits_get_a_colon():
    image = np.zeros((56, 84, 3), np.uint8)
    variance = (("variance", "21% + 14% + 11%"),)
    shown = [Panel("", name, image, metrics=variance) for name in "abcdef"]
    words = compose(shown, FigureStyle(row_labels=False)).of(Words)
    found = [w for w in words if "variance" in w.text]
    assert [w.text for w in found] == ["variance 21% + 14% + 11%"] * 6
    assert all(w.size_pt >= MIN_FONT_PT for w in found)
    shown = [Panel("", "a", image, metrics=(("outside ±0.1", "0%"), ("mIoU", "61.2")))]
    texts = " ".join(w.text for w in compose(shown, FigureStyle()).of(Words))
    assert "outside ±0.1: 0%" in texts and "mIoU 61.2" in texts


def test_no_line_of_a_caption_ends_in_a_separator():
    image = np.zeros((56, 84, 3), np.uint8)
    caption = "one_checkpoint · attention, mean of 4 heads · window ±0.1 · and more to say"
    shown = [Panel("", name, image, caption=caption) for name in "abcd"]
    lines = [w.text for w in compose(shown, FigureStyle(captions=True)).of(Words)]
    assert any("·" in line for line in lines)
    assert not any(line.endswith("·") for line in lines)
