"""Claims, guide and tables: read from data, never typed twice."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from documents import LONGEST_CELL
from PIL import Image

from explorer.__main__ import main
from explorer.backbones import load_backbone
from explorer.evaluation.report import cell_text as written_text
from explorer.evaluation.report import table_json
from explorer.evaluation.tables import Cell, Row, Table
from explorer.evaluation.tasks import Column
from explorer.evidence import (
    Evidence,
    claims_blocks,
    document,
    guide_blocks,
    known,
    markdown,
    published_blocks,
    report_blocks,
)
from explorer.evidence.alignment import seconds_blocks, shift_blocks
from explorer.evidence.blocks import Code, Details, Heading, Paragraph, plain
from explorer.evidence.blocks import Table as TableBlock
from explorer.evidence.claims import claims
from explorer.evidence.collect import NOT_YET
from explorer.evidence.published import PUBLISHED, SEGMENTATION, across_papers, like_for_like
from explorer.evidence.results import MAKE_ONE, cell_text, read_report, shipped_reports
from explorer.loading import load_upsampler
from explorer.resources.feature_cache import FeatureCache
from explorer.training import labelled, validation
from explorer.training.photos import photo_paths, split
from explorer.upsamplers import UPSAMPLERS

ROOT = Path(__file__).parents[2]
COLUMNS = (
    Column("miou", "mIoU", 100, 1, main=True),
    Column("rmse", "RMSE", 1, 3, higher=False, main=True),
    Column("accuracy", "pixel acc.", 100, 1),
)


def card(method, backbone, gains, photos=24, **more):
    base = {"bilinear_x2": 0.5, "bilinear_x4": 0.25, "jbu_x2": 0.5125, "jbu_x4": 0.24}
    scores = base | {"gain_x2": gains[0], "gain_x4": gains[1], "photos": photos}
    return {
        "method": method,
        "name": f"{method}_here",
        "backbone": backbone,
        "scores": {"lite9": scores},
        "steps": 100,
        "seconds": 250,
        "size": 3_000_000 if backbone == "any" else 2_000_000,
    } | more


def row(key, miou, seconds=None, control=False):
    difference = None if key == "bilinear" else miou - 0.3
    span = None if difference is None else (difference - 0.01, difference + 0.01)
    cells = {
        "miou": Cell(miou, 0.0123, difference, span, (miou,)),
        "rmse": Cell(0.5, None, 0.0, (0.0, 0.0)),
        "accuracy": Cell(math.nan),
    }
    title = UPSAMPLERS.get(key.partition("@")[0]).title
    return Row(key, title, control, cells, seconds or {"predict": 0.25, "prepare": 1.5})


def write_report(folder, name="run", rows=None):
    rows = rows or [row("bilinear", 0.3), row("anyup", 0.35), row("jafar@x", 0.325)]
    table = Table("segmentation, a probe of each method's own", COLUMNS, rows, ["A note."])
    method = {"title": "AnyUp", "origin": "trained here", "checkpoint": "c", "sha256": "ab" * 32}
    facts = {
        "title": "segmentation on rooms, Lite9",
        "tables": [table_json(table)],
        "data": {"folder": "rooms", "train": 30, "test": 12},
        "backbone": {"name": "lite9"},
        "settings": {"input": 448, "output": None, "seeds": 3},
        "methods": [method | {"parameters": 1234567}],
        "date": "2026-01-02",
        "versions": {"torch": "9.9"},
        "command": "python -m explorer evaluate segmentation",
    }
    plain_facts = json.loads(json.dumps(facts), parse_constant=lambda _: None)
    (folder / f"{name}.json").write_text(json.dumps(plain_facts))
    return table, plain_facts


def text_of(blocks):
    return markdown("", list(blocks))


def cells_of(blocks):
    """Every cell of every table, those in folds included."""
    for part in blocks:
        if isinstance(part, TableBlock):
            yield from (cell for line in (part.head, *part.rows) for cell in line)
        elif isinstance(part, Details):
            yield from cells_of(part.blocks)


def test_no_cell_is_a_wall():
    found = known()
    pages = (claims_blocks(found), guide_blocks(found), report_blocks(found))
    cells = [cell for page in (*pages, published_blocks()) for cell in cells_of(page)]
    assert len(cells) > 1000
    assert [cell for cell in cells if len(cell) > LONGEST_CELL] == []


def test_a_fold_under_the_table_for_every_claim_and_case():
    for page in (claims_blocks(known()), guide_blocks(known())):
        table = next(p for p in page if isinstance(p, TableBlock))
        assert [p.title for p in page if isinstance(p, Details)] == [row[0] for row in table.rows]
        assert all(p.blocks for p in page if isinstance(p, Details))


def test_docs_say_what_the_generator_makes(monkeypatch):
    for name in ("EXPLORER_RESULTS", "EXPLORER_CHECKPOINTS"):
        monkeypatch.delenv(name, raising=False)
    written = (ROOT / "docs" / "claims.md").read_text("utf-8")
    assert written == document(), "run: python -m explorer claims --out docs/claims.md"


def test_the_command_writes_the_document(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("EXPLORER_RESULTS", str(tmp_path))
    assert main(["claims", "--out", str(tmp_path / "claims.md")]) == 0
    assert main(["claims"]) == 0
    printed = capsys.readouterr().out.split("\n", 1)[1]
    assert (tmp_path / "claims.md").read_text() == printed == document()
    assert main(["claims", "--out", "/proc/nowhere/claims.md"]) == 2


def test_margins_like_for_like_and_across_papers():
    assert like_for_like() == {"COCO-Stuff": 0.34, "VOC": -0.36, "ADE20K": 0.37}
    assert across_papers() == {"COCO-Stuff": 1.38, "VOC": -0.44, "ADE20K": 1.94}
    assert SEGMENTATION.best("VOC") == "jafar"
    for table in PUBLISHED:
        assert all(len(values) == len(table.scores) for values in table.rows.values()), table.key
    lower = next(t for t in PUBLISHED if t.key == "anyup-geometry")
    assert lower.best("depth RMSE") == "anyup" and lower.value("naf", "depth RMSE") is None


def test_without_measurements_nothing_is_claimed():
    made = {claim.text: claim for claim in claims(Evidence())}
    silent = [c for text, c in made.items() if "position" not in text and "beats" not in text]
    assert len(made) == 8 and len(silent) == 6
    for claim in silent:
        assert claim.here is None
        assert "not measured here yet" in claim.verdict.lower(), claim.text
    folds = [p for p in guide_blocks(Evidence()) if isinstance(p, Details)]
    assert folds[2].title == "Little memory" and len(folds) == 5
    for fold in folds:
        assert len(fold.blocks) == 1 and fold.blocks[0].text.startswith(NOT_YET)


def test_numbers_and_verdicts_follow_the_cards():
    anyup, jafar = card("anyup", "any", (0.01, 0.02)), card("jafar", "lite9", (0.03, 0.04), 80)
    text = text_of(claims_blocks(Evidence((anyup, jafar))))
    assert "| JAFAR (`jafar_here`) on lite9 | +0.0300 | +0.0400 | 80 |" in text
    assert "JAFAR reconstructs lite9 better at both factors" in text
    assert "True from 2 backbones on." in text
    better = card("anyup", "any", (0.05, 0.06), size=6_500_000)
    text = text_of(claims_blocks(Evidence((better, jafar))))
    assert "AnyUp reconstructs lite9 better at both factors" in text
    assert "True from 4 backbones on." in text
    mixed = text_of(claims_blocks(Evidence((card("anyup", "any", (0.02, 0.06)), jafar))))
    assert "JAFAR reconstructs lite9 better at x2 only" in mixed
    guide = text_of(guide_blocks(Evidence((anyup, jafar))))
    assert "| Joint bilateral on lite9 | +0.0125 | -0.0100 | 80 |" in guide
    assert guide.count("Joint bilateral on lite9") == 1
    assert "a backbone it never saw" in guide
    seen = anyup | {"trained_on": ["lite9"]}
    assert "a backbone it never saw" not in text_of(guide_blocks(Evidence((seen,))))


def test_shipped_cards_are_read():
    found = known()
    assert found.cards and not found.faults
    texts = text_of([*claims_blocks(found), *guide_blocks(found)])
    paths = list((ROOT / "checkpoints").glob("*.json"))
    for path in paths:
        shipped = json.loads(path.read_text())
        beside = any(path.stem.startswith(f"{other.stem}_") for other in paths)  # not the default
        if shipped["method"] in ("anyup", "jafar") and not beside:
            for scores in shipped["scores"].values():
                gains = [f"{scores[f'gain_x{factor}']:+.4f}" for factor in (2, 4)]
                assert f"| {' | '.join(gains)} | {scores['photos']} |" in texts


def test_reports_become_tables_evidence_and_verdicts(tmp_path):
    table, _ = write_report(tmp_path)
    found = known(results=tmp_path)
    assert not found.faults and [report.name for report in found.reports] == ["run"]
    blocks = report_blocks(found)
    glance = next(p for p in blocks if isinstance(p, TableBlock))
    assert glance.head[:2] == ("", "mIoU ↑\nLite9")
    assert [cells[:2] for cells in glance.rows] == [
        ("Bilinear", "30.0"),
        ("AnyUp", "+5.0"),
        ("JAFAR", "+2.5"),
    ]
    whole = next(p for p in blocks if isinstance(p, Details))
    assert whole.title == "Segmentation on rooms, Lite9 (run)"
    grid = next(p for p in whole.blocks if isinstance(p, TableBlock))
    expected = [
        [written_text(line.cells[column.key], column) for column in COLUMNS] for line in table.rows
    ]
    assert [list(cells[1:4]) for cells in grid.rows] == expected  # as the report's own Markdown
    assert grid.rows[1][1] == "35.0 ± 1.2 (+5.0 [+4.0, +6.0])" and grid.rows[0][3] == "-"
    assert grid.head[4:] == ("prepare, s/photo", "predict, s/photo")
    fold = next(p for p in whole.blocks if isinstance(p, Details))
    shown = text_of([fold])
    assert "2026-01-02" in fold.title and "torch 9.9" in shown and "1,234,567" in shown
    summary = next(p.text for p in whole.blocks if isinstance(p, Paragraph) and "rooms" in p.text)
    assert "12 test photos" in summary and "3 seeds" in summary
    text = text_of([*claims_blocks(found), *guide_blocks(found)])
    where = "`run`: mIoU ↑<br>segmentation, a probe of each method's own | 12"
    own = "AnyUp 35.0 (+5.0 [+4.0, +6.0]) | JAFAR 32.5 (+2.5 [+1.5, +3.5])"
    assert "|  | photos | JAFAR | AnyUp |" in text
    assert f"| {where} | 32.5 (+2.5 [+1.5, +3.5]) | 35.0 (+5.0 [+4.0, +6.0]) |" in text
    assert f"| {where} | 3 | {own} |" in text  # the leader of three rows, and who is next
    assert "Here JAFAR takes 1.00 times AnyUp's time" in text


def test_untrained_rows_are_no_evidence(tmp_path):
    rows = [row("bilinear", 0.3), row("anyup@untrained", 0.4, control=True), row("jafar", 0.31)]
    write_report(tmp_path, rows=rows)
    found = Evidence(reports=known(results=tmp_path).reports)
    assert all(claim.here is None for claim in claims(found) if "production" in claim.text)
    assert "Here JAFAR takes" not in text_of(claims_blocks(found))
    whole = next(p for p in report_blocks(found) if isinstance(p, Details))
    assert next(p for p in whole.blocks if isinstance(p, TableBlock)).quiet == {1}


def test_at_a_glance_backbones_stand_beside_each_other(tmp_path):
    write_report(tmp_path, "a")
    unsure = row("anyup", 0.305)
    facts = write_report(tmp_path, "b", [row("bilinear", 0.3), unsure])[1]
    other = facts | {"title": "segmentation on rooms, Lite10", "backbone": {"name": "lite10"}}
    (tmp_path / "b.json").write_text(json.dumps(other | {"data": facts["data"] | {"test": 3}}))
    found = Evidence(reports=known(results=tmp_path).reports)
    blocks = report_blocks(found)
    grids = [p for p in blocks if isinstance(p, TableBlock)]
    assert len(grids) == 1
    assert grids[0].head[1:3] == ("mIoU ↑\nLite9", "mIoU ↑\nLite10")
    assert [cells[:3] for cells in grids[0].rows] == [
        ("Bilinear", "30.0", "30.0"),
        ("AnyUp", "+5.0", "(+0.5)"),
        ("JAFAR", "+2.5", "-"),
    ]
    assert len([p for p in blocks if isinstance(p, Details)]) == 2
    text = text_of(claims_blocks(found))
    assert "`a`: " in text and "`b`: " not in text  # evidence: the backbone most photos have


def test_no_report_says_how_to_make_one(tmp_path):
    blocks = report_blocks(Evidence())
    assert [type(p) for p in blocks] == [Heading, Paragraph, Code]
    assert blocks[-1].text == MAKE_ONE


@pytest.mark.parametrize(
    "break_it",
    [
        lambda facts: "{",
        lambda facts: json.dumps([1, 2]),
        lambda facts: json.dumps({k: v for k, v in facts.items() if k != "tables"}),
        lambda facts: json.dumps(facts | {"tables": [{"columns": [], "rows": [{}], "title": ""}]}),
        lambda facts: json.dumps(facts | {"methods": [{}]}),
        lambda facts: json.dumps(facts | {"data": []}),
    ],
)
def test_a_broken_report_is_one_sentence(tmp_path, break_it):
    _, facts = write_report(tmp_path, "good")
    (tmp_path / "bad.json").write_text(break_it(facts))
    reports, faults = shipped_reports(tmp_path)
    assert [report.name for report in reports] == ["good"]
    assert len(faults) == 1 and "bad.json" in faults[0] and "\n" not in faults[0]
    assert faults[0] in text_of(report_blocks(known(results=tmp_path)))


def test_equal_differences_are_left_out(tmp_path):
    write_report(tmp_path)
    table = read_report(tmp_path / "run.json").tables[0]
    cell = table["rows"][1]["cells"]["rmse"]
    assert cell_text(cell, table["columns"][1]) == "0.500"


def test_both_methods_have_one_position_encoding():
    made = [UPSAMPLERS.create(name) for name in ("anyup", "jafar")]
    assert type(made[0].rope) is type(made[1].rope)
    assert made[0].rope.freqs.shape == made[1].rope.freqs.shape


def test_blocks_are_the_same_on_paper_and_on_screen():
    grid = TableBlock(("a", "b"), (("x|y", "1\n2"),), numbers=True, quiet=frozenset({0}))
    parts = [Heading("H", 3), Paragraph("one", warning=True), Code("cmd"), Details("more", (grid,))]
    text = text_of(parts)
    assert "### H" in text and "> one" in text and "```bash\ncmd\n```" in text
    assert "| x\\|y | 1<br>2 |" in text and "|---|--:|" in text
    shown = json.loads(json.dumps(plain(parts)))
    assert [part["kind"] for part in shown] == ["heading", "words", "code", "fold"]
    assert shown[3]["blocks"][0]["rows"] == [["x|y", "1\n2"]]
    assert shown[3]["blocks"][0]["quiet"] == [0]


@pytest.mark.slow
def test_the_claim_on_training_is_filled_by_what_the_bench_wrote(tmp_path, capsys):
    claim = next(c for c in claims(Evidence()) if "trains with less memory" in c.text)
    assert claim.here is None and "Not measured here yet" in claim.verdict
    (tmp_path / "bench").mkdir()
    file = tmp_path / "bench" / "training.json"
    asked = ["bench", "training", "--guidance", "32,48", "--rounds", "1", "--out", str(file)]
    assert main(asked) == 0
    found = known(results=tmp_path)
    assert not found.faults and [row["guidance"] for row in found.training["rows"]] == [32, 48]
    claim = next(c for c in claims(found) if "trains with less memory" in c.text)
    first = found.training["rows"][0]["jafar"]["seconds"]
    table = next(p for p in claim.here if isinstance(p, TableBlock))
    assert [line[0] for line in table.rows] == ["32 px", "48 px"]
    assert dict(zip(table.head, table.rows[0], strict=True))["JAFAR, s"] == f"{first:.2f}"
    assert re.search(r"Here AnyUp takes [\d.]+ to [\d.]+ times", claim.verdict)
    assert f"{first:.2f} s" in capsys.readouterr().out
    file.write_text('{"rows": [{"guidance": 32}]}')
    found = known(results=tmp_path)
    assert found.training is None and "training.json" in found.faults[0]


def _labelled_blocks(folder, monkeypatch, bench: str) -> list[str]:
    """Draw photos of coloured blocks with their labels; return the bench's command for them."""
    monkeypatch.setattr(validation, "SIDE", 128)
    monkeypatch.setattr(labelled, "SIDE", 128)
    rng = np.random.default_rng(0)
    for name in ("images", "labels", "bench"):
        (folder / name).mkdir()
    for n in range(5):
        blocks = rng.integers(0, 4, (5, 6), dtype=np.uint8).repeat(28, 0).repeat(28, 1)
        Image.fromarray(blocks).save(folder / "labels" / f"{n}.png")
        Image.fromarray(60 * np.stack([blocks] * 3, 2)).save(folder / "images" / f"{n}.png")
    asked = ["bench", bench, "--data", str(folder / "images"), "--labelled", str(folder)]
    return [*asked, "--photos", "9", "--labelled-photos", "1", "--guidance", "128"]


@pytest.mark.slow
def test_locality_is_measured_setting_by_setting(tmp_path, monkeypatch, capsys):
    asked = _labelled_blocks(tmp_path, monkeypatch, "locality")
    file = tmp_path / "bench" / "locality.json"
    asked += ["--labels", "labels", "--out", str(file), "--sigmas", "0,1", "--heads", "0,4"]
    assert main([*asked, "--upsampler", "anyup"]) == 0
    rows = {row["setting"]: row for row in json.loads(file.read_text())["rows"]}
    assert list(rows)[:2] == ["no Gaussian, 0 bilinear", "no Gaussian, 4 bilinear"]
    assert len({row["gain_x2"] for row in rows.values()}) == len(rows) == 5
    anyup = load_upsampler("anyup", "efficientnet_lite0", device="cpu", channels=192)
    anyup.sigma_cells, anyup.bilinear_heads = 1.0, 4
    _, held_out = split(photo_paths(tmp_path / "images"))
    backbone = load_backbone("efficientnet_lite0", device="cpu")
    with torch.no_grad():
        case = next(validation.cases(held_out, backbone, FeatureCache(None), anyup.device, 128))
        near, bilinear = (
            validation.score(method, case) for method in (anyup, UPSAMPLERS.create("bilinear"))
        )
    row = rows["sigma 1, 4 bilinear"]
    assert row["gain_x4"] == pytest.approx(near[4] - bilinear[4], abs=1e-5)
    assert f"{row['gain_x4']:+.4f}" in capsys.readouterr().out


@pytest.mark.slow
def test_the_claim_on_the_window_is_filled_by_what_the_bench_wrote(tmp_path, monkeypatch, capsys):
    asked = [*_labelled_blocks(tmp_path, monkeypatch, "window"), "--ratios", "0.1,0"]
    file = tmp_path / "bench" / "window.json"
    assert main([*asked, "--labels", "labels", "--out", str(file)]) == 0

    found = known(results=tmp_path)
    rows = {row["window"]: row for row in found.window["rows"]}
    assert not found.faults and list(rows) == ["its own", "\u00b10.1", "none", "bilinear"]
    assert rows["bilinear"]["gain_x2"] == 0 and rows["bilinear"]["labels"] > 0.8
    anyup = load_upsampler("anyup", "efficientnet_lite0", device="cpu", channels=192)
    anyup.window_ratio = 0
    backbone = load_backbone("efficientnet_lite0", device="cpu")
    _, held_out = split(photo_paths(tmp_path / "images"))
    with torch.no_grad():
        case = next(validation.cases(held_out, backbone, FeatureCache(None), anyup.device, 128))
        open_wide, bilinear = (
            validation.score(method, case) for method in (anyup, UPSAMPLERS.create("bilinear"))
        )
    assert rows["none"]["gain_x2"] == pytest.approx(open_wide[2] - bilinear[2], abs=1e-5)

    claim = next(c for c in claims(found) if "far, irrelevant" in c.text)
    table = next(p for p in claim.here if isinstance(p, TableBlock))
    cells = {line[0]: line[1:] for line in table.rows}
    assert cells["without"][0] == f"{rows['none']['gain_x2']:+.4f}"
    assert cells["with its window"][2] == f"{rows['its own']['labels']:.1%}"
    assert "Not measured" not in claim.verdict
    assert f"{rows['none']['gain_x4']:+.4f}" in capsys.readouterr().out
    assert (found.window["photos"], found.window["labelled_photos"]) == (1, 1)
    file.write_text('{"rows": []}')
    found = known(results=tmp_path)
    assert found.window is None and "window.json" in found.faults[0]
    (tmp_path / "images" / "4.png").unlink()
    assert main([*asked, "--labels", "labels"]) != 0
    assert "has too few photos" in capsys.readouterr().err


def test_claims_on_alignment_and_larger_inputs_need_a_report_with_such_rows(tmp_path):
    def row(key, value, seconds):
        difference = value - 0.40
        cell = {"mean": value, "difference": difference, "interval": [difference] * 2}
        return {"key": key, "title": key, "cells": {"miou": cell}, "seconds": {"all": seconds}}

    columns = [
        {"key": "miou", "head": "mIoU", "scale": 100, "digits": 1, "higher": True, "main": True}
    ]
    rows = [row("bilinear", 0.40, 0.01), row("jafar", 0.41, 2.0), row("bilinear_x2", 0.45, 0.5)]
    rows += [row("bilinear:plain", 0.38, 0.01), row("jafar:plain", 0.39, 2.0)]
    facts = {
        "title": "t",
        "tables": [{"title": "own", "columns": columns, "rows": rows, "notes": []}],
        "data": {"test": 40},
        "backbone": {"name": "efficientnet_lite0"},
        "settings": {"input": 320},
        "methods": [],
        "date": "2026-11-28",
        "versions": {},
    }
    assert not shift_blocks(known(tmp_path, tmp_path))
    (tmp_path / "camvid.json").write_text(json.dumps(facts))
    found = known(tmp_path, tmp_path)
    texts = {claim.text: claim.verdict for claim in claims(found)}
    shift = next(text for text in texts.values() if "alignment alone" in text)
    assert "alignment alone +2.0 mIoU, the best upsampler without it +1.0" in shift
    larger = next(text for text in texts.values() if "larger input" in text)
    assert "bilinear_x2 45.0 in 0.50 s; jafar 41.0 in 2.00 s" in larger
    (grid,) = [block for block in shift_blocks(found) if hasattr(block, "rows")]
    assert [one[0] for one in grid.rows] == ["bilinear", "jafar"]
    assert grid.rows[1][1].startswith("39.0") and grid.rows[1][2].startswith("41.0")
    (grid,) = [block for block in seconds_blocks(found) if hasattr(block, "rows")]
    assert [one[0] for one in grid.rows] == ["bilinear", "bilinear_x2", "jafar"]
    facts["tables"][0]["rows"] = [rows[0], rows[3]]  # no upsampler beside bilinear
    (tmp_path / "camvid.json").write_text(json.dumps(facts))
    alone = {claim.text: claim.verdict for claim in claims(known(tmp_path, tmp_path))}
    assert alone.keys() == texts.keys() - {"Fine features need an upsampler."}
    shift = next(text for text in alone.values() if "alignment alone" in text)
    assert shift.endswith("camvid: alignment alone +2.0 mIoU.")
