"""A method measured again and put into a kept report: only if nothing else differs."""

import json
from pathlib import Path

import pytest

from explorer.__main__ import main
from explorer.core import ExplorerError
from explorer.evaluation.merge_reports import renew, table_from
from explorer.evaluation.report import markdown, write_report
from explorer.evaluation.tables import Cell, Row, Table
from explorer.evaluation.tasks import Column
from explorer.evidence.results import read_report

SHIPPED = sorted((Path(__file__).parents[2] / "docs" / "results").glob("*.json"))
COLUMNS = (
    Column("miou", "mIoU", 100, 1, True, main=True),
    Column("odd", "odd", 1, 1, True),
)


def row(key, score, base=0.4, control=False):
    difference = None if key == "bilinear" else score - base
    interval = None if difference is None else (difference - 0.01, difference + 0.01)
    cells = {
        "miou": Cell(score, 0.01, difference, interval, (score, score)),
        "odd": Cell(float("nan")),
    }
    return Row(key, key.title(), control, cells, {"predict": 0.1})


def written(folder, scores, name=None, **changes):
    folder.mkdir(exist_ok=True)
    rows = [row(key, score, control=key == "jbu") for key, score in scores.items()]
    details = {key: {"iou": {"wall": score}, "notes": []} for key, score in scores.items()}
    methods = [
        {
            "key": key,
            "title": key.title(),
            "origin": "trained here",
            "checkpoint": "c",
            "sha256": None,
            "parameters": 1,
            "remark": "",
            "control": key == "jbu",
        }
        for key in scores
    ]
    facts = {
        "title": "segmentation on rooms",
        "intro": ["Rooms."],
        "settings": {"seeds": 2},
        "data": {"folder": "rooms", "test": 3},
        "backbone": {"name": "b"},
        "methods": methods,
        "versions": {},
        "machine": {},
        "seconds": 60,
        "date": "2026-01-02",
        "command": f"evaluate {' '.join(scores)}",
    } | changes
    table = Table("segmentation, shared", COLUMNS, rows, ["A note."], details)
    write_report(folder, facts, [table], name)
    return folder / f"{name or 'report'}.json"


@pytest.fixture
def kept(tmp_path):
    return written(tmp_path / "kept", {"bilinear": 0.4, "jafar": 0.3, "jbu": 0.41}, "rooms")


def test_only_the_rows_measured_again_change(kept, tmp_path):
    later = written(tmp_path / "later", {"bilinear": 0.4 + 1e-8, "jafar": 0.5}, date="2026-03-04")
    before = json.loads(kept.read_text())
    assert renew(kept, [later]) == ["Jafar"]
    after = json.loads(kept.read_text())
    scores = [r["cells"]["miou"]["mean"] for r in after["tables"][0]["rows"]]
    assert scores == [0.4, 0.5, 0.41]
    assert [r["key"] for r in after["tables"][0]["rows"]] == ["bilinear", "jafar", "jbu"]
    assert after["tables"][0]["rows"][2] == before["tables"][0]["rows"][2]
    assert after["tables"][0]["details"]["jafar"]["iou"] == {"wall": 0.5}
    assert after["command"] == "evaluate bilinear jafar jbu\nevaluate bilinear jafar"
    text = kept.with_suffix(".md").read_text()
    assert "| **Jafar** | 50.0 ± 1.0 (+10.0 [+9.0, +11.0]) | - |" in text
    assert "Jafar: measured in a later run (2026-03-04)" in text and "(to 1e-08)" in text
    assert "![chart](rooms.png)" in text and kept.with_suffix(".png").stat().st_size > 1000
    assert read_report(kept).tables[0]["rows"][1]["cells"]["miou"]["mean"] == 0.5


def test_putting_in_again_says_so_once_and_new_methods_come_before_controls(kept, tmp_path):
    for place, date in enumerate(("2026-03-04", "2026-05-06")):
        scores = {"bilinear": 0.4, "jafar": 0.5 + place, "anyup": 0.6}
        assert renew(kept, [written(tmp_path / date, scores, date=date)]) == ["Jafar", "Anyup"]
    found = json.loads(kept.read_text())
    assert [r["key"] for r in found["tables"][0]["rows"]] == ["bilinear", "jafar", "anyup", "jbu"]
    assert [m["key"] for m in found["methods"]] == ["bilinear", "jafar", "anyup", "jbu"]
    text = kept.with_suffix(".md").read_text()
    assert text.index("| Anyup | 60.0 |") < text.index("| Jbu | 41.0 |"), "also class by class"
    told = [line for line in found["intro"] if "later run" in line]
    assert len(told) == 2 and all("2026-05-06" in line for line in told)
    assert found["command"].count("evaluate bilinear jafar anyup") == 1


@pytest.mark.parametrize(
    ("scores", "changes", "says"),
    [
        ({"bilinear": 0.41, "jafar": 0.5}, {}, "bilinear came out otherwise"),
        ({"bilinear": 0.40002, "jafar": 0.5}, {}, "bilinear came out otherwise"),
        ({"bilinear": 0.4, "jafar": 0.5}, {"settings": {"seeds": 3}}, "another settings"),
        ({"bilinear": 0.4, "jafar": 0.5}, {"data": {"folder": "street"}}, "another data"),
        ({"bilinear": 0.4, "jafar": 0.5}, {"title": "depth on rooms"}, "another title"),
    ],
)
def test_another_run_is_refused_and_nothing_changes(kept, tmp_path, capsys, scores, changes, says):
    before = kept.read_bytes()
    later = written(tmp_path / "later", scores, **changes)
    assert main(["renew", str(kept), str(later)]) == 2
    assert says in capsys.readouterr().err
    assert kept.read_bytes() == before


def test_what_is_no_report_is_named(kept, tmp_path):
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "number.json").write_text("0")
    for name, says in (
        ("broken", "cannot be read"),
        ("other", "no report"),
        ("number", "no report"),
        ("gone", "cannot be"),
    ):
        with pytest.raises(ExplorerError, match=says):
            renew(kept, [tmp_path / f"{name}.json"])


def edited(path, change):
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    return path


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f["tables"][0]["rows"].pop(0), "no row of bilinear"),
        (lambda f: f["tables"][0]["rows"].pop(1), "not in every table"),
        (lambda f: f["methods"].pop(1), "no row beside bilinear's"),
        (lambda f: f["tables"][0]["columns"].pop(), "other tables or columns"),
        (lambda f: f["tables"][0]["columns"][0].update(new=1), "in a table"),
        (lambda f: f["tables"][0].pop("rows"), "'rows'"),
    ],
)
def test_reports_with_parts_missing_are_refused_before_anything_is_written(
    kept, tmp_path, change, says
):
    good = written(tmp_path / "good", {"bilinear": 0.4, "jafar": 0.5})
    bad = edited(written(tmp_path / "bad", {"bilinear": 0.4, "jafar": 0.5}), change)
    before = kept.read_bytes()
    with pytest.raises(ExplorerError, match=says):
        renew(kept, [good, bad])
    assert kept.read_bytes() == before


def test_other_versions_are_told_and_other_checkpoints_of_a_method_keep_their_sentence(
    kept, tmp_path
):
    other = "Jafar (own): measured in a later run (2026-02-02) with the same settings."
    edited(kept, lambda f: f["intro"].append(other))
    renew(kept, [written(tmp_path / "a", {"bilinear": 0.4, "jafar": 0.5}, versions={"torch": "9"})])
    told = json.loads(kept.read_text())["intro"]
    assert other in told and any("2026-01-02, with torch 9)" in line for line in told)


def test_a_report_under_evaluates_own_names_keeps_them(tmp_path):
    own = written(tmp_path / "own", {"bilinear": 0.4, "jafar": 0.3})
    renew(own, [written(tmp_path / "later", {"bilinear": 0.4, "jafar": 0.5})])
    assert sorted(p.name for p in own.parent.iterdir()) == ["chart.png", "report.json", "report.md"]
    assert "(chart.png)" in (own.parent / "report.md").read_text()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_reports_say_the_same_as_text_and_as_values(path):
    found = json.loads(path.read_text())
    tables = [table_from(table) for table in found["tables"]]
    assert markdown(found, tables, f"{path.stem}.png") == path.with_suffix(".md").read_text()
