"""What the documentation says in numbers is what the shipped cards say, and its examples work."""

import json
import re
import shutil

import numpy as np
import pytest
from documents import (
    DOCUMENTS,
    LONGEST_CELL,
    ROOT,
    blocks,
    cells,
    commands,
    lines,
    mentioned,
    starts,
)
from PIL import Image

from explorer.__main__ import build_parser, main
from explorer.evidence import glance_blocks, known
from explorer.figure import read_recipe
from explorer.training.recipe import PUBLISHED

README, DOCS = DOCUMENTS[0], DOCUMENTS[1:]
BY_NAME = {path.stem: path for path in DOCUMENTS}
PLACES = {"TASK": "segmentation"}  # what stands for a choice in an example
ROWS = [
    [cell.strip() for cell in line.strip("|\n ").split("|")]
    for line in (ROOT / "docs" / "training.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| \w+_efficientnet_lite\w* \| efficientnet", line)
]


def test_every_shipped_upsampler_is_in_the_table():
    scored = set()
    for path in (ROOT / "checkpoints").glob("*.json"):
        card = json.loads(path.read_text())
        if card.get("method") in PUBLISHED:
            scored |= {(path.stem, name) for name in card["scores"]}
    assert scored and {tuple(row[:2]) for row in ROWS} == scored


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(row[:2]))
def test_the_table_of_shipped_weights_repeats_their_cards(row):
    name, backbone = row[:2]
    found = json.loads((ROOT / "checkpoints" / f"{name}.json").read_text())["scores"][backbone]

    def pair(form, key):
        return " / ".join(form.format(found[f"{key}_x{factor}"]) for factor in (2, 4))

    assert row[2] == str(found["guidance"])
    assert row[3:6] == [pair("{:.3f}", key) for key in ("bilinear", "jbu", "cosine")]
    assert row[6] == pair("{:+.4f}", "gain")
    assert row[7] == pair("{:.0%}", "wins")
    assert row[8] == pair("{:.3f}", "ceiling")
    assert row[9] == pair("{:.0%}", "share_of_gap")
    assert row[10].startswith(f"{100 * found['labels']:.1f} %")


PROBED = {
    "own": "a probe of each method's own",
    "shared": "one probe trained on bilinear features and shared",
}
MEASURED = {  # a column's name in evaluation.md: the heading of its table in claims.md
    "own": "segmentation on nyuv2_train, own",
    "shared": "segmentation on nyuv2_train, shared",
    "CamVid": "segmentation on camvid, shared",
    "NYU-13, own": "segmentation on nyuv2_train, own",
    "NYU-13, shared": "segmentation on nyuv2_train, shared",
    "CamVid, shared": "segmentation on camvid, shared",
    "depth, shared": "depth on nyuv2_train, shared",
    "normals, own": "normals on replica_office0, own",
    "normals, shared": "normals on replica_office0, shared",
    "reconstruction": "reconstruction on nyuv2_train",
}
TITLES = ("Bilinear", "JAFAR", "AnyUp", "FeatUp", "Joint bilateral")
METHODS = {title.capitalize(): title for title in TITLES}


def as_reported(column, method):
    """Return a cell of evaluation.md as the reports of one backbone have it."""
    lite, _, rest = column.partition(", ")
    lite, name = (lite, rest) if lite.startswith("Lite") else ("Lite0", column)
    task, _, probe = MEASURED[name].partition(", ")
    heading = f"{task}, {PROBED[probe]}" if probe else task
    blocks = glance_blocks(known())
    at = next(n for n, p in enumerate(blocks) if getattr(p, "text", "").lower() == heading)
    grid = blocks[at + 1]
    row = next(row for row in grid.rows if row[0] == method)
    cells = [cell for head, cell in zip(grid.head, row, strict=True) if lite in head]
    return " / ".join(cells[:1] if task.startswith("normals") else cells).replace("+0.0)", "0.0)")


@pytest.mark.slow
def test_the_tables_of_the_evaluation_page_repeat_the_reports(monkeypatch):
    monkeypatch.delenv("EXPLORER_RESULTS", raising=False)
    text = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", BY_NAME["evaluation"].read_text("utf-8"))
    head, seen = [], 0
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| |"):
            head = cells
        elif "s" in head:  # the table of alignment, checked below
            continue
        elif cells[0].strip("*").capitalize() in METHODS:
            method = METHODS[cells[0].strip("*").capitalize()]
            assert cells[1:] == [as_reported(column, method) for column in head[1:]], line
            seen += 1
    assert seen == 14


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_no_cell_of_a_table_is_a_wall(document):
    assert [cell for cell in cells(document) if len(cell) > LONGEST_CELL] == []


def test_cells_are_found():
    assert sum(len(cells(document)) for document in DOCUMENTS) > 1000


NAMING = (*DOCUMENTS, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md")


@pytest.mark.parametrize("document", NAMING, ids=lambda path: path.stem)
def test_every_file_that_is_named_exists(document):
    roots = "app.py|assets|checkpoints|docs|explorer|tests"
    for named in re.findall(rf"`((?:{roots})(?:/[\w./]*)?)`", document.read_text("utf-8")):
        assert (ROOT / named).exists(), named


def anchors(document):
    """The addresses of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_links_between_pages_lead_somewhere(document):
    for link in re.findall(r"\]\(((?!https?:)[^)\s]+)\)", document.read_text("utf-8")):
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def filled(words):
    return [PLACES.get(word, word) for word in words]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_command_is_one_that_the_program_knows(document):
    parser = build_parser()
    for words in commands(document):
        assert parser.parse_args(filled(words)).command == words[0]
    choices = parser._subparsers._group_actions[0].choices
    for words in mentioned(document):
        assert words[0] in choices, words
        options = choices[words[0]].format_help()
        if words[1:2] and words[1].isalpha() and words[1].islower():  # "weights list"
            assert words[1] in options, words
    assert commands(document) or mentioned(document)


def test_every_start_of_the_app_is_one_that_it_takes(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    app = pytest.importorskip("app")
    found = [words for document in DOCUMENTS for words in starts(document)]
    assert ["--port", "7860"] in found and [] in found and len(found) >= 4
    for words in found:
        app.build_parser().parse_args(words)


@pytest.mark.parametrize("words", [[], ["--queue", "9"]], ids=str)
def test_arguments_in_the_environment_are_defaults(words, monkeypatch):
    """As docs/deploy.md has them, for ``app.py`` and for the command."""
    monkeypatch.setenv("EXPLORER_ARGS", "--queue 7 --trust-names")
    monkeypatch.syspath_prepend(ROOT)
    app = pytest.importorskip("app")
    for args in (
        app.build_parser().parse_args(words),
        build_parser("app").parse_args(["app", *words]),
    ):
        assert (args.queue, args.trust_names, args.longest) == (9 if words else 7, True, 2048)


def test_no_line_of_shell_is_passed_over():
    """Every bash line is a command of ours or one of the well-known ones around it."""
    known = {"pip", "curl", "docker", "python3", "."}
    for document in DOCUMENTS:
        ours = [words for words in lines(document) if words[0] not in known]
        counted = len(commands(document)) + sum("app.py" in words for words in ours)
        counted += sum(words[1:3] == ["-m", "pytest"] for words in ours)
        assert len(ours) == counted, document.name


@pytest.mark.parametrize("document", DOCS, ids=lambda path: path.stem)
def test_python_blocks_of_the_docs_run(document, tmp_path, monkeypatch):
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    monkeypatch.chdir(tmp_path)
    for code in blocks(document, "python"):
        exec(compile(code, str(document), "exec"), {"__name__": "__main__"})


def one(document, *marks):
    """Return the one command of a document that holds all the marks."""
    (words,) = [w for w in commands(BY_NAME[document]) if all(mark in w for mark in marks)]
    return filled(words)


def test_the_strip_of_the_training_page_is_drawn(tmp_path, monkeypatch):
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    monkeypatch.chdir(tmp_path)
    small = ["--input-size", "128", "--output-size", "96"]
    assert main(one("training", "teaser strip") + small) == 0
    recipe = read_recipe(tmp_path / "china.pdf")
    assert recipe["upsamplers"] == ["bilinear", "jbu", "featup", "jafar", "anyup"]


def test_the_mirror_is_rehearsed(capsys):
    dry = [words for words in commands(BY_NAME["deploy"]) if "publish" in words]
    dry = [words for words in dry if "--send" not in words]
    assert len(dry) == 1 and main(dry[0]) == 0
    said = capsys.readouterr().out
    assert "nothing was sent" in said and "anyup_efficientnet_lite.safetensors" in said


def test_a_folder_is_checked(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "FOLDER"
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for name in "abcd":
        shutil.copy(ROOT / "assets" / "examples" / "coffee.jpg", folder / "images" / f"{name}.jpg")
        with Image.open(folder / "images" / f"{name}.jpg") as photo:
            halves = np.zeros(photo.size[::-1], np.uint8)
        halves[:, halves.shape[1] // 2 :] = 1
        Image.fromarray(halves).save(folder / "labels" / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    words = one("evaluation", "--check")
    assert main(words) == 0, capsys.readouterr()
    Image.fromarray(halves[:9]).save(folder / "labels" / "d.png")
    assert main(words) == 1


def test_the_table_of_alignment_repeats_its_reports():
    text = (ROOT / "docs" / "evaluation.md").read_text("utf-8")
    lines = text[text.index("| | Lite0, not aligned") :].split("\n\n")[0].splitlines()
    head, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    found = {}
    for lite in (0, 1):
        file = ROOT / "docs" / "results" / f"camvid_alignment_efficientnet_lite{lite}.json"
        (table,) = json.loads(file.read_text())["tables"]
        found[lite] = {row["title"].replace("×", "x"): row for row in table["rows"]}
    seen = 0
    for title, *texts in rows[1:]:
        for column, cell in zip(head[1:], texts, strict=True):
            if not cell:
                continue
            lite = 1 if column.startswith("Lite1") else 0
            row = found[lite][title + (", not aligned" if "not" in column else "")]
            if column == "s":
                assert cell == f"{sum(row['seconds'].values()):.2f}"
                continue
            miou, edges = row["cells"]["miou"], row["cells"]["boundary_miou"]
            expected = f"{100 * miou['mean']:.1f}, {100 * edges['mean']:.1f}"
            if "[" in cell:
                low, high = (f"{100 * value:+.1f}" for value in miou["interval"])
                expected += f" [{low}, {high}]".replace("-0.0", "0.0")
            assert cell == expected, (title, column)
            seen += 1
    assert seen == 28
