"""The Export tab: fields and styles, what files carry, and the tab in a real browser."""

import io
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

gr = pytest.importorskip("gradio")

from explorer.__main__ import main  # noqa: E402
from explorer.access_policy import AccessPolicy  # noqa: E402
from explorer.core import ExplorerError, Panel  # noqa: E402
from explorer.figure import PRESETS, FigureStyle, Inset, figure_size, read_figure  # noqa: E402
from explorer.imaging import open_photo  # noqa: E402
from explorer.probes import Stroke  # noqa: E402
from explorer.reproduce import Shown, figure_recipe, restore  # noqa: E402
from explorer.session import Session  # noqa: E402
from explorer.ui.choices import example_photos  # noqa: E402
from explorer.ui.export_canvas import Drawn, read_drawn  # noqa: E402
from explorer.ui.export_fields import (  # noqa: E402
    AUTOMATIC,
    CUSTOM,
    NAMES,
    OF_DOCUMENT,
    read_style,
    values_of,
    without,
)
from explorer.ui.export_figure import (  # noqa: E402
    SCREEN_DPI,
    SCRIBBLE,
    Content,
    content,
    figure_file,
    file_name,
    preview_value,
    suiting,
    summary,
    views_of,
)
from explorer.ui.export_look import BOXES, DOCUMENT, PANELS, STYLE, SUGGEST, look  # noqa: E402
from explorer.ui.settings import Settings  # noqa: E402
from explorer.ui.tabs import export  # noqa: E402
from explorer.upsamplers import UPSAMPLERS  # noqa: E402

SMALL = Settings(upsamplers=("bilinear", "anyup"), input_size=128, output_size=96)
BOX = (0.25, 0.5, 0.5, 0.75)
STROKES = [
    Stroke("cup", (0, 114, 178), ((0.3, 0.4), (0.4, 0.55)), 0.05),
    Stroke("table", (230, 159, 0), ((0.1, 0.1), (0.3, 0.1)), 0.05),
]


@pytest.fixture(scope="module")
def session():
    return Session("cpu", allow_network=False, limits=AccessPolicy(trust_names=False))


@pytest.fixture(scope="module")
def options():
    return SMALL.options(open_photo(example_photos()["coffee"]))


@pytest.fixture(scope="module")
def shown(session, options):
    return content(session, options, views_of(SMALL, [], None, []))


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def fields(style=None, **changes):
    """The fields' values that show a style."""
    style = style or FigureStyle()
    kept = {"dpi": style.dpi, "theme": style.theme, "font": style.font, "names": ""}
    found = values_of(style) | kept | changes
    return [found[name] for name in NAMES]


def drawn(boxes=None):
    return Drawn(boxes, True, None, [])


# ---------------------------------------------------------------- fields and styles


@pytest.mark.parametrize("name", PRESETS)
def test_the_fields_show_all_of_a_preset(name, shown):
    style = PRESETS[name](shown.panels)
    assert read_style(fields(style), [inset.box for inset in style.insets]) == style


def test_fields_that_make_no_style_are_one_sentence():
    assert read_style(fields(width_in="5 in"), []).width_in == 5
    assert read_style(fields(width_in="4,5"), []).width_in == 4.5
    assert read_style(fields(names="Joint bilateral = JBU\n\nAnyUp="), []).names == (
        ("Joint bilateral", "JBU"),
        ("AnyUp", ""),
    )
    for values, said in (
        (fields(width_in="wide"), "number of inches such as 3.25, not 'wide'"),
        (fields(width_in="400"), "between 1 and 40 inches"),
        (fields(dpi=None), "dpi must be between 50 and 1200"),
        (fields(names="no equals sign"), "OLD = NEW"),
        (fields(theme="<b>"), "theme must be one of"),
    ):
        with pytest.raises(ExplorerError, match=said):
            read_style(values, [])
    kept, said = without(fields(columns=["AnyUp", "JAFAR"]), {"columns": ["Photo", "AnyUp"]})
    assert kept[NAMES.index("columns")] == ["AnyUp"] and "JAFAR" in said


def test_what_a_browser_sends_is_not_trusted():
    assert read_drawn(None) == Drawn(None, False, None, [])
    assert read_drawn({"boxes": [list(BOX)], "visible": True}).boxes == (BOX,)
    for bad in ("x", [[0, 1]], [["a", 1, 0, 1]], [[0, 2, 0, 1]], [[0.5, 0.5, 0, 1]], [{}]):
        with pytest.raises(ExplorerError, match="box"):
            read_drawn({"boxes": bad})
    with pytest.raises(ExplorerError, match="stroke"):
        read_drawn({"strokes": [1]})


def test_a_preset_holds_until_something_of_it_is_changed(shown):
    suits = "method comparison with insets"
    plain = fields(dpi=150, theme="dark")
    first = look(PANELS, AUTOMATIC, plain, drawn(), shown, suits)
    assert first.preset == AUTOMATIC and first.note.startswith("automatic: method comparison")
    assert (first.style.dpi, first.style.theme) == (150, "dark")  # no preset decides these
    assert first.boxes == first.style.insets and len(first.boxes) == 2
    assert not set(first.updates) & set(OF_DOCUMENT)
    again = look(DOCUMENT, "teaser strip", plain, drawn((BOX,)), shown, suits)
    assert again.preset == "teaser strip" and not again.style.insets and again.boxes is None
    own = look(STYLE, AUTOMATIC, fields(metrics=False), drawn((BOX,)), shown, suits)
    assert own.preset == CUSTOM and own.boxes is None and not own.style.insets
    boxed = look(BOXES, AUTOMATIC, fields(), drawn((BOX,)), shown, suits)
    assert [inset.box for inset in boxed.style.insets] == [BOX]
    assert "Zoom boxes" in boxed.updates["flags"]
    emptied = look(BOXES, CUSTOM, fields(), drawn(()), shown, suits)
    assert not emptied.style.insets and "flags" not in emptied.updates
    asked = look(SUGGEST, CUSTOM, fields(), drawn((BOX,)), shown, suits)
    assert [i.box for i in asked.style.insets] == [i.box for i in asked.boxes] != [BOX]


# ---------------------------------------------------------------- what a figure shows and carries


def test_views_become_what_a_recipe_holds(session, options):
    assert [one.name for one in views_of(SMALL, [], None, [])] == ["pca"]
    (probe,) = views_of(SMALL, ["probe"], None, [])
    assert probe.view["shares"] is False
    with pytest.raises(ExplorerError, match="paint some"):
        views_of(SMALL, [SCRIBBLE], None, [])
    views = views_of(SMALL, ["pca", SCRIBBLE], None, STROKES)
    made = content(session, options, views)
    rows = made.names()["rows"]
    assert len(rows) == 2 and rows[0].endswith("PCA") and rows[1].endswith("Probes")
    assert [e["name"] for e in made.recipe["views"]] == ["pca", "probe"]
    assert len(made.recipe["views"][1]["options"]["strokes"]) == 2
    legend = {name for panel in made.panels for name, _ in panel.legend}
    assert legend == {"cup", "table"}
    assert suiting(views, options) == suiting(views[1:], options) == "probe figure"
    assert suiting(views[:1], options) == "method comparison with insets"
    two = replace(options, backbones=("efficientnet_lite0", "efficientnet_lite1"))
    assert suiting(views[:1], two) == "backbone grid"


def test_files_carry_the_recipe_and_the_preview_is_what_render_makes(session, options, shown):
    views = views_of(SMALL, [], None, [])
    style = read_style(fields(FigureStyle(insets=(Inset(BOX),))), [BOX])
    for kind in ("png", "pdf", "svg"):
        data = figure_file(shown, style, kind)
        found = read_figure(data)
        assert found["recipe"] == figure_recipe(session, options, views)
        assert FigureStyle.from_dict(found["style"]) == style
    back = restore(found, options.photo, session)
    assert back.remarks == () and back.style == style
    value = preview_value(shown, style)
    image = Image.open(value["image"]["path"])
    width, height = figure_size(shown.panels, replace(style, dpi=SCREEN_DPI))
    assert image.size == (round(width * SCREEN_DPI), round(height * SCREEN_DPI))
    with zipfile.ZipFile(io.BytesIO(figure_file(shown, style, "zip"))) as archive:
        names = archive.namelist()
    assert "figure.tex" in names and sum(name.endswith(".png") for name in names) == 4
    assert "wimmer2025anyup" in figure_file(shown, style, "bib").decode()
    only = replace(style, columns=("Photo", "Coarse", "Bilinear"))
    assert "wimmer2025anyup" not in figure_file(shown, only, "bib").decode()
    assert file_name(options.photo, views, "pdf") == "coffee_pca.pdf"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["png", "zip"])
def test_a_figure_with_a_failed_panel_is_made_again(session, tmp_path, monkeypatch, capsys, kind):
    photo, out = example_photos()["coffee"], tmp_path / f"b.{kind}"
    options = replace(SMALL, upsamplers=("nearest", "jbu")).options(open_photo(photo))
    again = ["figure", "--recipe", str(tmp_path / f"a.{kind}"), "--photo", str(photo)]
    again += ["--out", str(out), "--device", "cpu", "--force"]

    def fail(patch, name, words):
        def prepare(*_, **__):
            raise ExplorerError(words)

        patch.setattr(UPSAMPLERS.get(name), "prepare", prepare)

    with monkeypatch.context() as patch:
        fail(patch, "jbu", "JBU has no luck today")
        made = content(session, options, views_of(SMALL, [], None, []))
        first = figure_file(made, FigureStyle(dpi=60, metrics=False), kind)
        (tmp_path / f"a.{kind}").write_bytes(first)
        assert main(again) == 0
        assert "Joint bilateral, as in the figure: JBU has no luck today" in capsys.readouterr().err
        assert out.read_bytes() == first
        fail(patch, "jbu", "another reason")
        assert main(again) == 0
        assert "then: JBU has no luck today; now: another reason" in capsys.readouterr().err
    assert main(again) == 0
    said = capsys.readouterr().err
    assert "Joint bilateral has a picture now and had none then: JBU has no luck" in said
    assert out.read_bytes() != first
    fail(monkeypatch, "nearest", "no luck either")
    out.unlink()
    assert main(again) == 2 and not out.exists()
    assert "Nearest: no luck either" in capsys.readouterr().err


def test_a_redraw_leaves_alone_what_it_would_not_change(shown):
    before = dict(zip(NAMES, fields(width_in="5 in"), strict=True))
    first = look(PANELS, AUTOMATIC, list(before.values()), drawn(), shown, "teaser strip")
    assert first.updates["width_in"] == "6.75 (double)"
    now = before | {n: v for n, v in first.updates.items() if n not in ("rows", "columns")}
    again = look(PANELS, AUTOMATIC, list(now.values()), drawn(), shown, "teaser strip")
    assert set(again.updates) <= {"rows", "columns"}  # what is being typed meanwhile stays


def test_what_a_reviewer_would_remark_on_is_said(shown):
    picture = np.zeros((8, 8, 3), np.uint8)
    legend = (("red", (200, 60, 60)), ("green", (110, 120, 50)))
    panels = (
        Panel("row", "fine", picture, legend=legend),
        Panel("row", "broken", picture, error="the weights are missing"),
    )
    said = summary(Content(panels, {}), FigureStyle(names=(("fine", "\u7279"),)))
    assert "no picture of broken, row: the weights are missing" in said
    assert "red and green look alike to readers with deuteranopia" in said
    assert "no font here can print" in said
    assert "·" not in summary(shown, FigureStyle())


def test_weights_by_path_are_refused_before_anything_reads_the_file(session, options, tmp_path):
    secret = tmp_path / "secret.safetensors"
    secret.write_text("secret")
    asked = replace(options, checkpoints={"anyup": str(secret)})
    with pytest.raises(ExplorerError, match="no weights called"):
        content(session, asked, [Shown("pca", {})])


def test_panels_with_an_error_are_not_kept(session, options):
    asked = replace(options, upsamplers=("bilinear", "nonesuch"))
    before = len(session.results)
    made = content(session, asked, [Shown("similarity", {})])
    assert any(panel.error for panel in made.panels)
    key = [k for k in session.results._entries if k[0] == "figure" and "nonesuch" in k[1]]
    assert key == [] and len(session.results) >= before


# ---------------------------------------------------------------- the page


@pytest.mark.slow
def test_the_endpoint_gives_a_file_with_its_recipe(address, session, options):
    from gradio_client import Client, handle_file

    client = Client(address, verbose=False)
    photo = handle_file(str(example_photos()["coffee"]))
    settings = {"upsamplers": list(SMALL.upsamplers), "input_size": 128, "output_size": 96}
    made = client.predict(
        photo=photo,
        view="attention",
        query=[40, 48],
        preset="attention figure",
        width=3.25,
        format="svg",
        api_name="/figure",
        **settings,
    )
    found = read_figure(made)
    assert found["style"]["width_in"] == 3.25
    asked = replace(options.with_query((40, 48)), view={})
    assert found["recipe"] == figure_recipe(session, asked, [Shown("attention", {})])
    for wrong, said in (
        ({"preset": "nonesuch"}, "teaser strip"),
        ({"format": "jpg"}, "png, pdf, svg, zip, bib"),
        ({"query": [40]}, r"\[row, col\]"),
        ({"width": 100.0}, "between 1 and 40 inches"),
    ):
        with pytest.raises(Exception, match=said):
            client.predict(photo=photo, api_name="/figure", **settings, **wrong)


DONE = "#export-status .status.done"
QUERY = "?example=coffee&input_size=128&output_size=96&upsamplers=bilinear,anyup"


@pytest.fixture
def page(address, visit):
    opened = visit(address + QUERY, ready="#status .status")
    opened.wait_for_selector("#status .status.done")
    opened.get_by_role("tab", name="Export").click()
    opened.wait_for_selector(DONE)
    return opened


def settled(page, act):
    """Do something and wait until the preview shows it."""
    before = page.get_attribute("#export-preview img", "src")
    act()
    page.wait_for_function(
        "b => document.querySelector('#export-preview img').getAttribute('src') !== b "
        "&& document.querySelector('#export-status .status.done')",
        arg=before,
    )


def quiet(page, seconds=1.5):
    """Wait until no redraw has begun for a while: opening the page asks for several."""
    page.evaluate(
        """() => {
            const see = () => {
                const working = document.querySelector("#export-status .status.work");
                if (working) window.worked = Date.now();
            };
            window.worked = Date.now();
            new MutationObserver(see).observe(document.querySelector("#export-status"), {
                subtree: true, childList: true, attributes: true, characterData: true,
            });
        }"""
    )
    page.wait_for_function(
        "ms => Date.now() - window.worked > ms "
        "&& document.querySelector('#export-status .status.done')",
        arg=1000 * seconds,
    )


def resting(page, stage):
    """Wait until previews have stopped pushing the stage around; return its box."""
    box, before = stage.bounding_box(), None
    while box != before:
        page.wait_for_timeout(400)
        box, before = stage.bounding_box(), box
    return box


def drag(page, start, end, meanwhile="0"):
    """Drag between two (row, column) fractions of the stage; run a script half-way."""
    stage = page.locator("#export-boxes .ex-stage")
    stage.scroll_into_view_if_needed()
    box = resting(page, stage)
    points = [(box["x"] + c * box["width"], box["y"] + r * box["height"]) for r, c in (start, end)]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.evaluate(meanwhile)
    page.mouse.move(*points[1], steps=4)
    page.mouse.up()


def downloaded(page, kind, path):
    with page.expect_download() as waiting:
        page.click(f"#export-{kind}")
    waiting.value.save_as(path)
    assert waiting.value.suggested_filename == f"coffee_pca.{kind}"
    return path.read_bytes()


def close(found, wanted):
    """Whether the only inset lies within 2 pixels of where it was drawn."""
    (inset,) = found["style"]["insets"]
    pairs = enumerate(zip(inset["box"], wanted, strict=True))
    return all(abs(got - want) * (64 if side < 2 else 96) <= 2 for side, (got, want) in pairs)


@pytest.mark.browser
def test_draw_a_box_and_download_every_kind_of_file(page, tmp_path):
    quiet(page)
    assert "automatic: method comparison" in page.inner_text("#export-status")
    boxes = page.locator("#export-boxes .ex-box")
    assert boxes.count() == 2

    def teaser():
        page.click("#export-preset input")
        page.get_by_role("option", name="Teaser strip").click()

    settled(page, teaser)
    assert boxes.count() == 2  # kept, though this preset enlarges nothing
    assert "Not in the figure" in page.inner_text("#export-boxes .ex-readout")
    boxes.first.focus()
    page.keyboard.press("Delete")
    page.keyboard.press("Delete")
    page.wait_for_function("document.querySelector('#export-preset input').value === 'Custom'")
    assert boxes.count() == 0
    start, end = (0.3, 0.35), (0.62, 0.8)
    settled(page, lambda: drag(page, start, end))
    taller = "document.querySelector('#export-preview').style.paddingTop = '90px'"
    # Inside the box: it moves, also when the preview above grows under the pointer.
    settled(page, lambda: drag(page, (0.4, 0.5), (0.5, 0.55), taller))
    wanted = (0.4, 0.72, 0.4, 0.85)
    assert page.get_by_label("Zoom boxes").is_checked()
    for _ in range(20):  # a preview that was under way may have come before the last drag's
        found = read_figure(downloaded(page, "png", tmp_path / "early.png"))
        if found["style"]["insets"] and close(found, wanted):
            break
        page.wait_for_timeout(500)
    for kind in ("png", "pdf", "svg"):
        found = read_figure(downloaded(page, kind, tmp_path / f"figure.{kind}"))
        assert close(found, wanted), found["style"]["insets"]
        assert found["recipe"]["photo"]["name"] == "coffee.jpg"
        assert found["recipe"]["views"][0]["name"] == "pca"
    assert zipfile.is_zipfile(io.BytesIO(downloaded(page, "zip", tmp_path / "panels.zip")))
    assert b"wimmer2025anyup" in downloaded(page, "bib", tmp_path / "cited.bib")


@pytest.mark.browser
def test_an_error_is_said_and_the_preview_stays(page, monkeypatch):
    def slowly(*given):
        time.sleep(3.0)  # longer than a busy machine takes to type
        return content(*given)

    quiet(page)
    monkeypatch.setattr(export, "content", slowly)
    before = page.get_attribute("#export-preview img", "src")
    width = page.locator("#export-width input")
    page.get_by_role("checkbox", name="Nearest").click()
    page.wait_for_selector("#export-status .status.work")  # a redraw is under way
    width.fill("very wide")
    width.press("Enter")
    page.wait_for_selector("#export-status .status.error")
    assert "a number of inches such as 3.25" in page.inner_text("#export-status")
    assert width.input_value() == "very wide"
    shown = page.get_attribute("#export-preview img", "src")
    assert shown != before  # the redraw was asked first
    page.get_by_role("checkbox", name="Nearest").click()
    page.wait_for_selector("#export-status .status.work")
    page.wait_for_selector("#export-status .status.error")
    assert width.input_value() == "very wide"  # no preset took it away
    assert page.get_attribute("#export-preview img", "src") == shown

    def narrow():
        width.fill("3.25")
        width.press("Enter")

    settled(page, narrow)
    assert "3.25 × " in page.inner_text("#export-status")
