"""Figures again from their recipe, and many figures in one run."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

import explorer.loading
import explorer.reproduce.recipe
from explorer.__main__ import main
from explorer.cli.batch import find_photos, output_names
from explorer.figure import read_figure, read_recipe, render
from explorer.imaging import open_photo
from explorer.reproduce import open_figure
from explorer.upsamplers import UPSAMPLERS
from explorer.weights import checkpoint

ROOT = Path(__file__).parents[2]
SMALL = ["--input-size", "96", "--output-size", "72", "--dpi", "60", "--device", "cpu"]
KINDS = ("png", "pdf", "svg", "zip")


def picture(path, seed=2, sides=(4, 6)):
    blocks = np.random.default_rng(seed).integers(0, 255, (*sides, 3), dtype=np.uint8)
    Image.fromarray(blocks.repeat(24, 0).repeat(24, 1)).save(path)
    return path


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    return picture(tmp_path_factory.mktemp("photos") / "small photo.png")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return picture(tmp_path_factory.mktemp("others") / "other.png", seed=3)


def figure(*arguments):
    return main(["figure", *map(str, arguments)])


def fresh(photo, out, *more, upsamplers="nearest,anyup"):
    return figure(photo, *SMALL, "--upsamplers", upsamplers, "--out", out, *more)


def again(recipe, photo, out, *more):
    return figure("--recipe", recipe, "--photo", photo, "--out", out, "--device", "cpu", *more)


def pixels(path):
    """The picture in a figure file, as an array."""
    if path.suffix == ".pdf":
        made = path.with_name(f"{path.stem}-page")
        subprocess.run(["pdftoppm", "-r", "72", "-png", "-singlefile", path, made], check=True)
        path = made.with_suffix(".png")
    return np.asarray(Image.open(path))


# --- the same again ---


@pytest.fixture(scope="module")
def originals(photo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    more = ["--views", "pca,attention", "--query", "10,20", "--view-option", "head=1"]
    more += ["--inset", "0.1,0.5,0.2,0.6", "--theme", "dark", "--captions"]
    for kind in KINDS:
        assert fresh(photo, folder / f"figure.{kind}", *more) == 0
    return folder


@pytest.fixture(scope="module")
def copies(originals, photo, tmp_path_factory):
    """The same figures, made in another process and another working directory."""
    folder = tmp_path_factory.mktemp("elsewhere")
    moved = shutil.copy(photo, folder / "renamed.png")
    code = (
        "import sys; from explorer.__main__ import main\n"
        "for kind in sys.argv[1:]:\n"
        "    assert main(['figure', '--recipe', f'given/figure.{kind}', '--photo', 'renamed.png',"
        " '--device', 'cpu', '--out', f'again.{kind}']) == 0\n"
        "assert main(['figure', '--recipe', 'given/figure.pdf', '--photo', 'renamed.png',"
        " '--device', 'cpu', '--out', 'from-pdf.png']) == 0\n"
    )
    shutil.copytree(originals, folder / "given")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, *KINDS],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "note:" not in done.stderr, done.stderr
    assert moved.exists()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_recipe_gives_the_same_bytes_elsewhere(originals, copies, kind):
    made, first = copies / f"again.{kind}", originals / f"figure.{kind}"
    assert made.read_bytes() == first.read_bytes()


@pytest.mark.slow
def test_the_same_pixels_from_png_and_pdf(originals, copies):
    assert np.array_equal(pixels(copies / "again.png"), pixels(originals / "figure.png"))
    assert np.array_equal(pixels(copies / "from-pdf.png"), pixels(originals / "figure.png"))
    if shutil.which("pdftoppm"):
        found = pixels(copies / "again.pdf")
        assert found.std() > 20
        assert np.array_equal(found, pixels(originals / "figure.pdf"))


def test_the_recipe_says_everything_and_no_path(originals, photo):
    found = read_figure(originals / "figure.svg")
    recipe, text = found["recipe"], json.dumps(found)
    views = {view["name"]: view["options"] for view in recipe["views"]}
    assert views["attention"]["head"] == 1 and views["pca"]["components"] == [0, 1, 2]
    assert set(recipe["versions"]) == {
        *("explorer", "torch", "timm", "numpy", "matplotlib", "pillow")
    }
    assert [entry["sha256"] for entry in recipe["weights"] if "upsampler" in entry]
    assert recipe["query"] == [10, 20] and "remarks" not in recipe
    assert found["style"]["insets"][0]["box"] == [0.1, 0.5, 0.2, 0.6]
    assert str(photo.parent) not in text and str(ROOT) not in text


def test_a_preset_is_recorded_and_repeated(photo, tmp_path):
    more = ["--preset", "method comparison with insets", "--theme", "dark"]
    assert fresh(photo, tmp_path / "a.png", *more) == 0
    found = read_figure(tmp_path / "a.png")
    assert found["recipe"]["preset"] == {
        "name": "method comparison with insets",
        "changes": {"dpi": 60, "theme": "dark"},
    }
    assert len(found["style"]["insets"]) == 2 and found["style"]["metrics"]
    assert again(tmp_path / "a.png", photo, tmp_path / "b.png") == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.slow
def test_a_second_photo(photo, other, tmp_path, capsys):
    out = tmp_path / "a.svg"
    assert fresh(photo, out, "--views", "similarity", "--second", other) == 0
    assert again(out, photo, tmp_path / "b.svg") == 2
    assert "--second" in capsys.readouterr().err
    moved = shutil.copy(other, tmp_path / "moved.png")
    assert again(out, photo, tmp_path / "b.svg", "--second", moved) == 0
    assert (tmp_path / "b.svg").read_bytes() == out.read_bytes()


# --- what is no longer as it was ---


def test_another_photo_is_said_and_recorded(originals, other, tmp_path, capsys):
    out = tmp_path / "again.png"
    assert again(originals / "figure.png", other, out) == 0
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and "other.png is not the one of the recipe (small photo.png)" in said[0]
    recipe = read_recipe(out)
    assert recipe["photo"]["sha256"] == open_photo(other).digest
    assert recipe["remarks"] == [said[0].removeprefix("note: ")]
    assert not np.array_equal(pixels(out), pixels(originals / "figure.png"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    state = UPSAMPLERS.create("anyup", qk_dim=128).state_dict()
    save_file(
        {name: tensor.contiguous() for name, tensor in state.items()}, folder / "own.safetensors"
    )
    save_file({name: tensor * 0.5 for name, tensor in state.items()}, folder / "else.safetensors")
    return folder


@pytest.mark.slow
def test_a_file_of_weights_is_named_and_found_again(photo, weights, tmp_path, capsys):
    out = tmp_path / "a.png"
    assert fresh(photo, out, "--checkpoint", f"anyup={weights / 'own.safetensors'}") == 0
    found = read_figure(out)
    assert found["recipe"]["checkpoints"]["anyup"]["file"] == "own.safetensors"
    assert str(weights) not in json.dumps(found)

    assert again(out, photo, tmp_path / "b.png") == 2
    said = capsys.readouterr().err
    assert "own.safetensors" in said and "--checkpoint anyup=PATH" in said

    moved = shutil.copy(weights / "own.safetensors", tmp_path / "own.safetensors")
    assert again(out, photo, tmp_path / "b.png", "--checkpoint", f"anyup={moved}") == 0
    assert (tmp_path / "b.png").read_bytes() == out.read_bytes()
    assert capsys.readouterr().err == ""

    wrong = weights / "else.safetensors"
    assert again(out, photo, tmp_path / "c.png", "--checkpoint", f"anyup={wrong}") == 0
    said = capsys.readouterr().err
    assert "the upsampler anyup for efficientnet_lite0 has other weights" in said
    assert "other weights" in read_recipe(tmp_path / "c.png")["remarks"][0]


def test_the_weights_of_then_are_taken_if_better_ones_came(photo, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        older = [checkpoint("jafar_efficientnet_lite0_labels")]  # the best of the day before
        patch.setattr(explorer.loading, "find", lambda *_: older)
        assert fresh(photo, tmp_path / "a.png", upsamplers="nearest,jafar") == 0
    assert again(tmp_path / "a.png", photo, tmp_path / "b.png") == 0
    assert np.array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png"))
    assert "weights" not in capsys.readouterr().err


def test_other_versions_are_said(originals, photo, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(explorer.reproduce.recipe.metadata, "version", lambda name: f"0.{name}")
    assert again(originals / "figure.svg", photo, tmp_path / "again.svg") == 0
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "torch 0.torch" in said and "made with torch 2" in said


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"backbones": "efficientnet_lite0"}, "backbones"),
        ({"backbones": ["alexnet9000"]}, "alexnet9000"),
        ({"upsamplers": []}, "upsamplers"),
        ({"upsamplers": ["no_such_method"]}, "no_such_method"),
        ({"input_size": "large"}, "input size"),
        ({"output_size": 10**9}, "output size"),
        ({"query": [1]}, "query"),
        ({"photo": 3}, "photo"),
        ({"checkpoints": {"anyup": "/etc/passwd"}}, "--checkpoint anyup=PATH"),
        ({"checkpoints": {"anyup": 3}}, "checkpoint"),
        ({"views": []}, "views"),
        ({"views": [{"name": "tarot"}]}, "tarot"),
        ({"views": [{"name": "pca", "options": 3}]}, "pca"),
        ({"views": [{"name": "pca", "second": {"sha256": ""}}]}, "pca"),
    ],
)
def test_a_recipe_that_makes_no_sense(originals, photo, tmp_path, capsys, changes, words):
    found = read_figure(originals / "figure.png")
    made = tmp_path / "edited.png"
    made.write_bytes(render([_panel()], recipe=found["recipe"] | changes))
    assert again(made, photo, tmp_path / "x.png") == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and words in said and said.count("\n") == 1, said
    assert not (tmp_path / "x.png").exists()


def _panel():
    from explorer.core import Panel

    return Panel("row", "column", np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--recipe", "{figure}", "--out", "x.png"], "--photo"),
        (["{photo}", "--recipe", "{figure}", "--width", "3", "--out", "x.png"], "--width"),
        (["{photo}", "--recipe", "{photo}", "--out", "x.png"], "no recipe"),
        (["{photo}", "--recipe", "absent.png", "--out", "x.png"], "absent.png"),
        (["{photo}", "--recipe", "absent.zip", "--out", "x.png"], "absent.zip"),
        (["{photo}", "--out", "{photo}"], "overwrite"),
        (["{photo}", "{other}", "--out", "x.pdf"], "folder"),
        (["{photo}", "--out", "x.pdf", "--zip"], ".zip"),
        (["{photo}", "--out", "x.png", "--inset", "0.5,0.2,0,1"], "inset"),
        (["{photo}", "--out", "x.png", "--inset", "a,b"], "--inset"),
        (["{photo}", "--out", "x.png", "--preset", "poster"], "teaser strip"),
        (["{photo}", "--out", "x.png", "--view-option", "head"], "NAME=VALUE"),
        (["{photo}", "--out", "x.png", "--second", "{other}"], "similarity"),
        (["nothing-*.jpg", "--out", "x"], "nothing-*.jpg"),
        (["--out", "x.png"], "photo"),
    ],
)
def test_mistakes_are_one_sentence(
    originals, photo, other, tmp_path, monkeypatch, capsys, arguments, words
):
    monkeypatch.chdir(tmp_path)
    places = {"figure": originals / "figure.png", "photo": photo, "other": other}
    before = photo.read_bytes()
    assert figure(*(a.format(**places) for a in arguments)) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and words in said and said.count("\n") == 1, said
    assert not list(tmp_path.iterdir()) and photo.read_bytes() == before


def test_panels_as_a_zip_and_citations(photo, tmp_path, capsys):
    bib = tmp_path / "cited.bib"
    assert fresh(photo, tmp_path / "panels", "--zip", "--bibtex", bib) == 0
    with zipfile.ZipFile(tmp_path / "panels" / "small photo.zip") as archive:
        names = archive.namelist()
    assert {"figure.tex", "recipe.json", "citations.bib"} < set(names) and len(names) == 7
    assert "wimmer2025anyup" in bib.read_text() and "kopf2007" not in bib.read_text()
    assert open_figure(tmp_path / "panels" / "small photo.zip")["recipe"]["upsamplers"]
    capsys.readouterr()
    assert fresh(photo, tmp_path / "x.png", "--bibtex", "-") == 0
    assert "@misc{wimmer2025anyup" in capsys.readouterr().out


# --- many photos ---


@pytest.fixture
def album(tmp_path):
    """Four photos, two of them with one name, three files that are none, one to be ignored."""
    folder = tmp_path / "album"
    (folder / "more").mkdir(parents=True)
    for seed, name in enumerate(("a.png", "b.png", "a.bmp", "more/c.png")):
        picture(folder / name, seed)
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("hello")
    whole = (folder / "a.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "notes.txt").write_text("not a photo")
    return folder


CHEAP = [*SMALL, "--upsamplers", "nearest,bilinear", "--format", "png"]


@pytest.mark.slow
def test_a_folder_with_broken_files(album, tmp_path, capsys):
    out = tmp_path / "out"
    assert figure(album, *CHEAP, "--out", out) == 1
    said = capsys.readouterr()
    assert "4 written, 0 there already, 3 failed" in said.out
    assert all(name in said.out for name in ("empty.jpg", "text.jpg", "cut.png"))
    assert "photos: 100%" in said.err and "7/7" in said.err and "Traceback" not in said.err
    names = {"a-png.png", "a-bmp.png", "b.png", "c.png"}
    assert {path.name for path in out.iterdir()} == names
    made = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in out.iterdir()}
    assert read_recipe(out / "c.png")["photo"]["name"] == "c.png"

    assert figure(album, *CHEAP, "--out", out) == 1
    assert "0 written, 4 there already, 3 failed" in capsys.readouterr().out
    assert made == {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in out.iterdir()}

    assert figure(album, *CHEAP, "--out", out, "--force") == 1
    assert "4 written" in capsys.readouterr().out
    assert {name: data for name, (data, _) in made.items()} == {
        path.name: path.read_bytes() for path in out.iterdir()
    }

    assert figure(album, *CHEAP, "--out", out, "--percentile", "5") == 1
    assert "4 written" in capsys.readouterr().out


@pytest.mark.slow
def test_what_changed_is_made_again(album, tmp_path, capsys):
    out, pattern = tmp_path / "out", str(album / "*.png")
    for more in ([], ["--preset", "teaser strip"], ["--preset", "teaser strip", "--theme", "dark"]):
        figure(pattern, *CHEAP, "--out", out, *more)
        assert "2 written, 0 there" in capsys.readouterr().out, more
    figure(pattern, *CHEAP, "--out", out, "--preset", "teaser strip", "--theme", "dark")
    assert "0 written, 2 there" in capsys.readouterr().out
    (out / "a.png").write_bytes((out / "a.png").read_bytes()[:900])
    picture(album / "b.png", seed=77)
    figure(pattern, *CHEAP, "--out", out, "--preset", "teaser strip", "--theme", "dark")
    assert "2 written, 0 there" in capsys.readouterr().out


def test_a_recipe_for_many_photos(originals, album, tmp_path, capsys):
    assert again(originals / "figure.pdf", album / "more", tmp_path / "out") == 0
    said = capsys.readouterr()
    assert "1 written" in said.out and "c.png is not the one of the recipe" in said.err
    assert (tmp_path / "out" / "c.pdf").exists()


@pytest.mark.slow
def test_a_killed_run_goes_on(tmp_path, capsys):
    folder, out = tmp_path / "album", tmp_path / "out"
    folder.mkdir()
    for seed in range(12):
        picture(folder / f"{seed:02d}.png", seed)
    command = [sys.executable, "-m", "explorer", "figure", folder, *CHEAP, "--out", out]
    run = subprocess.Popen(
        list(map(str, command)),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 200
    while len(list(out.glob("[0-9]*.png"))) < 2 and time.monotonic() < until:
        assert run.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("[0-9]*.png")}
    assert 2 <= len(before) < 12
    (out / ".05.png.part").write_bytes(b"half")  # what a run leaves if it dies while writing
    assert figure(folder, *CHEAP, "--out", out) == 0
    assert f"{12 - len(before)} written, {len(before)} there already" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir() if path.name != ".05.png.part") == [
        f"{seed:02d}.png" for seed in range(12)
    ]
    assert len(before) > 5 or not (out / ".05.png.part").exists()
    assert all((out / name).stat().st_mtime_ns == then for name, then in before.items())


@pytest.mark.slow
def test_figures_beside_their_photos(album, capsys):
    assert figure(album, *CHEAP, "--out", album) == 2
    assert "choose another folder" in capsys.readouterr().err
    assert figure(album, *CHEAP, "--out", album / "figures") == 1
    assert "4 written" in capsys.readouterr().out
    assert figure(album, *CHEAP, "--out", album / "figures") == 1  # none taken for a photo
    assert "0 written, 4 there already, 3 failed" in capsys.readouterr().out


def test_an_output_that_cannot_be_written_stops_the_run(album, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert figure(album, *CHEAP, "--out", tmp_path / "file" / "out") == 2
    said = capsys.readouterr().err
    assert "cannot write" in said and said.count("error: ") == 1


def test_photos_are_found_once_and_in_order(album):
    listed = find_photos([album / "b.png", album, str(album / "*.png")])
    assert listed[0] == album / "b.png" and len(listed) == len(set(listed)) == 7
    assert find_photos([album / "notes.txt"]) == [album / "notes.txt"]


@given(st.lists(st.from_regex(r"([ab]/){0,2}[xX](-1|-png|-2)?\.(png|PNG|jpg)", fullmatch=True)))
def test_output_names_never_meet(names):
    photos = [Path("/photos") / name for name in dict.fromkeys(names)]
    found = output_names(photos)
    assert len({name.casefold() for name in found}) == len(photos)
    assert all("/" not in name for name in found)
