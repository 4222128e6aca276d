"""The scribble tab: strokes from anybody, predictions, files, and the canvas in a browser."""

import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

gr = pytest.importorskip("gradio")

from explorer.core import ExplorerError  # noqa: E402
from explorer.imaging import open_photo  # noqa: E402
from explorer.probes import Stroke  # noqa: E402
from explorer.probes.strokes import dump_strokes, load_strokes  # noqa: E402
from explorer.session import Options  # noqa: E402
from explorer.ui import scribble, scribble_files, scribble_panels  # noqa: E402
from explorer.ui.choices import example_photos  # noqa: E402
from explorer.ui.grid import STATIC  # noqa: E402
from explorer.ui.scribble import canvas_value, read_painted, read_picked  # noqa: E402
from explorer.ui.scribble_files import (  # noqa: E402
    labels_file,
    open_strokes_file,
    strokes_file,
)
from explorer.ui.scribble_panels import (  # noqa: E402
    TODO,
    probabilities,
    scribble_options,
    scribbled,
)
from explorer.views import VIEWS, palette  # noqa: E402
from explorer.views.predictions import label_map  # noqa: E402
from explorer.views.rows import PairContext  # noqa: E402

BACKBONE = "efficientnet_lite0"
BLUE, SAND = palette.categorical(2)
EVIL = "<img src=x onerror=window.hacked=1>${window.hacked=2}{{x}}`"
FACE = Stroke("face", BLUE, ((0.4, 0.4), (0.5, 0.6)), 0.03)
WALL = Stroke("wall", SAND, ((0.05, 0.05), (0.05, 0.9)), 0.02)
METHODS = ("nearest", "bilinear")
NAMES = ("backbone", "method")  # of a panel


@pytest.fixture(scope="module")
def photo():
    return open_photo(example_photos()["cat"])


@pytest.fixture(scope="module")
def options(photo):
    return Options(photo, (BACKBONE,), METHODS, 128, 96, align=False)  # as links without the word


# ---- the server's side


def test_what_a_browser_says_is_painted_is_read_with_care():
    data = {"photo": "abc", "visible": True, "strokes": [FACE.to_json(), WALL.to_json()]}
    found = read_painted(data)
    assert (found.photo, found.visible, found.strokes) == ("abc", True, [FACE, WALL])
    assert not read_painted(None).visible and read_painted(None).strokes == []
    assert read_painted(data | {"photo": ["x"]}).photo is None
    for odd in ("text", 3, [], {}, {"strokes": {}}, {"strokes": [3]}, {"strokes": [{}] * 9999}):
        with pytest.raises(ExplorerError) as caught:
            read_painted(odd)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
    assert read_picked(data | {"picked": {"row": 0.5, "col": 0.25, "key": "a\x1fb"}}).col == 0.25
    for odd in (None, data, {"picked": 3}):
        with pytest.raises(ExplorerError, match="click again"):
            read_picked(odd)


def test_the_canvas_gets_the_photo_and_a_file_replaces_what_is_painted(photo):
    value = canvas_value(photo)
    shown = Image.open(value["photo"]["image"]["path"])
    assert list(shown.size[::-1]) == value["photo"]["size"] and max(shown.size) <= 1024
    assert value["photo"]["id"] == photo.digest and value["file"] is None
    assert [tuple(colour) for colour in value["palette"]] == list(palette.categorical(16))
    file = canvas_value(photo, [FACE], "note")["file"]
    assert file["strokes"] == [FACE.to_json()] and file["serial"] and file["note"] == "note"
    assert canvas_value()["photo"] is None


def test_predictions_or_one_sentence_that_says_what_to_paint(session, options):
    def last(strokes, **chosen):
        return list(scribbled(session, scribble_options(options, strokes, **chosen), None))[-1]

    assert last([]) == (None, {"text": TODO, "kind": "done"})
    grid, status = last([FACE, FACE])
    assert grid is None and "only 'face' is painted" in status["text"]
    cover = Stroke("wall", SAND, FACE.points, 0.2)
    assert "'face' are covered" in last([FACE, cover])[1]["text"]
    grid, status = last([FACE, WALL])
    assert grid["columns"] == ["Nearest", "Bilinear"] and status["kind"] == "done"
    assert "2 strokes of 2 classes, 64×96 pixels" in status["text"]
    for cell in grid["panels"].values():
        names = [name for name, _ in cell["legend"]]
        assert {name.split()[0] for name in names} == {"face", "wall"}
        assert sum(float(name.split()[1].rstrip("%")) for name in names) == pytest.approx(100)
    grid, _ = last([FACE, WALL], show="disagreement")
    assert grid["columns"] == ["Bilinear vs Nearest"]
    grid, _ = last([FACE, WALL], show="confidence")
    assert all(cell["colorbar"]["label"] == "confidence" for cell in grid["panels"].values())


def test_preparing_names_what_is_slow_once_and_never_again(session, options, monkeypatch):
    monkeypatch.setattr(scribble_panels, "SLOW", -1)
    session.results.clear()
    chosen = scribble_options(options, [FACE, WALL])
    said = list(scribble_panels.prepare(session, chosen))
    assert said == [f"Preparing Bilinear on {BACKBONE}, 2 of 2"]
    kept = len(session.results)
    list(scribble_panels.prepare(session, chosen))
    assert len(session.results) == kept


def test_slow_methods_are_shown_one_by_one(session, options, monkeypatch):
    monkeypatch.setattr(scribble_panels, "PATIENCE", -1)
    chosen = scribble_options(options, [FACE, WALL])
    shown = [grid for grid, _ in scribbled(session, chosen, None) if isinstance(grid, dict)]
    waiting = [[c["column"] for c in grid["panels"].values() if c.get("pending")] for grid in shown]
    assert waiting == [["Bilinear"], [], []]
    assert all(grid["columns"] == ["Nearest", "Bilinear"] for grid in shown)


def test_a_picked_point_is_told_with_its_probabilities(session, options):
    chosen = scribble_options(options, [FACE, WALL]).with_query((27, 48))
    panels = list(scribbled(session, chosen, None))[-1][0]["panels"].values()
    names = [(cell["backbone"], cell["method"]) for cell in panels]
    assert names == [("efficientnet_lite0", "nearest"), ("efficientnet_lite0", "bilinear")]
    picked = {"picked": {"row": 0.45, "col": 0.5} | dict(zip(NAMES, names[1], strict=True))}
    text = probabilities(session, chosen, read_picked(picked))
    shares = dict(re.findall(r"(\w+) ([\d.]+)%", text.partition(": ")[2]))
    assert text.startswith("Bilinear at row 27, column 48: face ")
    assert sum(map(float, shares.values())) == pytest.approx(100, abs=0.2)
    for name in NAMES:
        other = {"picked": picked["picked"] | {name: "another"}}
        with pytest.raises(ExplorerError, match="that panel is gone"):
            probabilities(session, chosen, read_picked(other))


def test_label_maps_leave_as_indexed_png_and_npy(session, options):
    evil = Stroke(EVIL, SAND, WALL.points, 0.02)
    chosen = scribble_options(options, [FACE, evil])
    labels, _ = label_map(PairContext(session, chosen, BACKBONE, "", "bilinear"))
    data, name, text = labels_file(session, chosen, BACKBONE, "bilinear", "png")
    picture = Image.open(io.BytesIO(data))
    assert picture.mode == "P" and (np.array(picture) == labels.numpy()).all()
    colours = np.array(picture.convert("RGB"))
    assert (colours[labels.numpy() == 0] == BLUE).all()
    assert (colours[labels.numpy() == 1] == SAND).all() and len(np.unique(labels)) == 2
    assert json.loads(picture.text["classes"]) == ["face", EVIL]
    assert json.loads(picture.text["recipe"])["upsampler"]["name"] == "bilinear"
    assert name == "cat_labels_efficientnet_lite0_bilinear.png"
    assert text == f"96×64 labels: 0 = face, 1 = {EVIL}"
    data, name, _ = labels_file(session, chosen, BACKBONE, "bilinear", "npy")
    array = np.load(io.BytesIO(data))
    assert array.dtype == np.uint8 and (array == labels.numpy()).all() and name.endswith(".npy")
    with pytest.raises(ExplorerError, match="methods on screen"):
        labels_file(session, chosen, BACKBONE, "../jbu", "png")
    with pytest.raises(ExplorerError, match="only 'face' is painted"):
        labels_file(session, scribble_options(options, [FACE]), BACKBONE, "bilinear", "png")


def test_strokes_survive_their_file_and_odd_files_are_one_sentence(photo, tmp_path, monkeypatch):
    data, name = strokes_file([FACE, WALL], photo)
    path = tmp_path / name
    path.write_bytes(data)
    assert open_strokes_file(str(path), photo) == ([FACE, WALL], "2 strokes loaded")
    path.write_text(dump_strokes([FACE], {"name": EVIL, "sha256": "0"}))
    strokes, text = open_strokes_file(str(path), photo)
    assert strokes == [FACE] and "painted on another photo (<img" in text
    with pytest.raises(ExplorerError, match="no strokes to save"):
        strokes_file([], photo)
    for odd in (b"\xff\xfe\x00", b"", b"[]", b"[" * 9999, b'{"strokes": [{"name": 1}]}'):
        path.write_bytes(odd)
        with pytest.raises(ExplorerError) as caught:
            open_strokes_file(str(path), photo)
        assert "\n" not in str(caught.value)
    monkeypatch.setattr(scribble_files, "MAX_FILE", 3)
    path.write_bytes(data)
    with pytest.raises(ExplorerError, match="at most"):
        open_strokes_file(str(path), photo)


def test_scripts_and_styles_survive_gradio():
    canvas = scribble.scribble_canvas("scribble")
    probed = "every inputs server_functions is_template likeable self _undoable _retryable"
    for name in probed.split():
        assert not hasattr(canvas, name), name
    style = (STATIC / "scribble.css").read_text("utf-8")
    assert not re.search(r"\{\{|\$\{|`|\\|@keyframes", style)
    for name in scribble.SCRIPTS:
        assert "innerHTML" not in (STATIC / name).read_text("utf-8")


# ---- the page


@pytest.mark.slow
def test_the_endpoint_gives_panels_and_label_maps(address, session, options):
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    client = Client(address, verbose=False)

    def ask(strokes, **changes):
        return client.predict(
            photo=handle_file(str(example_photos()["cat"])),
            strokes=strokes,
            upsamplers=list(METHODS),
            input_size=128,
            output_size=96,
            api_name="/scribble",
            **changes,
        )

    strokes = [FACE.to_json(), WALL.to_json()]
    found = {panel["column"]: panel for panel in ask(strokes)}
    chosen = scribble_options(replace(options, align=True), [FACE, WALL])  # as without the word
    for panel in VIEWS.create("probe").render(session, chosen):
        made = np.asarray(Image.open(found[panel.column]["image"]))
        assert np.array_equal(made, panel.image), panel.column
    labels, _ = label_map(PairContext(session, chosen, BACKBONE, "", "nearest"))
    assert (np.asarray(Image.open(found["Nearest"]["labels"])) == labels.numpy()).all()
    (different,) = [p for p in ask(strokes, show="disagreement") if p["column"] != "Photo"]
    assert different["column"] == "Bilinear vs Nearest"
    for odd in ([], [FACE.to_json()], [{}], [3], "text"):
        with pytest.raises(AppError) as caught:
            ask(odd)
        sentence = str(caught.value)
        assert 10 < len(sentence) < 400 and "Traceback" not in sentence


@pytest.fixture
def opened(address, visit):
    """Open the tab; what it shows is ready to be painted on."""

    def go(**context):
        query = f"?example=cat&input_size=128&output_size=96&upsamplers={','.join(METHODS)}"
        page = visit(address + query, ready="#status .status", **context)
        page.wait_for_selector("#status .status.done")
        page.get_by_role("tab", name="Scribble").click()
        said(page, "Paint a stroke")
        page.wait_for_function("!!document.querySelector('#scribble .fx').painted.photo")
        page.wait_for_timeout(300)
        return page

    return go


def said(page, text):
    page.wait_for_function(
        "text => document.querySelector('#scribble-status')?.innerText.includes(text)", arg=text
    )


def spot(page, row, col):
    box = page.locator("#scribble .fx-stage").bounding_box()
    return box["x"] + col * box["width"], box["y"] + row * box["height"]


def paint(page, stroke):
    for number, point in enumerate(stroke.points):
        page.mouse.move(*spot(page, *point), steps=1 if number == 0 else 5)
        if number == 0:
            page.mouse.down()
    page.mouse.up()


def painted(page):
    return page.evaluate("document.querySelector('#scribble .fx').painted.strokes")


def names(page):
    return [field.input_value() for field in page.locator("#scribble .sc-name").all()]


def rename(page, number, name):
    page.locator("#scribble .sc-name").nth(number).fill(name)
    page.keyboard.press("Enter")


def colour_at(page, row, col):
    x, y = spot(page, row, col)
    shot = page.screenshot(clip={"x": int(x), "y": int(y), "width": 1, "height": 1})
    return Image.open(io.BytesIO(shot)).convert("RGB").getpixel((0, 0))


def both(page):
    """Paint two classes and wait for their predictions."""
    page.locator("#scribble .sc-pick").first.click()
    paint(page, FACE)
    said(page, "only ")
    page.locator("#scribble .sc-pick").nth(1).click()
    paint(page, WALL)
    said(page, "2 strokes of 2 classes")
    page.wait_for_selector("#scribbled .fx-legend")


@pytest.mark.browser
def test_strokes_are_painted_predicted_and_undone(opened):
    page = opened()
    both(page)
    strokes = painted(page)
    assert [one["name"] for one in strokes] == ["object", "background"]
    assert [tuple(one["colour"]) for one in strokes] == [BLUE, SAND]
    for one, meant in zip(strokes, (FACE, WALL), strict=True):
        ends = np.array([one["points"][0], one["points"][-1]])
        assert np.abs(ends - np.array(meant.points)).max() < 0.02
    page.mouse.move(2, 2)
    page.wait_for_timeout(150)
    assert colour_at(page, 0.45, 0.5) == BLUE and colour_at(page, 0.05, 0.5) == SAND
    legend = page.inner_text("#scribbled .fx-legend")
    assert "object" in legend and "background" in legend and "%" in legend
    assert page.locator("#scribbled .fx-card").count() == len(METHODS)
    rename(page, 0, "whiskers")
    page.wait_for_function(
        "document.querySelector('#scribbled .fx-legend').innerText.includes('whiskers')"
    )
    last = page.locator("#scribbled .fx-table .fx-stage").last
    last.scroll_into_view_if_needed()
    box = last.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.45)
    said(page, "Bilinear at row")
    assert "whiskers" in page.inner_text("#scribble-status")
    page.get_by_title("Undo (Ctrl+Z)").click()
    said(page, "only 'whiskers' is painted")
    assert len(painted(page)) == 1 and page.locator("#scribbled .fx-card").count() == 0
    page.locator("#scribble .fx-stage").focus()
    page.keyboard.press("Control+Shift+z")
    said(page, "2 strokes of 2 classes")
    page.get_by_title("Clear all strokes").click()
    said(page, "Paint a stroke")
    page.keyboard.press("Control+z")
    said(page, "2 strokes of 2 classes")
    page.get_by_title("Remove this class and its strokes").first.click()
    said(page, "only 'background' is painted")
    assert names(page) == ["background"]


@pytest.mark.browser
def test_strokes_and_labels_leave_and_strokes_come_back(opened, options, session, tmp_path):
    page = opened()
    page.locator("#save-strokes").click()
    said(page, "no strokes to save yet")
    both(page)

    def take(button):
        with page.expect_download() as waiting:
            page.locator(button).click()
        path = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path

    def give(path):
        with page.expect_file_chooser() as waiting:
            page.locator("#load-strokes").click()
        waiting.value.set_files(str(path))

    file = take("#save-strokes")
    strokes = load_strokes(file.read_text())
    assert [one.to_json() for one in strokes] == painted(page)
    labels, _ = label_map(
        PairContext(session, scribble_options(options, strokes), BACKBONE, "", "bilinear")
    )
    picture = Image.open(take("#labels-png"))
    assert picture.mode == "P" and (np.array(picture) == labels.numpy()).all()
    assert json.loads(picture.text["classes"]) == ["object", "background"]
    assert (np.load(take("#labels-npy")) == labels.numpy()).all()
    before = painted(page), page.inner_text("#scribbled .fx-table")
    page.get_by_title("Clear all strokes").click()
    said(page, "Paint a stroke")
    give(file)
    said(page, "2 strokes of 2 classes")
    assert (painted(page), page.inner_text("#scribbled .fx-table")) == before
    evil = Stroke(EVIL, (9, 9, 9), WALL.points, 0.02)
    file.write_text(dump_strokes([FACE, evil], {"name": EVIL, "sha256": "0"}))
    give(file)
    page.wait_for_function(
        "document.querySelector('#scribbled .fx-legend')?.innerText.includes('onerror')"
    )
    assert names(page) == ["face", EVIL] and "another photo" in page.inner_text("#scribble")
    file.write_text("[{}]")
    give(file)
    said(page, "this is not one")
    assert len(painted(page)) == 2 and page.evaluate("window.hacked") is None


@pytest.mark.browser
def test_names_are_text_and_every_photo_has_its_own_strokes(opened):
    page = opened()
    rename(page, 0, EVIL)
    rename(page, 1, EVIL)
    assert names(page) == [EVIL, "background"]
    assert "Another class has the name" in page.inner_text("#scribble .sc-notice")
    both(page)
    assert EVIL in page.inner_text("#scribbled .fx-legend")
    page.get_by_title("Add a class").click()
    assert names(page) == [EVIL, "background", "class 3"]
    first = painted(page)
    page.locator("#examples button").first.click()
    said(page, "Paint a stroke")
    page.wait_for_function("document.querySelector('#scribble .fx').painted.strokes.length === 0")
    assert names(page)[0] == EVIL
    cat = list(example_photos()).index("cat")
    page.locator("#examples button").nth(cat).click()
    said(page, "2 strokes of 2 classes")
    assert painted(page) == first
    assert page.evaluate("window.hacked") is None


@pytest.mark.browser
def test_a_finger_paints_two_move_and_a_zoomed_stroke_lands_where_it_is_drawn(opened):
    page = opened(has_touch=True)
    touch = page.context.new_cdp_session(page)

    def send(kind, *points):
        places = [dict(zip("xy", spot(page, *point), strict=True)) for point in points]
        places = [place | {"id": number} for number, place in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    send("touchStart", (0.3, 0.2))
    for col in (0.3, 0.4, 0.5):
        send("touchMove", (0.3, col))
    send("touchEnd")
    said(page, "only ")
    (stroke,) = painted(page)
    assert stroke["points"][0] == pytest.approx([0.3, 0.2], abs=0.01)
    assert stroke["points"][-1] == pytest.approx([0.3, 0.5], abs=0.01)
    send("touchStart", (0.5, 0.4))
    send("touchStart", (0.5, 0.4), (0.5, 0.6))
    send("touchMove", (0.5, 0.3), (0.5, 0.7))
    send("touchEnd")
    page.wait_for_timeout(200)
    assert len(painted(page)) == 1 and page.inner_text("#scribble .fx-level") == "2×"
    page.mouse.move(*spot(page, 0.5, 0.5))
    page.mouse.down()
    page.mouse.up()
    page.wait_for_function("document.querySelector('#scribble .fx').painted.strokes.length === 2")
    assert painted(page)[1]["points"] == [pytest.approx([0.5, 0.5], abs=0.02)]
