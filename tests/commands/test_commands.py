"""The command line: figures, listings, errors in one line."""

import pytest
from PIL import Image

from explorer.__main__ import build_parser, main
from explorer.figure import read_recipe
from explorer.imaging import open_photo


def figure(photo, out, *more):
    small = ["--input-size", "96", "--output-size", "72", "--upsamplers", "nearest,bilinear,anyup"]
    return main(["figure", str(photo), *small, "--out", str(out), "--device", "cpu", *more])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_a_figure_with_its_recipe(photo, tmp_path, kind, capsys):
    out = tmp_path / f"figure.{kind}"
    assert figure(photo, out) == 0 and str(out) in capsys.readouterr().out
    recipe = read_recipe(out)
    assert recipe["photo"]["sha256"] == open_photo(photo).digest
    assert recipe["upsamplers"] == ["nearest", "bilinear", "anyup"]
    again = tmp_path / f"again.{kind}"
    figure(photo, again)
    assert again.read_bytes() == out.read_bytes()
    assert str(photo.parent) not in str(recipe)


def test_several_views_of_a_query(photo, tmp_path):
    out = tmp_path / "views.png"
    views = ["--views", "attention,similarity", "--query", "10,20"]
    assert figure(photo, out, *views) == 0
    assert read_recipe(out)["query"] == [10, 20]
    assert Image.open(out).size[1] > 300


@pytest.mark.parametrize(
    "more, words",
    [
        (["--upsamplers", "no_such_method"], "bilinear"),
        (["--backbones", "alexnet9000"], "alexnet9000"),
        (["--query", "1"], "--query"),
        (["--views", "tarot", "--query", "1,2"], "pca"),
        (["--components", "a,b,c"], "--components"),
        (["--output-size", "5"], "output size"),
        (["--checkpoint", "anyup"], "METHOD=NAME"),
        (["--device", "abacus"], "device"),
    ],
)
def test_mistakes_end_with_one_line_and_status_two(photo, tmp_path, capsys, more, words):
    assert figure(photo, tmp_path / "x.png", *more) == 2
    said = capsys.readouterr().err
    assert words in said and len(said.strip().splitlines()) == 1 and said.startswith("error: ")
    assert not (tmp_path / "x.png").exists()


def test_files_that_are_none(tmp_path, capsys):
    text = tmp_path / "photo.jpg"
    text.write_text("hello")
    assert figure(text, tmp_path / "x.png") == 2 and figure(text, tmp_path / "x.docx") == 2
    assert figure(tmp_path / "absent.jpg", tmp_path / "x.png") == 2
    assert "Traceback" not in capsys.readouterr().err


def test_list_names_everything(capsys):
    from explorer.backbones import BACKBONES
    from explorer.upsamplers import UPSAMPLERS
    from explorer.views import VIEWS

    assert main(["list"]) == 0
    said = capsys.readouterr().out
    for name in (*BACKBONES, *UPSAMPLERS, *VIEWS, "anyup_multi_backbone"):
        assert name in said
    assert main(["list", "upsamplers"]) == 0
    assert "yes, training-free" in capsys.readouterr().out


def test_every_command_has_help():
    text = build_parser().format_help()
    for command in ("bench", "evaluate", "figure", "list", "ship", "train", "weights"):
        assert command in text
