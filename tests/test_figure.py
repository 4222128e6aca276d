"""Figures as files: bytes, pictures, marks, text, themes, presets."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from explorer.core import Colorbar, ExplorerError, Panel
from explorer.figure import (
    DOUBLE,
    FORMATS,
    INSET_COLORS,
    PRESETS,
    SINGLE,
    FigureStyle,
    Inset,
    figure_size,
    indistinguishable_pairs,
    missing_characters,
    render,
    suggest_insets,
)
from explorer.figure.layout import compose
from explorer.figure.sheet import Picture, Words

NASTY = r"a_b 50% $x_1$ & {y} \frac # ~ ^ <z>"
GRAY = tuple((v, v, v) for v in range(0, 256, 17))


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def panels(rows=("vit",), columns=("Image", "bilinear", "anyup"), size=(48, 64), **more):
    return [
        Panel(row, column, noise(*size, seed=10 * r + c), **more)
        for r, row in enumerate(rows)
        for c, column in enumerate(columns)
    ]


def rich():
    """Panels with everything that a figure can draw."""
    bars = [Colorbar(-1.0, 2.5, "cosine similarity", GRAY), Colorbar(0.0, 0.031, "weight", GRAY)]
    return [
        Panel(
            row,
            column,
            noise(4, 6, r) if column == "features" else noise(40, 60, r),
            caption="window 9×9",
            origin="published",
            metrics=(("mIoU", "61.2"), ("time", "12 ms")),
            legend=(("sky", (86, 180, 233)), ("road", (213, 94, 0))),
            colorbar=bars[r] if column != "Image" else None,
            rectangle=(0.1, 0.7, 0.2, 0.9),
            marker=(0.4, 0.5),
            recipe={"upsampler": column},
        )
        for r, row in enumerate(["one", "two"])
        for c, column in enumerate(["Image", "features", "AnyUp"])
    ]


RICH = FigureStyle(
    captions=True, insets=(Inset((0.1, 0.5, 0.1, 0.4)), Inset((0.5, 0.9, 0.3, 0.8), place="beside"))
)


def opened(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} (poppler-utils) is missing on CI")
        pytest.skip(f"{name} (poppler-utils) is not installed")
    return found


def run(name: str, *arguments: object) -> str:
    done = subprocess.run([tool(name), *map(str, arguments)], capture_output=True, check=True)
    return done.stdout.decode()


# ---------------------------------------------------------------- the same bytes every time

_SCRIPT = """
import hashlib, sys
sys.path[:0] = {paths!r}
from test_figure import RICH, rich
from explorer.figure import FORMATS, render
print(*(hashlib.sha256(render(rich(), RICH, fmt, {{"a": 1}})).hexdigest() for fmt in FORMATS))
"""


@pytest.mark.slow
def test_same_bytes_in_another_process_directory_and_matplotlib_configuration(tmp_path):
    here = [sha256(render(rich(), RICH, fmt, {"a": 1})).hexdigest() for fmt in FORMATS]
    (tmp_path / "matplotlibrc").write_text(
        "font.family: monospace\nsvg.fonttype: none\npdf.fonttype: 3\nlines.linewidth: 9\n"
        "savefig.dpi: 37\ntext.hinting: force_autohint\nfigure.facecolor: red\n"
    )
    environment = os.environ | {
        "PYTHONHASHSEED": "77",
        "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"),
        "SOURCE_DATE_EPOCH": "12345",
        "TZ": "Asia/Tokyo",
    }
    paths = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(paths=paths)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == here


def test_rendering_leaves_matplotlib_settings_alone():
    import matplotlib

    matplotlib.rcParams["svg.hashsalt"] = "mine"
    before = dict(matplotlib.rcParams)
    render(panels(), fmt="svg")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("fmt", FORMATS)
def test_no_dates_or_paths_in_the_file(fmt):
    data = render(panels(), FigureStyle(), fmt)
    for trace in (b"CreationDate", b"<dc:date", b"tIME", str(Path.home()).encode()):
        assert trace not in data


# ---------------------------------------------------------------- pictures


def test_pdf_holds_native_pixels_losslessly(tmp_path):
    shown = [Panel("r", "coarse", noise(8, 8)), Panel("r", "fine", noise(112, 112, 1))]
    path = tmp_path / "figure.pdf"
    path.write_bytes(render(shown, FigureStyle(width_in=SINGLE), "pdf"))
    table = run("pdfimages", "-list", path).splitlines()[2:]
    assert [line.split()[3:5] for line in table] == [["8", "8"], ["112", "112"]]
    assert all(line.split()[8] == "image" for line in table)  # not jpeg
    run("pdfimages", "-png", path, tmp_path / "x")
    for panel, file in zip(shown, sorted(tmp_path.glob("x*.png")), strict=True):
        assert np.array_equal(np.asarray(Image.open(file).convert("RGB")), panel.image)


def test_svg_holds_native_pixels_losslessly():
    import base64

    shown = [Panel("r", "coarse", noise(8, 8)), Panel("r", "fine", noise(500, 500, 1))]
    svg = render(shown, FigureStyle(width_in=SINGLE), "svg")
    found = re.findall(rb"<image ([^>]*)>", svg)
    assert len(found) == 2
    for panel, element in zip(shown, found, strict=True):
        encoded = re.search(rb'base64,([^"]*)"', element)[1]
        assert np.array_equal(opened(base64.b64decode(encoded)), panel.image)
    assert b"pixelated" in found[0] and b"pixelated" not in found[1]


def test_png_has_the_exact_size_and_sharp_coarse_cells():
    panel = Panel("", "", noise(4, 4))
    style = FigureStyle(width_in=2.0, dpi=200)
    png = render([panel], style)
    picture = compose([panel], style).of(Picture)[0].box
    pixels = opened(png)
    assert pixels.shape == (round(figure_size([panel], style)[1] * 200), 400, 3)
    assert Image.open(io.BytesIO(png)).info["dpi"] == pytest.approx((200, 200), abs=0.1)
    assert (picture.w, picture.h) == (picture.w // 1, picture.w // 1)
    cell = picture.w / 4
    for row in range(4):
        for col in range(4):
            y, x = int(picture.y + row * cell), int(picture.x + col * cell)
            inside = pixels[y + 2 : int(y + cell) - 1, x + 2 : int(x + cell) - 1]
            assert inside.shape[0] > 80 and (inside == panel.image[row, col]).all()


@pytest.mark.parametrize("place", ["below", "beside"])
def test_inset_shows_the_patch_its_box_names(place, tmp_path):
    photo = np.full((200, 300, 3), 90, np.uint8)
    photo[50:100, 210:270] = (255, 0, 200)  # rows 0.25-0.5, columns 0.7-0.9
    inset = Inset((0.25, 0.5, 0.7, 0.9), "#00ff00", place)
    shown = [Panel("r", name, photo) for name in ("a", "b")]
    style = FigureStyle(width_in=DOUBLE, insets=(inset,))
    path = tmp_path / "figure.pdf"
    path.write_bytes(render(shown, style, "pdf"))
    run("pdftoppm", "-r", 300, "-png", "-singlefile", path, tmp_path / "page")
    for pixels in (opened(render(shown, style)), opened((tmp_path / "page.png").read_bytes())):
        pictures = compose(shown, style).of(Picture)
        assert len(pictures) == 4
        for panel, crop in zip(pictures[::2], pictures[1::2], strict=True):
            box = crop.box
            assert box.y >= panel.box.bottom if place == "below" else box.x >= panel.box.right
            # inside its border the crop shows the patch and nothing else
            border = 8
            inner = pixels[
                int(box.y) + border : int(box.bottom) - border,
                int(box.x) + border : int(box.right) - border,
            ].astype(int)
            assert inner.size and (abs(inner - (255, 0, 200)) <= 2).all()
            assert box.w / box.h == pytest.approx(60 / 50, rel=0.02)
            # the box on the panel surrounds the patch: green at its edges, gray outside
            for row, col in ((0.25, 0.8), (0.5, 0.8), (0.375, 0.7), (0.375, 0.9)):
                x, y = panel.box.at(row, col)
                around = pixels[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].reshape(-1, 3)
                assert (abs(around.astype(int) - (0, 255, 0)) < 60).all(1).any()
            x, y = panel.box.at(0.375, 0.65)
            assert (abs(pixels[int(y), int(x)].astype(int) - 90) <= 2).all()


def test_marks_lie_where_the_fractions_say():
    shown = [
        Panel("", "", np.full((50, 100, 3), 128, np.uint8), rectangle=(0.2, 0.6, 0.5, 0.9)),
        Panel("", "q", np.full((50, 100, 3), 128, np.uint8), marker=(0.7, 0.3)),
    ]
    style = FigureStyle(width_in=SINGLE)
    pixels = opened(render(shown, style)).astype(int)
    first, second = (picture.box for picture in compose(shown, style).of(Picture))
    for row, col in ((0.2, 0.7), (0.6, 0.7), (0.4, 0.5), (0.4, 0.9)):
        x, y = first.at(row, col)
        around = pixels[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3]
        assert around.max() > 240 and around.min() < 70  # white on a dark halo
    x, y = second.at(0.7, 0.3)
    assert (pixels[int(y), int(x)] == 128).all()  # the queried pixel itself stays visible
    changed = np.argwhere((pixels[:, int(second.x) : int(second.right)] != 128).any(2))
    changed = changed[(changed[:, 0] > second.y) & (changed[:, 0] < second.bottom - 1)]
    assert np.abs(changed.mean(0) - (y - 0.5, x - 0.5 - int(second.x))).max() < 1
    off = opened(render(shown, replace(style, markers=False, rectangles=False)))
    for box in (first, second):
        inside = off[int(box.y) : int(box.bottom), int(box.x) : int(box.right)]
        assert inside.size and (inside == 128).all()


# ---------------------------------------------------------------- text and fonts


@pytest.mark.parametrize("font", ["serif", "sans"])
def test_pdf_fonts_are_embedded_truetype(font, tmp_path):
    path = tmp_path / "figure.pdf"
    shown = rich() + [replace(rich()[0], row="Жα → é", column="x")]
    path.write_bytes(render(shown, replace(RICH, font=font, origins=True), "pdf"))
    lines = run("pdffonts", path).splitlines()[2:]
    assert lines
    for line in lines:
        assert re.search(r"\bTrueType\b", line) and "Type 3" not in line and "Type 1" not in line
        assert line.split()[-5] == "yes"  # emb


@pytest.mark.parametrize("fmt", FORMATS)
def test_special_characters_are_printed_as_they_are(fmt, tmp_path):
    shown = panels(rows=(NASTY,), columns=(NASTY, r"$\frac{1}{2}$", "$", "\\"), caption=NASTY)
    style = FigureStyle(captions=True, font_size_pt=6)
    data = render(shown, style, fmt)
    assert data
    texts = [words.text for words in compose(shown, style).of(Words)]
    assert r"$\frac{1}{2}$" in texts
    if fmt == "pdf":
        path = tmp_path / "figure.pdf"
        path.write_bytes(data)
        printed = "".join(run("pdftotext", "-raw", path, "-").split())
        assert printed.count("".join(NASTY.split())) >= 5  # a column label and four captions
        assert "".join(r"$\frac{1}{2}$".split()) in printed


def test_svg_needs_no_font():
    svg = render(rich(), RICH, "svg")
    assert b"<text" not in svg and b"font-family" not in svg


def test_characters_without_a_font_are_reported_and_replaced():
    assert missing_characters("Жα→é−×", "serif") == ""
    assert missing_characters("猫 photo", "sans") == "猫"
    render(panels(rows=("猫\u202e\x07 photo",)), fmt="pdf")


def test_the_smallest_text_has_six_points():
    with pytest.raises(ExplorerError, match="font_size_pt must be between 6"):
        FigureStyle(font_size_pt=5.9)
    sizes = {w.size_pt for w in compose(rich(), replace(RICH, font_size_pt=6)).of(Words)}
    assert sizes == {6.0}


def test_untrained_is_always_said():
    shown = panels(origin="untrained, seed 0", weights="untrained")
    texts = [w.text for w in compose(shown, FigureStyle()).of(Words)]
    assert texts.count("(untrained, seed 0)") == 3
    shown = panels(origin="published")
    assert "(published)" not in [w.text for w in compose(shown, FigureStyle()).of(Words)]
    assert "(published)" in [w.text for w in compose(shown, FigureStyle(origins=True)).of(Words)]


# ---------------------------------------------------------------- themes, errors, presets, cost


def test_themes():
    shown = panels()
    pixels = opened(render(shown, FigureStyle(theme="transparent")))
    box = compose(shown, FigureStyle(theme="transparent")).of(Picture)[0].box
    assert pixels.shape[2] == 4 and pixels[0, 0, 3] == 0
    inside = pixels[int(box.y) : int(box.bottom), int(box.x) : int(box.right), 3]
    assert (inside == 255).all()
    assert (opened(render(shown, FigureStyle()))[0, 0] == 255).all()
    assert (opened(render(shown, FigureStyle(theme="dark")))[0, 0] < 40).all()


def test_clear_errors():
    for bad, said in (
        ({"width_in": float("nan")}, "width_in must be between 1 and 40 inches"),
        ({"dpi": 100.5}, "whole number"),
        ({"theme": "blue"}, "theme must be one of light, dark, transparent"),
        ({"insets": (Inset((0, 1, 0, 1)),) * 4}, "at most 3 insets"),
        ({"row_labels": "yes"}, "row_labels must be true or false"),
    ):
        with pytest.raises(ExplorerError, match=said):
            FigureStyle(**bad)
    for box in ((0.5, 0.5, 0, 1), (0, 1.2, 0, 1), (0, 1, 0), ("a", 1, 0, 1), (0, 0.001, 0, 1)):
        with pytest.raises(ExplorerError, match="inset"):
            Inset(box)
    with pytest.raises(ExplorerError, match="png, pdf, svg"):
        render(panels(), fmt="jpg")
    with pytest.raises(ExplorerError, match="do not fit into 1 inches"):
        render(panels(columns=[str(i) for i in range(30)]), FigureStyle(width_in=1))
    with pytest.raises(ExplorerError, match="choose a lower dpi"):
        render(panels(columns="1"), FigureStyle(width_in=40, dpi=1200))
    with pytest.raises(ExplorerError, match="no .* picture"):
        render([Panel("r", "c", np.zeros((4, 4)))])


def test_a_failed_panel_says_why_and_keeps_its_place():
    shown = panels()
    shown[1] = replace(shown[1], image=np.zeros((0, 0, 3), np.uint8), error="weights are missing")
    sheet = compose(shown, FigureStyle())
    assert len(sheet.of(Picture)) == 2
    assert "weights are missing" in " ".join(w.text for w in sheet.of(Words))
    for fmt in FORMATS:
        render(shown, FigureStyle(insets=(Inset((0, 0.5, 0, 0.5)),)), fmt)


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_presets_draw_any_panels(name):
    for shown in (rich(), panels(), panels(("a",), ("x",))):
        style = PRESETS[name](shown)
        assert isinstance(style, FigureStyle)
        assert render(shown, style, "pdf").startswith(b"%PDF")
    assert PRESETS[name].__doc__


def test_suggested_insets_find_where_methods_differ():
    one, two = np.full((2, 128, 128, 3), 100, np.uint8)
    two[64:96, 16:48] = 255
    insets = suggest_insets([Panel("r", "a", one), Panel("r", "b", two)], 1, 0.25)
    assert insets[0].box == pytest.approx((0.5, 0.75, 0.125, 0.375), abs=0.04)
    photo = Panel("r", "Photo", noise(128, 128), role="photo")  # differs everywhere
    maps = [Panel("r", "a", one), Panel("r", "b", two)]
    assert suggest_insets([photo, *maps], 1, 0.25) == insets


def test_suggested_boxes_keep_a_distance():
    shown = [Panel("r", str(seed), noise(128, 128, seed)) for seed in range(3)]
    one, two, three = (np.array(inset.box) for inset in suggest_insets(shown, 3, 0.25))
    for a, b in ((one, two), (one, three), (two, three)):
        assert max(b[0] - a[1], a[0] - b[1], b[2] - a[3], a[2] - b[3]) >= 0.03


def test_attention_preset_enlarges_the_smallest_window():
    shown = panels()
    whole = replace(shown[1], rectangle=(0.0, 1.0, 0.0, 1.0))
    small = replace(shown[2], rectangle=(0.0, 0.2, 0.5, 0.8))
    preset = PRESETS["attention figure"]
    (inset,) = preset([shown[0], whole, small]).insets
    row0, row1, col0, col1 = inset.box
    assert row0 == 0 and row1 >= 0.2 and col0 < 0.5 and col1 > 0.8
    assert row1 - row0 == pytest.approx(col1 - col0)
    assert preset([shown[0], whole]).insets == () == preset(shown).insets


def test_inset_colors_stay_apart_for_every_reader():
    def rgb(code):
        return tuple(int(code[i : i + 2], 16) for i in (1, 3, 5))

    assert indistinguishable_pairs([(code, rgb(code)) for code in INSET_COLORS], 0.2) == []
    found = indistinguishable_pairs([("red", (200, 60, 60)), ("green", (110, 120, 50))])
    assert found == [("red", "green", "deuteranopia")]


@pytest.mark.slow
def test_cost_of_a_large_figure():
    shown = panels(("a", "b", "c"), "123456", size=(448, 448))
    for fmt in FORMATS:
        start = time.process_time()
        render(shown, FigureStyle(), fmt)
        assert time.process_time() - start < 60  # a few seconds on an idle core


@pytest.mark.browser
def test_svg_looks_like_the_png_in_chromium(chromium):
    y, x = np.mgrid[0:448, 0:448] / 448
    smooth = np.stack([x, y, 1 - x * y], -1)
    shown = [
        Panel("vit", "photo", (smooth * 255).astype(np.uint8), marker=(0.3, 0.4)),
        Panel("vit", "coarse", noise(8, 8), rectangle=(0.2, 0.5, 0.1, 0.6)),
        Panel("vit", "fine", (smooth[::-1] * 255).astype(np.uint8), metrics=(("mIoU", "61.2"),)),
    ]
    style = FigureStyle(width_in=SINGLE, insets=(Inset((0.1, 0.6, 0.2, 0.6)),))
    png = opened(render(shown, style)).astype(int)
    svg = render(shown, style, "svg").decode()
    page = chromium.new_page(
        viewport={"width": 320, "height": 400}, device_scale_factor=style.dpi / 96
    )
    page.set_content(f"<style>*{{margin:0}}</style>{svg[svg.index('<svg') :]}")
    seen = opened(page.screenshot())[: png.shape[0], : png.shape[1], :3].astype(int)
    page.close()
    difference = np.abs(seen - png).max(2)
    assert seen.shape == png.shape
    assert difference.mean() < 2
    # only edges of strokes, letters and cells may differ, by their antialiasing
    assert (difference > 60).mean() < 0.005
