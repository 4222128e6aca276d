"""What is typed wrongly is refused with the choices, before any work and in one sentence."""

import os
import threading

import numpy as np
import pytest
from PIL import Image

import explorer.session
from explorer.__main__ import main
from explorer.cli.arguments import assignments, name_list, numbers, pairs, view_option
from explorer.core import ExplorerError
from explorer.training.recipe import recipe
from explorer.weights.cards import read_card


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(path)
    return path


@pytest.fixture
def idle(monkeypatch):
    """No feature is computed: what is refused is refused before."""

    def work(*_):
        raise AssertionError("something was computed")

    monkeypatch.setattr(explorer.session.Session, "features_at", work)


def refused(capsys, *arguments):
    """Run a command that is to be refused; return the sentence."""
    try:
        status = main([str(one) for one in arguments])
    except SystemExit as stopped:
        status = stopped.code
    assert status == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.isprintable() and len(said) < 400, said
    return said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--upsamplers", ""], "--upsamplers"),
        (["--upsamplers", "bilinear,,jbu"], "--upsamplers"),
        (["--upsamplers", "bilinear,bilinear"], "'bilinear' twice"),
        (["--upsamplers", "jaffar"], "did you mean jafar?"),
        (["--backbones", ""], "--backbones"),
        (["--backbones", "efficientnet_lit0"], "did you mean efficientnet_lite0?"),
        (["--views", ""], "--views"),
        (["--views", "atention"], "did you mean attention?"),
        (["--components", ""], "--components"),
        (["--components", "1,2,2.5"], "--components"),
        (["--components", "1,2,\u00b2"], "--components"),
        (["--components", "1,2,13"], "three numbers from 1 to 12"),
        (["--query", ""], "--query"),
        (["--query", "9999,5"], "row and col must lie on the"),
        (["--query", "9" * 400 + ",5"], "--query"),
        (["--percentile", "nan"], "percentile must be a number"),
        (["--width", "nan"], "width_in must be between 1 and 40"),
        (["--checkpoint", "jaffar=untrained"], "did you mean jafar?"),
        (["--checkpoint", "jafar=untrained"], "not shown"),
        (["--checkpoint", "jbu:efficientnet_lite1=x"], "'efficientnet_lite1', which is not shown"),
        (["--checkpoint", "jbu=untrained", "--checkpoint", "jbu=x"], "'jbu' twice"),
        (["--checkpoint", "jbu=foo"], "has no weights to load; leave out its checkpoint 'foo'"),
        (["--view-option", "percentil=2"], "did you mean percentile?"),
        (["--view-option", "junk=" + "x" * 10**5], "has no option 'junk'"),
        (["--view-option", "head=1"], "the pca view has no option 'head'"),
        (["--view-option", "components=[0.5,1,2]"], "3 whole numbers"),
        (["--view-option", "percentile=" + "[" * 5000], "nested"),
        (["--view-option", "percentile=" + "9" * 400], "percentile"),
        (["--views", "probe", "--view-option", "opacity=null"], "opacity must be a number"),
        (["--views", "probe", "--view-option", "reference=jaffar"], "did you mean jafar?"),
        (["--views", "probe", "--view-option", "opacity=NaN"], "below 1e300"),
        (["--preset", "teaser stripe"], "did you mean teaser strip?"),
        (["--inset", "0,nan,0,1"], "--inset"),
    ],
)
def test_figure(photo, idle, capsys, arguments, words):
    usual = [] if "--upsamplers" in arguments else ["--upsamplers", "bilinear,jbu"]
    said = refused(
        capsys,
        *("figure", photo, "--out", photo.with_name("x.png"), "--output-size", "64"),
        *(*usual, *arguments),
    )
    assert words in said, said
    assert not photo.with_name("x.png").exists()


def test_a_reference_may_have_a_checkpoint(photo, idle, capsys):
    """The difference view computes its reference, though it is not among the upsamplers."""
    said = refused(
        capsys,
        *("figure", photo, "--out", photo.with_name("x.png"), "--upsamplers", "bilinear"),
        *("--views", "difference", "--view-option", "reference=jafar"),
        *("--checkpoint", "jafar=untrained", "--query", "9999,1"),
    )
    assert "row and col" in said  # got past the checkpoints


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--lr", "nan"], "lr must be a number above 0 and up to 10, not nan"),
        (["--lr", "inf"], "lr must be"),
        (["--lr", "-1"], "lr must be"),
        (["--steps", "0"], "steps must be"),
        (["--batch", "1" + "0" * 400], "batch must be"),
        (["--seed", "-1"], "seed must be"),
        (["--every", "0"], "every must be"),
        (["--basis-scale", "nan"], "basis_scale must be"),
        (["--guidance", "0"], "guidance must be"),
        (["--terms", "views=nan"], "the weight of the term 'views' must be"),
        (["--options", "qk_dim=nan"], "qk_dim must be a number"),
        (["--options", "qk_dm=16"], "did you mean qk_dim?"),
        (["--cache-gib", "nan"], "--cache-gib must be"),
        (["--cache-gib", "1e400"], "--cache-gib must be"),
        (["--validate-every", "0"], "--validate-every must be"),
        (["--save-seconds", "nan"], "--save-seconds must be"),
        (["--held-out", "-1"], "--held-out must be"),
    ],
)
def test_train(photo, capsys, arguments, words):
    out = photo.with_name("t.safetensors")
    usual = ["train", "jafar", "--backbone", "efficientnet_lite0", "--data", photo.parent]
    said = refused(capsys, *usual, "--out", out, *arguments)
    assert words in said, said
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["features", "", "--out", "o"],
        ["figure", "--photo", "", "--out", "o"],
        ["figure", "cat.jpg", "--second", " ", "--out", "o"],
        ["figure", "--recipe", "", "--out", "o"],
        ["train", "jafar", "--backbone", "efficientnet_lite0", "--data", "", "--out", "a"],
        ["evaluate", "edges", "--data", "", "--out", "o"],
        ["ship", "", "--data", "photos", "--out", "o"],
    ],
)
def test_an_empty_name_is_not_the_working_folder(arguments, capsys):
    """Such as --data "$PHOTOS" where the variable is not set."""
    assert "is empty; name a file" in refused(capsys, *arguments)


def test_recipes_of_before_are_in_range():
    for method in ("jafar", "anyup", "featup"):
        for budget in ("small", "published"):
            assert recipe(method, budget, backbones=("efficientnet_lite0",)).method == method


def test_readers_of_arguments():
    assert name_list("a, b", "--x") == ("a", "b") and numbers("1, 2", "--x") == [1, 2]
    assert view_option("[1, 2.5]", "x") == [1, 2.5] and view_option("mean", "x") == "mean"
    assert view_option("01", "x") == "01"
    assert assignments("a=1,b=0.5,c=x", "--x") == {"a": 1, "b": 0.5, "c": "x"}
    assert pairs(["a=b=c"], "--x") == {"a": "b=c"}
    for wrong in ("a=inf", "a=1,a=2", "a=" + "9" * 5000, "a"):
        with pytest.raises(ExplorerError):
            assignments(wrong, "--x")


def test_a_pipe_is_not_waited_for(photo, capsys):
    """A thread gives up on the command, so that the test cannot hang."""
    pipe = photo.with_name("pipe.png")
    os.mkfifo(pipe)
    out = photo.with_name("x.png")
    for arguments in (["--recipe", pipe, "--photo", photo], [pipe], [photo, "--second", pipe]):
        found = []

        def run(arguments=arguments, found=found):
            found.append(main([str(one) for one in ("figure", *arguments, "--out", out)]))

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(60)
        assert found == [2], arguments
        assert "pipe" in capsys.readouterr().err


def test_a_card_that_is_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(ExplorerError, match="a pipe or a device"):
        read_card(tmp_path / "a.safetensors")
