"""Every destination is checked before work begins; for every command and option there is."""

import argparse
import socket
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from explorer.__main__ import build_parser, main
from explorer.core import ExplorerError
from explorer.files.outputs import check_file, check_folder
from explorer.training.loop import Places, Trainer

WRITES = ("--out", "--cache", "--file", "--save-probe", "--bibtex")


def parsers(parser=None, words=()):
    """Every command and sub-command: its words and its parser."""
    parser = parser or build_parser()
    inner = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not inner:
        yield words, parser
    for action in inner:
        for name, child in action.choices.items():
            yield from parsers(child, (*words, name))


def needed(parser, but):
    """Arguments that the parser cannot do without; no file of that name exists."""
    outputs = parser.get_default("outputs")
    good = {one.argument: Path("x").with_suffix(next(iter(one.endings), "")) for one in outputs}
    words = []
    for action in parser._actions:
        value = str(action.choices[0]) if action.choices else "/nowhere/at-all"
        if not action.option_strings and action.nargs not in ("*", "?"):
            words.append(value)
        elif action.required and action.option_strings and but not in action.option_strings:
            words += [action.option_strings[0], str(good.get(action.dest, value))]
    return words


OUTPUTS = [
    pytest.param(words, parser, output, id=" ".join((*words, output.name)))
    for words, parser in parsers()
    for output in parser.get_default("outputs") or ()
]


def test_every_option_that_writes_is_declared():
    for words, parser in parsers():
        declared = {output.name for output in parser.get_default("outputs") or ()}
        for action in parser._actions:
            writes = set(action.option_strings) & set(WRITES)
            if writes or "write" in (action.help or "").split():
                assert set(action.option_strings) & declared, (words, action.option_strings)
    assert {"train", "evaluate", "figure", "features"} <= {one.values[0][0] for one in OUTPUTS}


@pytest.mark.parametrize("words, parser, output", OUTPUTS)
def test_what_cannot_be_written_is_refused_at_once(words, parser, output, tmp_path, capsys):
    (tmp_path / "file").write_text("kept")
    ending = next(iter(output.endings), ".pdf" if words == ("figure",) else "")
    folder = tmp_path / f"folder{ending}"
    folder.mkdir()
    if output.folder:
        wrong = ["", tmp_path / "file", tmp_path / "file" / "below", "/proc/none/at/all"]
    else:
        below = f"x{ending}"
        wrong = ["", tmp_path / "file" / below, f"/proc/none/{below}"]
        wrong += [] if output.either else [folder, "/dev/null"]
        wrong += [tmp_path / "x.pth", tmp_path / "x"] if output.endings else []
        wrong = wrong[:-1] if output.either and output.endings else wrong  # a folder to be made
    for path in wrong:
        status = main([*words, *needed(parser, output.name), output.name, str(path)])
        said = capsys.readouterr().err
        assert status == 2 and said.startswith("error: ") and said.count("\n") == 1, said
        assert output.name in said and ("cannot write" in said or "must" in said or not str(path))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["file", folder.name])
    assert (tmp_path / "file").read_text() == "kept" and not list(folder.iterdir())


def test_checking_leaves_nothing_and_makes_nothing(tmp_path):
    check_file(tmp_path / "a" / "b" / "x.safetensors", (".safetensors",))
    check_folder(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())


def test_special_files_and_links_are_no_destinations(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for name in ("socket", "link/x"):
            with pytest.raises(ExplorerError, match="cannot write"):
                check_file(tmp_path / name)
    with pytest.raises(ExplorerError, match="cannot write"):
        check_file(tmp_path / ("x" * 300))


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for shade in range(6):
        Image.new("RGB", (64, 64), (shade * 40, 90, 120)).save(folder / f"{shade}.png")
    return folder


def refused(capsys, *words):
    assert main(list(map(str, words))) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1, said
    return said


@pytest.mark.parametrize("out", ["run.pth", "folder.safetensors", "photos/run.safetensors"])
def test_training_does_not_begin_before_it_can_be_kept(out, photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Trainer, "run", lambda self: pytest.fail("it trains"))
    (tmp_path / "folder.safetensors").mkdir()
    common = ["train", "jafar", "--backbone", "efficientnet_lite0", "--data", photos, "--cpu"]
    assert "--out" in refused(capsys, *common, "--out", tmp_path / out)
    taken = tmp_path / "t.png"
    taken.mkdir()
    assert "t.png" in refused(capsys, *common, "--out", tmp_path / "t.safetensors")
    start = tmp_path / "start.safetensors"
    save_file({"a": torch.zeros(1)}, start)
    said = refused(capsys, *common, "--init", start, "--out", photos / ".." / start.name)
    assert "would overwrite" in said


def test_a_trainer_refuses_what_the_command_refuses(tmp_path):
    for name in ("run.pth", ""):
        with pytest.raises(ExplorerError, match="--out"):
            Trainer(None, [], [], [], Places(tmp_path / name, None))


def test_no_output_replaces_an_input_or_another_output(photos, tmp_path, capsys):
    weights = tmp_path / "a.safetensors"
    save_file({"a": torch.zeros(1)}, weights)
    before = weights.read_bytes()
    assert "overwrite" in refused(capsys, "mix", weights, f"{weights}=2", "--out", weights)
    assert "overwrite" in refused(capsys, "weights", "convert", weights, "--out", weights)
    projected = ["features", photos / "0.png", "--project", weights, "--out", weights]
    assert "overwrite" in refused(capsys, *projected)
    recipe = tmp_path / "figure.pdf"
    recipe.write_bytes(b"%PDF-1.4")
    again = ["figure", photos / "0.png", "--recipe", recipe, "--out", recipe]
    assert "overwrite" in refused(capsys, *again)
    twice = [
        "figure",
        photos / "0.png",
        "--out",
        tmp_path / "x.pdf",
        "--bibtex",
        tmp_path / "x.pdf",
    ]
    assert "both write" in refused(capsys, *twice)
    report = tmp_path / "report"
    probe = ["--save-probe", report / "report.safetensors", "--out", report]
    assert "both write" in refused(capsys, "evaluate", "segmentation", "--data", photos, *probe)
    assert weights.read_bytes() == before and not report.exists()


def test_a_sidecar_is_a_destination_too(photos, tmp_path, capsys):
    (tmp_path / "x.npy.json").mkdir()
    said = refused(capsys, "features", photos / "0.png", "--out", tmp_path / "x.npy")
    assert "x.npy.json" in said


@pytest.mark.parametrize(
    "words",
    [
        "mix {a} {a} --out {tmp}/my+mean.safetensors",
        "ship {a} --data {photos} --out {tmp}/s --name a/b",
        "ship {a} --data {photos} --out {tmp}/s --name=",
        "evaluate depth --data {photos} --out {tmp}/r --save-probe {tmp}/a+b.safetensors",
        "weights convert {a} --out {tmp}/my+copy.safetensors",
    ],
)
def test_a_name_that_no_card_can_have_is_refused_first(words, photos, tmp_path, capsys):
    weights = tmp_path / "a.safetensors"
    save_file({"a": torch.zeros(1)}, weights)
    filled = words.format(a=weights, photos=photos, tmp=tmp_path).split()
    assert "no name for a checkpoint" in refused(capsys, *filled)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "photos"]


@pytest.mark.parametrize("more", [["--upsamplers", "bilinear,absent"], ["--labels", "absent"]])
def test_an_evaluation_that_is_refused_leaves_nothing(more, photos, tmp_path, capsys):
    out = tmp_path / "report"
    refused(capsys, "evaluate", "segmentation", "--data", photos, "--out", out, "--cpu", *more)
    assert not out.exists()


def test_a_repository_name_is_checked_before_anything_is_fetched(capsys):
    for repo in ("me", "me/my weights", "me/", "a/b/c", "me/.."):
        words = ["weights", "publish", "loftup_clip", "--repo", repo]
        assert "owner/name" in refused(capsys, *words)


def test_reports_are_not_put_into_themselves(tmp_path, capsys):
    report = tmp_path / "report.json"
    report.write_text("{}")
    assert "overwrite" in refused(capsys, "renew", report, Path(tmp_path / "." / "report.json"))
