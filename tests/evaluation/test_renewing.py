"""A method measured again and put into a kept report: only if nothing else differs."""

import json
from pathlib import Path

import pytest

from explorer.__main__ import main
from explorer.core import ExplorerError
from explorer.evaluation.renewing import renew, table_from
from explorer.evaluation.report import markdown, write_report
from explorer.evaluation.tables import Cell, Row, Table
from explorer.evaluation.tasks import Column
from explorer.findings.results import read_report

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
    assert renew(kept, later) == ["Jafar"]
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


def test_putting_in_again_says_so_once_and_new_methods_come_last(kept, tmp_path):
    for place, date in enumerate(("2026-03-04", "2026-05-06")):
        scores = {"bilinear": 0.4, "jafar": 0.5 + place, "anyup": 0.6}
        assert renew(kept, written(tmp_path / date, scores, date=date)) == ["Jafar", "Anyup"]
    found = json.loads(kept.read_text())
    assert [r["key"] for r in found["tables"][0]["rows"]] == ["bilinear", "jafar", "jbu", "anyup"]
    assert [m["key"] for m in found["methods"]] == ["bilinear", "jafar", "jbu", "anyup"]
    told = [line for line in found["intro"] if "later run" in line]
    assert len(told) == 2 and all("2026-05-06" in line for line in told)
    assert found["command"].count("evaluate bilinear jafar anyup") == 1


@pytest.mark.parametrize(
    ("scores", "changes", "says"),
    [
        ({"bilinear": 0.41, "jafar": 0.5}, {}, "bilinear came out otherwise"),
        ({"bilinear": 0.4, "jafar": 0.5}, {"settings": {"seeds": 3}}, "in its settings"),
        ({"bilinear": 0.4, "jafar": 0.5}, {"data": {"folder": "street"}}, "in its data"),
        ({"bilinear": 0.4, "jafar": 0.5}, {"title": "depth on rooms"}, "in its title"),
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
    for name, says in (("broken", "cannot be read"), ("other", "no report"), ("gone", "cannot be")):
        with pytest.raises(ExplorerError, match=says):
            renew(kept, tmp_path / f"{name}.json")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_reports_say_the_same_as_text_and_as_values(path):
    found = json.loads(path.read_text())
    tables = [table_from(table) for table in found["tables"]]
    assert markdown(found, tables, f"{path.stem}.png") == path.with_suffix(".md").read_text()
