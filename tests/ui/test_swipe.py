import io
import math

import numpy as np
import pytest
from PIL import Image

gr = pytest.importorskip("gradio")

from explorer.core import ExplorerError, Panel  # noqa: E402
from explorer.ui.grid import on_pick, read_click  # noqa: E402
from explorer.ui.swipe import panel_swipe, swipe_value  # noqa: E402

H, W = 300, 448


def plain(column, color, row="ViT"):
    image = np.full((H, W, 3), color, np.uint8)
    return Panel(row, column, image, origin="published", method=column.lower())


def test_two_different_pictures_are_needed():
    with pytest.raises(ExplorerError, match="choose two panels"):
        swipe_value(plain("AnyUp", 1), plain("AnyUp", 2))
    broken = Panel("ViT", "JAFAR", np.zeros((1, 1, 3), np.uint8), error="out of memory")
    with pytest.raises(ExplorerError, match="no picture: out of memory"):
        swipe_value(plain("AnyUp", 1), broken)


@pytest.fixture(scope="module")
def app(serve, tmp_path_factory):
    seen = []
    row, col = np.mgrid[:H, :W]
    checks = np.repeat(((row + col) % 2 * 255)[..., None], 3, axis=2).astype(np.uint8)
    left, right = plain("Bilinear", (200, 30, 30)), Panel("ViT", "AnyUp", checks, method="anyup")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("cache")))
        with gr.Blocks() as demo:
            swipe = panel_swipe("swipe", swipe_value(left, right))
            on_pick(swipe, lambda picked: seen.append(read_click(picked)))
        yield serve(demo), seen


@pytest.fixture
def page(app, visit):
    opened = visit(app[0], "#swipe .fx-stage")
    opened.wait_for_timeout(400)
    return opened


def color(page, col, row=0.7):
    box = page.locator("#swipe .fx-stage").bounding_box()
    x, y = math.floor(box["x"] + col * box["width"]), math.floor(box["y"] + row * box["height"])
    shot = page.screenshot(clip={"x": x, "y": y, "width": 1, "height": 1})
    return Image.open(io.BytesIO(shot)).convert("RGB").getpixel((0, 0)), (x, y)


@pytest.mark.browser
def test_handle_moves_the_cut_by_pointer_and_keyboard(page):
    assert color(page, 0.4)[0] == (200, 30, 30) and color(page, 0.6)[0] != (200, 30, 30)
    handle = page.get_by_role("slider")
    box = handle.bounding_box()
    stage = page.locator("#swipe .fx-stage").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(stage["x"] + 0.8 * stage["width"], box["y"] + 20, steps=3)
    page.mouse.up()
    assert handle.get_attribute("aria-valuenow") == "80"
    assert color(page, 0.6)[0] == (200, 30, 30) and color(page, 0.9)[0] != (200, 30, 30)
    handle.focus()
    page.keyboard.press("Home")
    page.keyboard.press("Shift+ArrowRight")
    assert handle.get_attribute("aria-valuenow") == "10"
    page.locator("#swipe .fx-stage").focus()
    page.keyboard.press("Space")
    assert handle.get_attribute("aria-valuenow") == "100"
    assert color(page, 0.9)[0] == (200, 30, 30)


@pytest.mark.browser
def test_zoom_shows_whole_pixels_and_a_click_names_the_side_it_hit(page, app):
    seen = app[1]
    page.mouse.move(*color(page, 0.75)[1])
    page.wait_for_timeout(300)
    for _ in range(12):
        page.mouse.wheel(0, -200)
        page.wait_for_timeout(30)
    page.mouse.move(2, 2)
    page.wait_for_timeout(150)
    found = {color(page, at)[0] for at in np.linspace(0.55, 0.95, 12)}
    assert found == {(0, 0, 0), (255, 255, 255)}  # no grey: nothing is blended
    for at, method in [(0.25, "bilinear"), (0.75, "anyup")]:
        page.mouse.click(*color(page, at)[1])
        page.wait_for_timeout(600)
        assert seen[-1].method == method
    row, col = seen[-1].pixel((H, W))
    text = page.locator("#swipe .fx-readout").inner_text()
    assert f"row {row}, col {col} of 300×448" in text
    level = 255 * ((row + col) % 2)
    assert "rgb 200 30 30" in text and f"rgb {level} {level} {level}" in text
