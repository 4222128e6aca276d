"""The whole page in a real browser, and its endpoint through gradio_client."""

import io

import numpy as np
import pytest
from PIL import Image

gr = pytest.importorskip("gradio")

from explorer.imaging import open_photo  # noqa: E402
from explorer.session import Options  # noqa: E402
from explorer.ui import view_bar  # noqa: E402
from explorer.ui.choices import (  # noqa: E402
    backbone_choices,
    example_photos,
    upsampler_choices,
)
from explorer.ui.settings import Settings, is_link  # noqa: E402
from explorer.views import VIEWS  # noqa: E402

SMALL = "?example=cat&input_size=128&output_size=112&upsamplers=nearest,bilinear,jbu,anyup"
DONE = "#status .status.done"
WATCH = """() => {
  const status = document.querySelector("#status");
  const kind = () => status.querySelector(".status").className.split(" ").pop();
  window.kinds = [kind()];
  const note = () => window.kinds.push(kind());
  new MutationObserver(note).observe(status, {subtree: true, childList: true, attributes: true});
}"""


@pytest.fixture
def client(address):
    from gradio_client import Client

    return Client(address, verbose=False)


def expected(session, photo, methods, **sizes):
    options = Options(photo, upsamplers=methods, **sizes)
    return {p.column: p for p in VIEWS.create("pca").render(session, options)}


@pytest.mark.browser
def test_the_default_example_is_on_screen_without_a_click(address, visit):
    page = visit(address + SMALL, ready="#status .status")
    page.evaluate(WATCH)
    page.wait_for_selector(DONE, timeout=120_000)
    page.wait_for_timeout(3000)  # a link being opened tells one change several times
    kinds = page.evaluate("window.kinds")
    assert "work" not in kinds[kinds.index("done") :], "the same panels were made again"
    columns = page.locator(".fx").inner_text()
    for title in ("Photo", "Coarse", "Nearest", "Bilinear", "Joint bilateral", "AnyUp"):
        assert title in columns
    assert "6 panels at 75×112" in page.inner_text("#status")
    link = page.input_value("#permalink input, #permalink textarea")
    assert "example=cat" in link and "output_size=112" in link


@pytest.mark.browser
def test_uploading_a_photo_and_things_that_are_none(address, visit, tmp_path):
    page = visit(address + SMALL, ready="#status .status")
    page.wait_for_selector(DONE, timeout=120_000)
    bad = tmp_path / "text.jpg"
    bad.write_text("this is no photo")
    upload = page.locator("#photo input[type=file]")
    page.locator("#photo [aria-label='Remove Image']").click()
    page.wait_for_selector("#status .status.error")
    assert "choose a photo" in page.inner_text("#status")
    upload.first.set_input_files(str(bad))
    page.wait_for_function(
        "document.querySelector('#status').innerText.includes('text.jpg')", timeout=60_000
    )
    assert "Traceback" not in page.content()
    page.complaints.clear()  # the browser could not show the file either, and says so
    page.locator("#photo [aria-label='Remove Image']").click()
    page.wait_for_function("document.querySelector('#status').innerText.includes('choose')")
    good = tmp_path / "tall.png"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (90, 60, 3), dtype=np.uint8)).save(good)
    upload.first.set_input_files(str(good))
    page.wait_for_function(
        "document.querySelector('#status').innerText.includes('112×75')", timeout=120_000
    )


@pytest.mark.browser
def test_a_photo_taken_away_and_chosen_again_is_shown_again(address, visit):
    page = visit(address + SMALL, ready="#status .status")
    page.wait_for_selector(DONE, timeout=120_000)
    page.locator("#photo [aria-label='Remove Image']").click()
    page.wait_for_selector("#status .status.error")
    cat = list(example_photos()).index("cat")
    page.locator("#examples button").nth(cat).click()
    page.wait_for_selector(DONE, timeout=120_000)


@pytest.mark.browser
def test_what_strangers_write_is_shown_as_text(address, visit):
    evil = "<img src=x onerror=window.hacked=1>${window.hacked=2}{{x}}"
    from urllib.parse import quote

    page = visit(
        address
        + "?example=cat&upsamplers=nearest&input_size=64&output_size=64&backbones="
        + quote(evil),
        ready="#status .status",
    )
    page.wait_for_function("document.body.innerText.includes('hacked=2')", timeout=120_000)
    assert page.evaluate("window.hacked") is None
    assert "<img src=x" in page.inner_text("body")


@pytest.mark.browser
def test_a_click_in_one_panel_changes_every_panel_and_the_link_restores_it(address, visit):
    start = "?example=cat&view=attention&input_size=128&output_size=96&upsamplers=bilinear,anyup"
    page = visit(address + start, ready="#status .status")
    page.wait_for_selector(DONE, timeout=120_000)
    assert "row 32, column 48" in page.inner_text(".fx")
    stages = page.locator("#grid .fx-table .fx-stage")
    stages.last.scroll_into_view_if_needed()
    box = stages.last.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.75)
    page.wait_for_function(
        "document.querySelector('.fx').innerText.includes('column 24')", timeout=60_000
    )
    assert "row 48, column 24" in page.inner_text(".fx") or "row 47, column 24" in page.inner_text(
        ".fx"
    )
    link = page.input_value("#permalink input, #permalink textarea")
    again = visit(address + link, ready="#status .status")
    again.wait_for_selector(DONE, timeout=120_000)
    assert again.inner_text("#grid .fx-table") == page.inner_text("#grid .fx-table")


@pytest.mark.slow
def test_the_endpoint_gives_the_same_panels(client, session):
    from gradio_client import handle_file

    path = example_photos()["cat"]
    found = client.predict(
        photo=handle_file(str(path)),
        backbones=["efficientnet_lite0"],
        upsamplers=["bilinear", "anyup"],
        input_size=128,
        output_size=96,
        api_name="/explore",
    )
    wanted = expected(
        session, open_photo(path), ("bilinear", "anyup"), input_size=128, output_size=96
    )
    assert [panel["column"] for panel in found] == list(wanted)
    for panel in found:
        image = np.asarray(Image.open(panel["image"]))
        assert np.array_equal(image, wanted[panel["column"]].image), panel["column"]
    assert found[-1]["origin"] and found[-1]["recipe"]["upsampler"]["name"] == "anyup"


def upload(tmp_path, name, image, **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


def bad_files(tmp_path):
    text = tmp_path / "text.jpg"
    text.write_text("not a photo")
    whole = io.BytesIO()
    Image.new("RGB", (200, 200), "red").save(whole, "JPEG")
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    return text, cut


@pytest.mark.slow
def test_bad_input_is_one_sentence_and_the_server_goes_on(client, tmp_path):
    from gradio_client import handle_file
    from gradio_client.exceptions import AppError

    good = handle_file(str(example_photos()["cat"]))
    small = {"upsamplers": ["nearest"], "input_size": 64, "output_size": 64}

    def ask(**changes):
        settings = {"photo": good, "backbones": ["efficientnet_lite0"]} | small | changes
        return client.predict(api_name="/explore", **settings)

    huge = tmp_path / "huge.png"
    Image.new("1", (20000, 20000)).save(huge)
    cases = [{"photo": handle_file(str(path))} for path in (*bad_files(tmp_path), huge)]
    cases += [{"upsamplers": []}, {"components": "x"}, {"input_size": 1}, {"percentile": 80.0}]
    cases += [{"backbones": []}]
    for case in cases:
        with pytest.raises(AppError) as caught:
            ask(**case)
        sentence = str(caught.value)
        assert 10 < len(sentence) < 400 and "Traceback" not in sentence, case
        assert "/tmp" not in sentence
    unknown = ask(backbones=["resnet_of_doom"])
    assert "resnet_of_doom" in unknown[-1]["error"]
    values = (np.arange(6400).reshape(80, 80) * 10).astype(np.uint16)
    deep = upload(tmp_path, "deep.tif", Image.fromarray(values))
    dot = upload(tmp_path, "dot.png", Image.new("RGB", (1, 1), "blue"))
    for path in (deep, dot):
        panels = ask(photo=handle_file(str(path)))
        assert all(panel["error"] is None for panel in panels), path.name
    assert len(ask()) == 3


def test_settings_survive_the_address_bar():
    chosen = Settings(
        example="cat",
        tab="export",
        view="attention",
        backbones=("efficientnet_lite1", "efficientnet_lite0:multi"),
        upsamplers=("nearest", "jafar"),
        input_size=320,
        output_size=200,
        components="4-6",
        percentile=2.5,
        head="2",
        window="0.2",
        threshold=0.5,
        query=(0.25, 0.5),
        checkpoints={"jafar": "untrained"},
    )
    assert Settings.parse(chosen.query_string()) == chosen
    assert Settings().query_string() == "v=2&align=1"
    assert not Settings.parse("v=2").align and not Settings.parse("example=cat").align
    assert is_link({"example": "cat"}) and not is_link({"__theme": "dark"})  # a host's own key
    odd = "v=2&align=1&input_size=abc&percentile=&components=9-11&nonsense=1&upsamplers=&tab=x"
    assert Settings.parse(odd) == Settings()


def test_the_menu_of_heads_counts_as_captions_do():
    with gr.Blocks():
        fields, _ = view_bar.build(Settings())
    titles = fields["head"].choices
    assert ("mean", "mean") in titles and ("5", "4") in titles
    assert all(int(title) == int(value) + 1 for title, value in titles if value != "mean")


def test_menus_say_what_is_usable(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    there, missing = backbone_choices()
    names = [name for _, name in there]
    assert {"efficientnet_lite0", "efficientnet_lite2", "efficientnet_lite0:multi"} <= set(names)
    assert len(missing) + len([n for n in names if ":" not in n]) >= 16
    labels = dict((name, label) for label, name in upsampler_choices())
    assert labels["bilinear"] == "Bilinear"


@pytest.mark.browser
def test_rapid_clicks_and_held_arrow_keys_all_arrive(address, visit):
    start = "?example=cat&view=attention&input_size=128&output_size=96&upsamplers=bilinear,anyup"
    page = visit(address + start, ready="#status .status")
    page.wait_for_selector(DONE, timeout=120_000)
    stage = page.locator("#grid .fx-table .fx-stage").last
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    page.evaluate("""() => {
        const root = document.querySelector('#grid .fx');
        window.blank = 0;
        new MutationObserver(() => {
            window.blank += root.querySelectorAll('.fx-blank').length;
        }).observe(root, { subtree: true, attributes: true, attributeFilter: ['class'] });
    }""")
    arrived = 0
    for number in range(20):
        share = 0.1 + 0.04 * number
        page.mouse.click(box["x"] + box["width"] * share, box["y"] + box["height"] * 0.5)
        picked = page.evaluate("document.querySelector('#grid .fx').picked")
        arrived += abs(picked["col"] - share) < 0.02
        page.wait_for_timeout(230)
    assert arrived == 20 and page.evaluate("window.blank") == 0
    before = page.evaluate("document.querySelector('#grid .fx').picked.col")
    for _ in range(60):
        page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(20)
    after = page.evaluate("document.querySelector('#grid .fx').picked.col")
    assert round((before - after) * 96) == 60
    column = int(after * 96)
    page.wait_for_function(
        f"document.querySelector('#grid .fx-table').innerText.includes('column {column}')"
    )
    page.wait_for_selector(DONE)
    assert page.locator("#grid .fx-busy, #grid .fx-blank").count() == 0
