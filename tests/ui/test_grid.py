import io
import json
import math
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

gr = pytest.importorskip("gradio")

from explorer.core import Colorbar, ExplorerError, Panel  # noqa: E402
from explorer.ui.grid import (  # noqa: E402
    STATIC,
    centre_of,
    grid_value,
    on_pick,
    panel_grid,
    panel_key,
    read_click,
)

H, W = 300, 448
GRID = (19, 28)
ROWS = ("EfficientNet-Lite0", "DINOv2 ViT-S/14")
COLUMNS = ("Photo", "Features", "Bilinear", "AnyUp", "JAFAR")
REASON = "JAFAR needs at least 2x2 cells, got 1x3; choose a larger input size."
EVIL = '<img src=x onerror="window.hacked=1">${window.hacked=2}{{value}}`<script>hacked=3</script>'


def coded(height=H, width=W):
    """A picture whose every pixel tells its own row and column."""
    row, col = np.mgrid[:height, :width]
    return np.stack([row % 256, col % 256, row // 256 * 16 + col // 256], axis=-1).astype(np.uint8)


def decoded(color):
    red, green, blue = (int(part) for part in color)
    return blue // 16 * 256 + red, blue % 16 * 256 + green


def panels():
    made = []
    for seed, row in enumerate(ROWS):
        noise = np.random.default_rng(seed)
        shown = {"backbone": row.lower(), "grid": GRID}
        made.append(Panel(row, "Photo", coded(), origin="photo", role="photo", **shown))
        made.append(Panel(row, "Features", noise.integers(0, 255, (*GRID, 3), dtype=np.uint8)))
        made.append(
            Panel(
                row,
                "Bilinear",
                noise.integers(0, 255, (H, W, 3), dtype=np.uint8),
                caption="half-pixel centres",
                origin="training-free",
                metrics=(("mean", "3 cells"),),
                seconds=0.004,
                rectangle=(0.3, 0.5, 0.25, 0.4),
                marker=(0.4, 0.33),
            )
        )
        made.append(Panel(row, "AnyUp", coded(), origin="published", legend=(("sky", (1, 2, 3)),)))
        bar = Colorbar(math.nan, 1, "cosine", ((0, 0, 255), (255, 0, 0)))
        other = Panel(row, "JAFAR", coded(), origin="untrained", colorbar=bar, queried=False)
        made.append(other)
    made[-1] = Panel(ROWS[1], "JAFAR", coded(), error=REASON)
    return made


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


# ---- the value


def test_value_lists_labels_in_order_and_is_plain_json():
    value = grid_value(panels(), pending=[(ROWS[0], "NAF")], query=(0.5, 0.25))
    json.dumps(value, allow_nan=False)
    assert value["rows"] == list(ROWS)
    assert value["columns"] == [*COLUMNS, "NAF"]
    assert value["output_size"] == [H, W]
    assert value["panels"][panel_key(ROWS[0], "NAF")]["pending"]
    assert "image" not in value["panels"][panel_key(ROWS[1], "JAFAR")]
    ordered = grid_value(panels(), columns=["JAFAR", "Photo"])
    assert ordered["columns"][:2] == ["JAFAR", "Photo"]


def test_value_of_nothing_is_an_empty_grid():
    assert grid_value([])["panels"] == {}


def test_later_panel_replaces_earlier_and_pending_dims_it():
    small = Panel("a", "b", np.zeros((2, 2, 3), np.uint8))
    large = Panel("a", "b", np.zeros((4, 6, 3), np.uint8))
    value = grid_value([small, large], pending=[("a", "b")])
    (cell,) = value["panels"].values()
    assert cell["size"] == [4, 6] and cell["pending"] and cell["image"]


def test_pictures_are_lossless_files_written_once_with_their_recipe():
    noise = np.random.default_rng(0).integers(0, 255, (H, W, 3), dtype=np.uint8)
    panel = Panel("a", "b", noise, recipe={"view": "pca", "note": "größer"})
    path = Path(grid_value([panel])["panels"][panel_key("a", "b")]["image"]["path"])
    written = path.stat().st_mtime_ns, path.stat().st_ino
    picture = Image.open(path)
    assert np.array_equal(np.asarray(picture), noise)
    assert json.loads(picture.text["recipe"]) == panel.recipe
    again = Path(grid_value([panel])["panels"][panel_key("a", "b")]["image"]["path"])
    assert again == path and again.stat().st_ino == written[1]
    assert again.stat().st_mtime_ns > written[0]  # young again for the cache's clean-up
    assert [other.name for other in path.parent.iterdir()] == ["panel.png"]


def test_strided_pictures_are_sent_as_they_look():
    turned = coded()[::-1, ::2]
    cell = grid_value([Panel("a", "b", turned)])["panels"][panel_key("a", "b")]
    assert np.array_equal(np.asarray(Image.open(cell["image"]["path"])), turned)


def test_threads_writing_the_same_picture_leave_one_whole_file():
    panel = Panel("a", "b", np.random.default_rng(7).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    paths = []

    def work():
        cell = grid_value([panel])["panels"][panel_key("a", "b")]
        paths.append(cell["image"]["path"])
        assert np.array_equal(np.asarray(Image.open(paths[-1])), panel.image)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 8 and len(set(paths)) == 1


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
)
def test_a_picture_of_another_kind_is_refused_by_name(image):
    with pytest.raises(ExplorerError, match="'AnyUp'.*expected uint8"):
        grid_value([Panel("a", "AnyUp", image)])


@pytest.mark.parametrize("query", [(1.2, 0.5), (math.nan, 0.5), (-0.1, 0)])
def test_a_query_outside_the_picture_is_refused(query):
    with pytest.raises(ExplorerError, match="fractions"):
        grid_value(panels(), query=query)


def test_click_reads_back_the_pixel_it_was_made_from():
    for pixel in [(0, 0), (H - 1, W - 1), (123, 321)]:
        row, col = centre_of(pixel, (H, W))
        click = read_click({"row": row, "col": col, "backbone": "vit", "method": "anyup"})
        assert click.pixel((H, W)) == pixel
        assert (click.backbone, click.method) == ("vit", "anyup")
    click = read_click({"row": 1, "col": 1, "method": None})
    assert click.pixel((H, W)) == (H - 1, W - 1) and click.backbone == click.method == ""


@pytest.mark.parametrize(
    "data",
    [
        None,
        "0.5",
        {},
        {"row": 0.5},
        {"row": "0.5", "col": 0.5},
        {"row": math.nan, "col": 0},
        {"row": 2, "col": 0},
    ],
)
def test_click_trusts_nothing_a_browser_sends(data):
    with pytest.raises(ExplorerError, match="fractions"):
        read_click(data)


# ---- the static files


def test_style_sheet_survives_being_evaluated_as_a_template():
    for style in (STATIC / "grid.css", STATIC / "swipe.css"):
        assert not re.search(r"\{\{|\$\{|`|\\|@keyframes", style.read_text("utf-8")), style


def test_nothing_names_another_machine():
    for file in STATIC.iterdir():
        addresses = set(re.findall(r"https?://[^\s\"']+", file.read_text("utf-8")))
        assert addresses <= {"http://www.w3.org/2000/svg"}, file


def test_quoted_words_in_the_scripts_shadow_nothing_gradio_looks_for():
    # gr.HTML answers any attribute whose quoted name occurs in js_on_load with an event listener.
    component = panel_grid("grid", render=False)
    probed = "every inputs server_functions is_template likeable self _undoable"
    for name in [*probed.split(), "_retryable"]:
        assert not hasattr(component, name), name


# ---- in a browser


@pytest.fixture(scope="module")
def app(serve):
    """The address of a grid, and what its listeners saw."""
    seen = []
    shown = {
        "pending": [(ROWS[1], "AnyUp")],
        "columns": COLUMNS,
    }
    ready = [panel for panel in panels() if (panel.row, panel.column) != (ROWS[1], "AnyUp")]
    plain = np.full((H, W, 3), 200, np.uint8)

    def pick(picked):
        seen.append((read_click(picked), picked))

    def evil():
        return grid_value(
            [
                Panel(EVIL, EVIL, plain, EVIL, EVIL, ((EVIL, EVIL),), ((EVIL, (1, 2, 3)),)),
                Panel(EVIL, "second", plain, error=EVIL),
            ]
        )

    def stream():
        for count in range(len(ready) + 1):
            todo = [(panel.row, panel.column) for panel in ready[count:]]
            yield grid_value(ready[:count], pending=todo, columns=COLUMNS, output_size=(H, W))

    def echo(picked):
        click = read_click(picked)
        seen.append((click, picked))
        time.sleep(0.1)
        return grid_value(ready, query=(click.row, click.col), **shown)

    with gr.Blocks() as demo:
        grid = panel_grid("grid")
        echoing = panel_grid("echoing", grid_value(ready, **shown))
        demo.load(lambda: grid_value(ready, **shown), None, grid, show_progress="hidden")
        gr.Button("evil").click(evil, None, grid, show_progress="hidden")
        gr.Button("stream").click(stream, None, grid, show_progress="hidden")
        on_pick(grid, pick)
        on_pick(echoing, echo, outputs=echoing)
    demo.queue(default_concurrency_limit=1)
    return serve(demo), seen


@pytest.fixture
def page(app, visit):
    return visit(app[0], "#grid .fx-card")


def stage(page, row, column, grid="#grid"):
    place = ROWS.index(row) * len(COLUMNS) + COLUMNS.index(column)
    found = page.locator(f"{grid} .fx-table .fx-stage").nth(place)
    found.scroll_into_view_if_needed()
    page.wait_for_timeout(60)
    return found


def spot(found, row, col):
    box = found.bounding_box()
    return box["x"] + col * box["width"], box["y"] + row * box["height"]


def shown_color(page, x, y):
    """The colour on screen at a CSS position, with the middle of a thick device pixel."""
    shot = page.screenshot(clip={"x": math.floor(x), "y": math.floor(y), "width": 1, "height": 1})
    colors = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))
    return colors[int(y % 1 * colors.shape[0]), int(x % 1 * colors.shape[1])]


def settle(page, seen, count, seconds=5):
    for _ in range(int(seconds * 20)):
        if len(seen) >= count:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{len(seen)} events, expected {count}")


def wheel_to(page, x, y, turns, ratio=1):
    page.mouse.move(x, y)
    page.wait_for_timeout(300)  # longer than the pause that ends a page scroll
    for _ in range(abs(turns)):
        page.mouse.wheel(0, math.copysign(400 * math.log(2) / 2, turns) * ratio)
        page.wait_for_timeout(30)
    page.wait_for_timeout(100)


CROSSHAIRS = """() => [
    ...document.querySelectorAll('#grid .fx-table .fx-card:not(.fx-blank) canvas + canvas')
].map(canvas => {
    const {width, height} = canvas;
    const alpha = canvas.getContext('2d').getImageData(0, 0, width, height).data;
    const rows = new Array(height).fill(0), cols = new Array(width).fill(0);
    for (let r = 0; r < height; r++) for (let c = 0; c < width; c++)
        if (alpha[4 * (r * width + c)] > 250) { rows[r]++; cols[c]++; }
    const peak = (counts) => counts.indexOf(Math.max(...counts));
    return {row: peak(rows), col: peak(cols), height, width,
            drawn: Math.max(...rows) > width / 2 && Math.max(...cols) > height / 2};
})"""


@pytest.mark.browser
def test_hover_moves_the_crosshair_in_every_panel(page):
    for column, at in [("Photo", (0.25, 0.75)), ("Features", (0.7, 0.1))]:
        page.mouse.move(*spot(stage(page, ROWS[0], column), *at))
        page.wait_for_timeout(150)
        crosses = page.evaluate(CROSSHAIRS)
        assert len(crosses) == 8
        for cross in crosses:
            assert cross["drawn"]
            assert abs(cross["row"] - at[0] * cross["height"]) <= 1
            assert abs(cross["col"] - at[1] * cross["width"]) <= 1
    page.mouse.move(2, 2)
    page.wait_for_timeout(150)
    assert not any(cross["drawn"] for cross in page.evaluate(CROSSHAIRS))


@pytest.mark.browser
def test_the_query_is_not_drawn_in_another_photo(page):
    page.mouse.click(*spot(stage(page, ROWS[0], "Photo"), 0.6, 0.7))
    page.mouse.move(2, 2)
    page.wait_for_timeout(150)
    drawn = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll(
            '#grid .fx-table .fx-card:not(.fx-blank) .fx-stage'
        )].map(stage => {
            const canvas = stage.querySelector('canvas + canvas');
            const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            return [stage.dataset.key, data.some(part => part > 0)];
        }))"""
    )
    assert len(drawn) == 8
    assert [key for key, any_line in drawn.items() if not any_line] == [panel_key(ROWS[0], "JAFAR")]


@pytest.mark.browser
def test_readout_names_pixel_cell_and_colour(page):
    found = stage(page, ROWS[0], "Bilinear")
    row, col = 120, 301
    page.mouse.move(*spot(found, *centre_of((row, col), (H, W))))
    page.wait_for_timeout(150)
    text = page.locator("#grid > * .fx > .fx-readout").inner_text()
    where = re.search(r"row (\d+), col (\d+) of 300×448", text)
    read = tuple(int(part) for part in where.groups())
    assert abs(read[0] - row) <= 1 and abs(read[1] - col) <= 1
    assert f"cell {read[0] * 19 // H}, {read[1] * 28 // W} of 19×28" in text
    assert "rgb {} {} {}".format(*panels()[2].image[read]) in text
    assert "Bilinear, EfficientNet-Lite0" in text


@pytest.mark.browser
@pytest.mark.parametrize("ratio", [1, 2, 1.5])
def test_click_at_zoom_four_names_the_pixel_on_screen(app, visit, ratio):
    address, seen = app
    page = visit(address, "#grid .fx-card", device_scale_factor=ratio)
    photo = stage(page, ROWS[0], "Photo")
    wheel_to(page, *spot(photo, 0.62, 0.41), -4, ratio)
    assert page.locator("#grid .fx-level").inner_text() == "4×"
    errors = []
    for at in [(0.1, 0.2), (0.5, 0.5), (0.93, 0.87), (0.31, 0.97), (0.72, 0.03), (0.04, 0.61)]:
        x, y = spot(photo, *at)
        page.mouse.move(x, y)
        page.wait_for_timeout(120)
        expected = decoded(shown_color(page, x, y))
        count = len(seen)
        page.mouse.click(x, y)
        settle(page, seen, count + 1)
        click, data = seen[-1]
        got = click.pixel((H, W))
        errors.append(np.subtract(got, expected))
        assert (data["row"], data["col"]) == pytest.approx(centre_of(got, (H, W)))
        assert (click.backbone, click.method) == (ROWS[0].lower(), "")
        page.wait_for_timeout(400)  # not a double click
    assert np.abs(errors).max() <= 1, errors
    assert np.abs(np.mean(errors, axis=0)).max() <= 0.5, errors  # rounding, but no shift


@pytest.mark.browser
def test_wheel_and_drag_are_shared_and_double_click_fits(page):
    def seen_at(column, row=ROWS[0]):
        return decoded(shown_color(page, *spot(stage(page, row, column), 0.3, 0.6)))

    anchor = spot(stage(page, ROWS[0], "AnyUp"), 0.4, 0.7)
    wheel_to(page, *anchor, -6)
    page.mouse.move(2, 2)
    assert page.locator("#grid .fx-level").inner_text() == "8×"
    zoomed = seen_at("AnyUp")
    # around the cursor: (.3, .6) of the box shows anchor + (offset / 8) of the picture
    wanted = (0.4 + (0.3 - 0.4) / 8) * H, (0.7 + (0.6 - 0.7) / 8) * W
    assert zoomed == pytest.approx(wanted, abs=1.5)
    assert seen_at("Photo") == seen_at("JAFAR") == seen_at("Photo", ROWS[1]) == zoomed
    noise = shown_color(page, *spot(stage(page, ROWS[0], "Bilinear"), 0.3, 0.6))
    assert tuple(noise) == tuple(
        panels()[2].image[zoomed]
    )  # a pixel, not a blend of its neighbours

    box = stage(page, ROWS[0], "AnyUp").bounding_box()
    page.mouse.move(*anchor)
    page.mouse.down()
    page.mouse.move(anchor[0] + box["width"] / 4, anchor[1] - box["height"] / 4, steps=4)
    page.mouse.up()
    page.mouse.move(2, 2)
    page.wait_for_timeout(100)
    panned = seen_at("Photo")
    assert panned == pytest.approx((wanted[0] + H / 32, wanted[1] - W / 32), abs=1.5)
    assert seen_at("AnyUp") == panned

    page.mouse.dblclick(*anchor)
    page.wait_for_timeout(100)
    assert page.locator("#grid .fx-level").inner_text() == "1×"


@pytest.mark.browser
def test_a_drag_is_not_a_click(page, app):
    count = len(app[1])
    x, y = spot(stage(page, ROWS[0], "Photo"), 0.5, 0.5)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 30, y, steps=3)
    page.mouse.up()
    page.wait_for_timeout(400)
    assert len(app[1]) == count


@pytest.mark.browser
def test_wheel_that_scrolls_the_page_does_not_zoom(page):
    turn = """(places) => { for (const place of places) document.querySelector(place).dispatchEvent(
        new WheelEvent('wheel', {bubbles: true, cancelable: true, deltaY: -100})) }"""
    page.evaluate(turn, ["footer", "#grid .fx-stage"])
    page.wait_for_timeout(400)
    assert page.locator("#grid .fx-level").inner_text() == "1×"
    page.evaluate(turn, ["#grid .fx-stage"])
    page.wait_for_timeout(100)
    assert page.locator("#grid .fx-level").inner_text() == "1.3×"


@pytest.mark.browser
def test_arrow_keys_move_the_query_by_one_output_pixel(page, app):
    seen = app[1]
    found = stage(page, ROWS[0], "AnyUp")
    count = len(seen)
    page.mouse.click(*spot(found, 0.5, 0.5))
    settle(page, seen, count + 1)
    row, col = seen[-1][0].pixel((H, W))
    for key, (down, right) in {
        "ArrowRight": (0, 1),
        "ArrowDown": (1, 0),
        "ArrowLeft": (0, -1),
        "ArrowUp": (-1, 0),
    }.items():
        page.wait_for_timeout(150)
        count = len(seen)
        page.keyboard.press(key)
        settle(page, seen, count + 1)
        row, col = row + down, col + right
        assert seen[-1][0].pixel((H, W)) == (row, col)
    # the server may hear of the point a frame before the readout is painted
    page.wait_for_function(
        "text => document.querySelector('#grid .fx > .fx-readout').innerText.includes(text)",
        arg=f"row {row}, col {col} of",
    )


@pytest.mark.browser
def test_held_arrow_key_ends_on_the_last_pixel_despite_late_answers(page, app):
    seen = app[1]
    count = len(seen)
    page.mouse.click(*spot(stage(page, ROWS[0], "AnyUp", "#echoing"), 0.5, 0.5))
    settle(page, seen, count + 1)
    row, col = seen[-1][0].pixel((H, W))
    for _ in range(25):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(1500)
    assert seen[-1][0].pixel((H, W)) == (row, col + 25)
    assert len(seen) - count < 20
    text = page.locator("#echoing .fx > .fx-readout").inner_text()
    page.mouse.move(2, 2)
    page.wait_for_timeout(100)
    text = page.locator("#echoing .fx > .fx-readout").inner_text()
    assert f"row {row}, col {col + 25} of" in text


@pytest.mark.browser
def test_downloaded_panels_equal_the_arrays(page):
    for panel in panels():
        if panel.error or (panel.row, panel.column) == (ROWS[1], "AnyUp"):
            continue
        found = stage(page, panel.row, panel.column)
        found.hover()
        with page.expect_download() as download:
            found.get_by_label("Download this panel as PNG").click()
        assert download.value.suggested_filename.endswith(".png")
        assert panel.column in download.value.suggested_filename
        assert np.array_equal(np.asarray(Image.open(download.value.path())), panel.image)


@pytest.mark.browser
def test_error_and_working_panels_say_so_in_place(page):
    cards = page.locator("#grid .fx-table .fx-card")
    assert cards.count() == 10
    assert cards.nth(9).locator("[role=alert]").inner_text() == REASON
    assert cards.nth(8).get_attribute("aria-busy") == "true"
    assert "working" in cards.nth(8).inner_text()
    for name in (ROWS[0], ROWS[1], *COLUMNS):
        assert page.locator("#grid .fx-label").get_by_text(name, exact=True).count() == 1
    for origin in ("photo", "published", "untrained", "training-free"):
        assert page.locator("#grid .fx-badge").get_by_text(origin, exact=True).count() >= 1
    for kind in ("published", "untrained"):
        texts = page.locator(f"#grid .fx-badge[data-weights={kind}]").all_inner_texts()
        assert texts and set(texts) == {kind}


@pytest.mark.browser
def test_markup_and_templates_in_labels_are_shown_as_text(page):
    page.get_by_role("button", name="evil").click()
    page.locator("#grid .fx-label", has_text="second").wait_for()
    page.wait_for_timeout(300)
    assert page.evaluate("window.hacked") is None
    assert page.locator("#grid .fx img, #grid .fx script").count() == 0
    texts = page.locator("#grid .fx-table").evaluate("node => node.textContent")
    assert texts.count(EVIL) >= 7


@pytest.mark.browser
def test_streamed_panels_keep_their_cells_and_are_fetched_once(page):
    fetched = []
    page.on("request", lambda request: "/file=" in request.url and fetched.append(request.url))
    page.evaluate("document.querySelector('#grid .fx-table .fx-card').kept = true")
    page.get_by_role("button", name="stream").click()
    page.wait_for_timeout(200)
    page.wait_for_function(
        "document.querySelectorAll('#grid .fx-table .fx-card:not(.fx-blank)').length == 8"
    )
    page.wait_for_timeout(300)
    assert page.evaluate("document.querySelector('#grid .fx-table .fx-card').kept")
    assert len(fetched) == len(set(fetched))
    x, y = spot(stage(page, ROWS[0], "JAFAR"), 0.5, 0.5)
    assert decoded(shown_color(page, x, y)) == pytest.approx((H / 2, W / 2), abs=3)


@pytest.mark.browser
def test_full_window_shows_one_panel_and_escape_closes_it(page):
    found = stage(page, ROWS[0], "Photo")
    found.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("#grid dialog[open]")
    assert dialog.locator(".fx-title").inner_text() == "Photo, EfficientNet-Lite0"
    box = dialog.locator(".fx-stage").bounding_box()
    assert box["width"] > 2 * found.bounding_box()["width"]
    assert box["width"] / box["height"] == pytest.approx(W / H, rel=0.01)
    page.wait_for_timeout(200)
    x, y = spot(dialog.locator(".fx-stage"), 0.25, 0.75)
    assert decoded(shown_color(page, x, y)) == pytest.approx((0.25 * H, 0.75 * W), abs=1.5)
    page.keyboard.press("PageDown")
    assert dialog.locator(".fx-title").inner_text() == "Features, EfficientNet-Lite0"
    page.keyboard.press("Escape")
    assert dialog.count() == 0


@pytest.mark.browser
def test_focus_is_visible_and_every_panel_has_a_name(page):
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('fx-stage')"):
            break
    ring = "getComputedStyle(document.activeElement, '::after').borderTopWidth"
    assert page.evaluate(ring) == "3px"
    names = page.locator("#grid .fx-table .fx-stage").evaluate_all(
        "stages => stages.map(stage => stage.getAttribute('aria-label'))"
    )
    assert len(names) == 10 and names[0].startswith("Photo, EfficientNet-Lite0")


@pytest.mark.browser
def test_row_labels_stay_while_a_narrow_window_scrolls_and_reload_restores(app, visit):
    page = visit(app[0], "#grid .fx-card", viewport={"width": 700, "height": 700})
    scroll = page.locator("#grid .fx-scroll")
    scroll.evaluate("node => node.scrollLeft = 100")
    assert scroll.evaluate("node => node.scrollLeft") == 100
    label = page.locator("#grid .fx-row").first.bounding_box()
    assert abs(label["x"] - scroll.bounding_box()["x"]) <= 4
    page.reload(wait_until="domcontentloaded")
    page.wait_for_selector("#grid .fx-card:not(.fx-blank)")
    x, y = spot(stage(page, ROWS[0], "Photo"), 0.5, 0.5)
    assert decoded(shown_color(page, x, y)) == pytest.approx((H / 2, W / 2), abs=3)
