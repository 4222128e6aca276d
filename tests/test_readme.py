"""What the README tells people to type is typed here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from documents import DOCUMENTS, ROOT, blocks, commands
from PIL import Image
from plugins import contract_tests, plugged_in

from explorer import upsamplers
from explorer.__main__ import build_parser, main
from explorer.figure import read_recipe
from explorer.upsamplers import UPSAMPLERS, LinearResampler, Upsampler

CONTRACT = Path(__file__).parent / "upsamplers" / "test_contract.py"
README = DOCUMENTS[0]
SMALL = ["--input-size", "128", "--output-size", "96"]  # a test has less time than a reader
HOURS = ("train", "bench")  # these are only parsed
TRIED = ("load_file", "gradio_client", "load_backbone", "figure_panels", "@UPSAMPLERS.register")
ELSEWHERE = ("@VIEWS.register",)  # tests/views/test_view_plugins.py


def snippets(*marks: str) -> list[str]:
    """The Python blocks that mention one of the marks, in the README's order."""
    return [code for code in blocks(README, "python") if any(mark in code for mark in marks)]


def test_every_python_block_is_run_by_a_test():
    assert len(blocks(README, "python")) == len(TRIED + ELSEWHERE)
    assert all(len(snippets(mark)) == 1 for mark in TRIED + ELSEWHERE)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the files that the README speaks of."""
    folder = tmp_path_factory.mktemp("reader")
    photos = folder / "photos"
    photos.mkdir()
    for name in ("coffee", "cat"):
        with Image.open(ROOT / "assets" / "examples" / f"{name}.jpg") as photo:
            photo.resize((240, 160)).save(photos / f"{name}.jpg")
    (folder / "photo.jpg").write_bytes((photos / "coffee.jpg").read_bytes())
    (folder / "assets").symlink_to(ROOT / "assets")
    return folder


@pytest.fixture(scope="module")
def typed(place):
    """The commands, run in the README's order; what each one returned."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for words in commands(README):
            if words[0] in HOURS:
                build_parser().parse_args(words)
                continue
            own = words[0] in ("figure", "features") and "--recipe" not in words
            found[" ".join(words)] = main(words + (SMALL if own else []))
    return found


@pytest.mark.slow
def test_every_command_works(typed):
    assert len(typed) >= 6 and set(typed.values()) == {0}, typed
    assert {line.split()[0] for line in typed} == {"figure", "features", "list", "weights"}


def test_the_commands_do_what_is_said(typed, place):
    assert (place / "again.pdf").read_bytes() == (place / "figure.pdf").read_bytes()
    assert sorted(path.name for path in (place / "figures").iterdir()) == ["cat.pdf", "coffee.pdf"]
    assert read_recipe(place / "figures" / "cat.pdf")["preset"]["name"].startswith("method comp")


def test_the_features_can_be_read(typed, place, monkeypatch):
    (code,) = snippets("load_file")
    monkeypatch.chdir(place)
    names: dict = {}
    exec(code, names)
    assert names["features"].shape == (192, 64, 96) and str(names["features"].dtype).endswith("16")


@pytest.mark.slow
def test_the_python_examples_run(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    code = snippets("load_backbone", "figure_panels")
    assert len(code) == 2
    names: dict = {}
    for block in code:  # the second one goes on with the first one's names
        exec(block, names)
    assert names["logits"].shape == (1, 13, 304, 448)
    assert names["features"].data.shape == (1, 192, 19, 28)
    assert names["rows"].shape == (1, 192, 32, 448)
    assert names["attention"].weights.shape == (19, 28)
    assert abs(names["attention"].weights.sum().item() - 1) < 1e-4
    assert capsys.readouterr().out.startswith("trained here")
    recipe = read_recipe(place / "views.pdf")
    assert [view["name"] for view in recipe["views"]] == ["pca", "attention"]
    assert recipe["views"][1]["options"] == {"head": 0}


@pytest.fixture
def mine(tmp_path):
    """The upsampler to start from: one new file, and no other line, as the README says."""
    (code,) = snippets("@UPSAMPLERS.register")
    with plugged_in(UPSAMPLERS, upsamplers, tmp_path, "mine", code) as module:
        yield module


def test_the_upsampler_to_start_from_makes_a_figure(mine, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    assert main(["list", "upsamplers"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "2601.00001" in line]
    assert "One sentence" in line and "training-free" in line
    views = "pca,reach,similarity,difference"
    words = ["figure", "photo.jpg", "--upsamplers", "bilinear,mine", "--views", views]
    assert main([*words, "--out", "mine.png", *SMALL]) == 0
    assert read_recipe(place / "mine.png")["upsamplers"] == ["bilinear", "mine"]
    with Image.open(place / "mine.png") as picture:
        assert np.asarray(picture.convert("RGB")).std() > 10


def test_the_upsampler_to_start_from_keeps_every_promise(mine):
    """Among them those of linear and of convex methods."""
    assert issubclass(mine.Mine, Upsampler) and issubclass(mine.MyResampler, LinearResampler)
    tried = {test.__name__: test(**given) for test, given in contract_tests(CONTRACT, "mine")}
    assert {"test_convex_methods_stay_within_the_cells", "test_batches_do_not_mix"} <= set(tried)
    assert len(tried) >= 18


@pytest.mark.slow
def test_the_upsampler_to_start_from_is_on_the_page(mine):
    from explorer.session import Session
    from explorer.ui.choices import upsampler_choices
    from explorer.ui.layout import build

    assert ("Mine", "mine") in upsampler_choices()
    menus = [part["props"].get("choices") for part in build(Session("cpu")).config["components"]]
    assert any(["Mine", "mine"] in [list(choice) for choice in menu] for menu in menus if menu)


@pytest.fixture(scope="module")
def address(serve):
    """The app, served on a free port."""
    pytest.importorskip("gradio")
    from explorer.session import Session
    from explorer.ui.layout import build

    return serve(build(Session("cpu"))).rstrip("/")


def talk(address, place, monkeypatch, methods='["bilinear", "anyup"]'):
    """Run the client's example, with other upsamplers if any are named; return its variables."""
    (code,) = snippets("gradio_client")
    assert code.count("http://127.0.0.1:7860") == 1 and code.count("    api_name=") == 1
    assert code.count('["bilinear", "anyup"]') == 1
    code = code.replace("http://127.0.0.1:7860", address)
    code = code.replace("    api_name=", "    input_size=128, output_size=96, api_name=")
    monkeypatch.chdir(place)
    names: dict = {}
    exec(code.replace('["bilinear", "anyup"]', methods), names)
    return names


@pytest.mark.slow
def test_the_api_knows_the_upsampler_to_start_from(address, mine, place, monkeypatch):
    names = talk(address, place, monkeypatch, '["bilinear", "mine"]')
    assert [panel["column"] for panel in names["panels"]] == ["Photo", "Coarse", "Bilinear", "Mine"]
    assert all(panel["error"] is None for panel in names["panels"])


def test_the_client_example_talks_to_the_app(address, place, monkeypatch, capsys):
    names = talk(address, place, monkeypatch)
    columns = [panel["column"] for panel in names["panels"]]
    assert columns == ["Photo", "Coarse", "Bilinear", "AnyUp"]
    assert all(panel["error"] is None for panel in names["panels"])
    pictures = [np.asarray(Image.open(_file(panel["image"]))) for panel in names["panels"]]
    assert pictures[0].shape == pictures[3].shape == (64, 96, 3)
    assert pictures[2].std() > 10 and not np.array_equal(pictures[2], pictures[3])
    assert "AnyUp trained here" in capsys.readouterr().out


def _file(image):
    return image["path"] if isinstance(image, dict) else image
