"""Views, charts, the comparison and the probe on the page, and their endpoints."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

gr = pytest.importorskip("gradio")

from explorer.core import ExplorerError  # noqa: E402
from explorer.evaluation.samples import EvalContext, Sizes  # noqa: E402
from explorer.imaging import open_photo  # noqa: E402
from explorer.probes import load_probe, predict_together, probe_rows  # noqa: E402
from explorer.resources.feature_cache import FeatureCache  # noqa: E402
from explorer.session import Options, Session  # noqa: E402
from explorer.ui.charts import chart  # noqa: E402
from explorer.ui.events import stream  # noqa: E402
from explorer.ui.settings import TABS_ON_SCREEN, Settings  # noqa: E402
from explorer.ui.tabs.compare import PHOTO, compared, sides  # noqa: E402
from explorer.upsamplers import UPSAMPLERS  # noqa: E402
from explorer.views import VIEWS  # noqa: E402
from explorer.weights import checkpoints  # noqa: E402

SIZES = {"input_size": 128, "output_size": 96}
PROBE = "camvid_efficientnet_lite0"
DONE = "#status .status.done"


@pytest.fixture
def cat(examples):
    return open_photo(examples / "cat.jpg")


@pytest.mark.parametrize(
    ("view", "changes"),
    [
        ("pca", {}),
        ("attention", {}),
        ("similarity", {}),
        ("difference", {}),
        ("probe", {"probe": PROBE, "show": "disagreement"}),
    ],
)
def test_every_view_comes_to_an_end(session, cat, view, changes):
    chosen = Settings(view=view, upsamplers=("nearest", "bilinear", "jbu"), **SIZES, **changes)
    made = list(stream(session, VIEWS.create(view), chosen.options(cat), chosen))
    grid, status = made[-1]
    assert status["kind"] == "done", status
    assert not any(cell.get("pending") for cell in grid["panels"].values())
    assert len({(cell["row"], cell["column"]) for cell in grid["panels"].values()}) == len(
        grid["panels"]
    )


@pytest.mark.parametrize("view", ["pca", "attention", "similarity", "probe"])
def test_charts_hold_the_numbers_of_the_view(session, cat, view):
    chosen = Settings(
        view=view, upsamplers=("bilinear", "anyup"), probe=PROBE, query=(0.5, 0.25), **SIZES
    )
    options = chosen.options(cat)
    figure, text = chart(session, options, view)
    json.loads(figure.to_json())
    if view == "attention":
        weights = np.array(figure.data[1].z)
        shown = {p.column: p for p in VIEWS.create(view).render(session, options)}
        assert np.allclose(weights, shown["AnyUp"].cells, atol=1e-6)
        assert weights.sum() == pytest.approx(1, abs=1e-4)
    if view == "probe":
        assert all(sum(bar.y) <= 1.0001 and max(bar.y) > 0 for bar in figure.data)
    assert text


def test_views_without_a_chart_say_which_have_one(session, cat):
    with pytest.raises(ExplorerError, match="PCA, Attention, Similarity"):
        chart(session, Settings(view="reach", **SIZES).options(cat), "reach")


def test_the_comparison_shows_the_panels_of_the_view(session, cat):
    chosen = Settings(upsamplers=("nearest", "bilinear"), **SIZES)
    options = chosen.options(cat)
    menu = [value for _, value in sides(replace(chosen, align=False))]
    assert menu == [PHOTO, "efficientnet_lite0/nearest", "efficientnet_lite0/bilinear"]
    swipe, apart, status = list(compared(session, chosen, options, menu[1], menu[2]))[0]
    panels = {p.column: p for p in VIEWS.create("pca").render(session, options)}
    shown = {cell["column"]: cell["image"]["path"] for cell in swipe["panels"].values()}
    for name in ("Nearest", "Bilinear"):
        assert np.array_equal(np.asarray(Image.open(shown[name])), panels[name].image)
    difference = list(compared(session, chosen, options, menu[1], menu[2]))[-1][1]
    assert [c["column"] for c in difference["panels"].values()] == ["Bilinear vs Nearest"]
    with pytest.raises(ExplorerError, match="two different"):
        list(compared(session, chosen, options, menu[1], menu[1]))


@pytest.mark.slow
def test_endpoints_answer_like_the_views(address, session, cat, examples):
    from gradio_client import Client, handle_file

    client = Client(address, verbose=False)
    photo = handle_file(str(examples / "cat.jpg"))
    shared = {"upsamplers": ["bilinear", "anyup"], **SIZES}
    options = Options(cat, upsamplers=("bilinear", "anyup"), **SIZES).with_query((20, 30))
    found = client.predict(photo=photo, row=20, col=30, **shared, api_name="/attention")
    shown = {p.column: p for p in VIEWS.create("attention").render(session, options)}
    for panel in found:
        assert np.array_equal(np.asarray(Image.open(panel["image"])), shown[panel["column"]].image)
        if panel["cells"]:
            assert np.allclose(panel["cells"], shown[panel["column"]].cells, atol=1e-6)
    other = handle_file(str(examples / "flower.jpg"))
    found = client.predict(
        photo=photo, row=20, col=30, second=other, **shared, api_name="/similarity"
    )
    rows = list(dict.fromkeys(panel["row"] for panel in found))
    assert len(rows) == 2 and "flower" in rows[1]
    best = [p for p in found if p["row"] == rows[1] and p["column"] == "AnyUp"][0]
    assert all(0 <= part <= 1 for part in best["marker"])
    found = client.predict(photo=photo, probe=PROBE, **shared, api_name="/probe")
    assert {p["column"] for p in found if p["legend"]} == {"Bilinear", "AnyUp"}
    for wrong in ({"row": 999, "col": 0}, {"row": -1, "col": 0}):
        with pytest.raises(Exception, match="must lie on the"):
            client.predict(photo=photo, **wrong, **shared, api_name="/attention")


@pytest.mark.browser
def test_the_class_under_the_crosshair_is_the_one_the_evaluation_predicts(
    address, visit, cat, tmp_path
):
    row = next(row for row in probe_rows() if row.name == PROBE)
    assert row in checkpoints()
    probe = load_probe(row, allow_network=False)
    model = Session("cpu").backbone("efficientnet_lite0")
    stage = EvalContext(model, FeatureCache(tmp_path), torch.device("cpu"), Sizes(128, 96))

    class Example:
        photo = staticmethod(lambda: cat)

    scene = stage.scene(Example)
    made = UPSAMPLERS.create("bilinear").prepare(scene.guidance, scene.features, scene.size)
    predicted = predict_together([probe], made)[0].values
    start = f"?example=cat&view=probe&probe={PROBE}&input_size=128&output_size=96"
    page = visit(address + start + "&upsamplers=bilinear,nearest", ready="#status .status")
    page.wait_for_selector(DONE, timeout=120_000)
    stage_box = page.locator("#grid .fx-table .fx-stage").last.bounding_box()
    height, width = scene.size
    for wanted in ((height // 4, width // 3), (height * 3 // 4, width * 2 // 3)):
        x = stage_box["x"] + stage_box["width"] * (wanted[1] + 0.5) / width
        y = stage_box["y"] + stage_box["height"] * (wanted[0] + 0.5) / height
        page.mouse.click(x, y)
        name = probe.classes.names[int(predicted[wanted])]
        page.wait_for_function(
            f"""[...document.querySelectorAll("#grid .fx-table > *")].some(
                e => e.innerText.includes("here") && e.innerText.includes({json.dumps(name)}))""",
            timeout=60_000,
        )
        page.wait_for_selector(DONE)


@pytest.mark.browser
def test_tabs_keep_their_names_and_the_link_opens_the_comparison(address, visit):
    start = "?example=cat&input_size=128&output_size=96&upsamplers=bilinear,jbu"
    page = visit(address + start, ready="#status .status")
    page.wait_for_selector(DONE, timeout=120_000)
    names = [tab.inner_text() for tab in page.get_by_role("tab").all()]
    page.get_by_role("tab", name="Compare").click()
    page.wait_for_selector("#apart .fx-stage", timeout=120_000)
    assert page.locator("#swipe .fx-handle").is_visible()
    assert [tab.inner_text() for tab in page.get_by_role("tab").all()] == names
    assert [name.lower() for name in names] == list(TABS_ON_SCREEN)
    page.wait_for_function(
        "document.querySelector('#permalink textarea, #permalink input').value.includes('tab=com')"
    )
    link = page.input_value("#permalink textarea, #permalink input")
    again = visit(address + link, ready="#apart .fx-stage")
    assert again.locator("#tabs [role=tab][aria-selected=true]").inner_text() == "Compare"
    assert again.input_value("#permalink textarea, #permalink input") == link


SEEN = """() => {
    const scroll = document.querySelector('#grid .fx-scroll');
    const boxes = [...document.querySelectorAll('#grid .fx-table .fx-stage')].map((stage) => {
        const { left, right, top, bottom } = stage.getBoundingClientRect();
        return [left, right, top, bottom];
    });
    return { over: scroll.scrollWidth - scroll.clientWidth, boxes, left: scrollX };
}"""


@pytest.mark.browser
@pytest.mark.parametrize(
    ("width", "height", "across", "share"),
    [(1366, 768, 3, 0.3), (1920, 1080, 3, 0.3), (820, 1180, 2, 0.3), (390, 844, 1, 0.2)],
)
def test_panels_of_one_backbone_are_wrapped_to_fill_the_window(
    address, visit, width, height, across, share
):
    query = "?example=coffee&input_size=64&output_size=96&upsamplers=nearest,bilinear,bicubic,jbu"
    size = {"viewport": {"width": width, "height": height}}
    page = visit(address + query, ready="#status .status.done", **size)
    page.wait_for_timeout(300)
    seen = page.evaluate(SEEN)
    assert seen["over"] <= 0 and len(seen["boxes"]) == 6
    assert len({round(top) for _, _, top, _ in seen["boxes"]}) == 6 / across
    assert all(0 <= left and right <= width for left, right, _, _ in seen["boxes"])
    shown = sum(
        (right - left) * max(0, min(bottom, height) - top)
        for left, right, top, bottom in seen["boxes"]
    )
    assert shown / (width * height) >= share
    page.set_viewport_size({"width": width, "height": height // 2})  # lower: more beside each other
    page.wait_for_timeout(500)
    again = page.evaluate(SEEN)
    assert again["boxes"][0][1] - again["boxes"][0][0] <= seen["boxes"][0][1] - seen["boxes"][0][0]
