"""The recipe inside a figure: written and read in three formats, and nothing in it trusted."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from explorer.core import ExplorerError, Panel
from explorer.figure import (
    FORMATS,
    PRESETS,
    FigureStyle,
    Inset,
    read_figure,
    read_recipe,
    render,
)

PANELS = [
    Panel("vit", "anyup", np.zeros((8, 8, 3), np.uint8), recipe={"upsampler": "anyup", "k": [1]})
]
RECIPE = {
    "photo": {"name": "caf\u00e9 (1).jpg", "sha256": "ab" * 32},
    "odd": "</dc:description> ]]> & &amp; <x> \\ \\( ) ( \n \t \x00 /Keywords (no) \U0001f600",
    "nested": [1, 2.5, None, True, {"b": [], "a": {}}],
    "z": 1,
    "a": "",
}

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("fmt", FORMATS)
def test_round_trip(fmt, tmp_path):
    style = FigureStyle(insets=(Inset((0, 0.5, 0, 0.5)),), names=(("a", "b"),), rows=("vit",))
    data = render(PANELS, style, fmt, RECIPE)
    assert read_recipe(data) == json.loads(json.dumps(RECIPE))
    path = tmp_path / f"figure.{fmt}"
    path.write_bytes(data)
    assert read_recipe(path) == read_recipe(str(path)) == RECIPE
    carried = read_figure(data)
    assert FigureStyle.from_dict(carried["style"]) == style
    assert carried["panels"] == [
        {
            "row": "vit",
            "column": "anyup",
            "origin": "",
            "recipe": {"upsampler": "anyup", "k": [1]},
        }
    ]


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.dictionaries(st.text(), _JSON, max_size=4), st.sampled_from(FORMATS))
def test_round_trip_of_any_json(recipe, fmt):
    assert read_recipe(render(PANELS, FigureStyle(width_in=1, dpi=50), fmt, recipe)) == recipe


def test_key_order_does_not_matter():
    turned = dict(reversed(RECIPE.items()))
    for fmt in FORMATS:
        assert render(PANELS, fmt=fmt, recipe=RECIPE) == render(PANELS, fmt=fmt, recipe=turned)


@pytest.mark.slow
def test_a_figure_drawn_again_from_its_own_style_has_the_same_bytes(tmp_path):
    style = PRESETS["method comparison with insets"](PANELS)
    for fmt in FORMATS:
        data = render(PANELS, style, fmt, RECIPE)
        again = FigureStyle.from_dict(json.loads(json.dumps(read_figure(data)["style"])))
        assert render(PANELS, again, fmt, read_recipe(data)) == data


@pytest.mark.slow
def test_read_in_another_process_without_rendering(tmp_path):
    (tmp_path / "f.pdf").write_bytes(render(PANELS, fmt="pdf", recipe=RECIPE))
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    code = "import json; from explorer.figure import read_recipe\n"
    code += "print(json.dumps(read_recipe('f.pdf')))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == RECIPE


def test_pdf_keywords_rewritten_by_other_tools():
    data = render(PANELS, fmt="pdf", recipe={"a": "(1)"})
    start = data.index(b"/Keywords (") + len(b"/Keywords ")
    text = json.dumps(read_figure(data))
    for keywords in (
        b"<" + text.encode().hex().encode() + b">",
        b"<" + (b"\xfe\xff" + text.encode("utf-16-be")).hex(" ").upper().encode() + b">",
        b"(" + b"".join(b"\\%03o" % byte for byte in text.encode()) + b")",
    ):
        assert read_recipe(b"%PDF-1.4\n" + data[9:start] + keywords) == {"a": "(1)"}


def test_png_text_rewritten_by_other_tools():
    from PIL.PngImagePlugin import PngInfo

    text = json.dumps(read_figure(render(PANELS, recipe={"a": "(1)"})))
    for write in (
        lambda info: info.add_text("Recipe", text, zip=True),
        lambda info: info.add_itxt("Recipe", text, lang="en"),
        lambda info: info.add_itxt("Recipe", text, zip=True),
    ):
        info, out = PngInfo(), io.BytesIO()
        write(info)
        Image.new("RGB", (2, 2)).save(out, "PNG", pnginfo=info)
        assert read_recipe(out.getvalue()) == {"a": "(1)"}


@pytest.mark.parametrize(
    "data",
    [
        b"<svg>" + b"<dc:description>" * 400_000,
        b"%PDF-1.4 " + b"/Keywords (" * 400_000,
        b"%PDF-1.4 " + b"/Keywords <00" * 400_000,
        b"<svg>" + b"<dc:description " * 400_000,
    ],
)
def test_hostile_files_are_read_in_linear_time(data):
    start = time.process_time()
    with pytest.raises(ExplorerError):
        read_recipe(data)
    assert time.process_time() - start < 20  # quadratic reading would take hours


def _png(**text):
    from PIL.PngImagePlugin import PngInfo

    info, out = PngInfo(), io.BytesIO()
    for key, value in text.items():
        info.add_text(key, value)
    Image.new("RGB", (2, 2)).save(out, "PNG", pnginfo=info)
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"%PDF-1.4 nothing here",
        b"%PDF-1.4 /Keywords (" + b"(" * 100_000,
        b"%PDF-1.4 /Keywords <zz>",
        b"\x89PNG\r\n\x1a\nbroken",
        b"<svg><dc:description>{}</dc:description></svg>",
        b"<svg><dc:description>" + b"[" * 200_000 + b"</dc:description></svg>",
        _png(),
        _png(Recipe="not json"),
        _png(Recipe='{"format": "something else"}'),
        _png(Recipe='{"format": "feature-upsampling-explorer/figure", "recipe": [], "style": 1}'),
    ],
)
def test_files_without_a_recipe_are_refused_in_one_sentence(data):
    with pytest.raises(ExplorerError, match="holds no recipe") as caught:
        read_recipe(data)
    assert "\n" not in str(caught.value)


def test_truncated_and_missing_files(tmp_path):
    for fmt in FORMATS:
        data = render(PANELS, fmt=fmt, recipe=RECIPE)
        with pytest.raises(ExplorerError, match="holds no recipe"):
            read_recipe(data[:60])
        for end in range(100, len(data), 997):  # whole or not at all, and never another error
            try:
                assert read_recipe(data[:end]) == RECIPE
            except ExplorerError as error:
                assert "holds no recipe" in str(error)
    with pytest.raises(ExplorerError, match="cannot read absent.png"):
        read_recipe(tmp_path / "absent.png")
    (tmp_path / "folder.pdf").mkdir()
    with pytest.raises(ExplorerError, match="cannot read folder.pdf"):
        read_recipe(tmp_path / "folder.pdf")


def test_a_later_version_says_so():
    text = json.dumps(read_figure(render(PANELS)) | {"version": 99})
    with pytest.raises(ExplorerError, match="version 99"):
        read_recipe(_png(Recipe=text))


def test_what_is_no_json_is_refused():
    for bad in ({"a": float("nan")}, {"a": object()}, {"a": {1, 2}}, {"a": np.float32(1)}):
        with pytest.raises(ExplorerError, match="plain JSON values"):
            render(PANELS, recipe=bad)
    with pytest.raises(ExplorerError, match="MiB"):
        render(PANELS, recipe={"a": "x" * 9_000_000})


@pytest.mark.parametrize(
    "values",
    [
        {"width_in": "wide"},
        {"width_in": 1e9},
        {"dpi": True},
        {"theme": ["light"]},
        {"unknown": 1},
        {"insets": [{"box": [0, 1, 0, 1], "run": "x"}]},
        {"insets": [{"color": "#ffffff"}]},
        {"insets": [{"box": [0, 1, 0, 1], "color": "url(x)"}]},
        {"insets": {}},
        {"insets": [1]},
        {"names": [["a"]]},
        {"names": 5},
        {"rows": "abc"},
        {"rows": [1]},
        {"column_gap_pt": None},
        [],
    ],
)
def test_styles_from_a_file_are_checked(values):
    with pytest.raises(ExplorerError):
        FigureStyle.from_dict(values)
