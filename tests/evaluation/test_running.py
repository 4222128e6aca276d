"""Whole evaluations on a small folder: reports, resuming, controls, probes that ship."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassJaccardIndex

from explorer.__main__ import main
from explorer.core import ExplorerError
from explorer.datasets import nearest, open_dataset
from explorer.evaluation import probing
from explorer.evaluation.result_store import Ledger, pack, unpack
from explorer.evaluation.running import Evaluation, Request, evaluate
from explorer.evaluation.statistics import difference_intervals, mean_interval
from explorer.imaging import fit_size
from explorer.probes import load_probe


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Nobody's checkpoints but those made here."""
    monkeypatch.setenv("EXPLORER_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("EXPLORER_CACHE", str(tmp_path / "cache"))


def request(scenes, out, task="segmentation", **changes):
    settings = {
        "upsamplers": ("bilinear", "nearest"),
        "controls": ("blurred",),
        "seeds": 2,
        "pixels": 64,
        "steps": 60,
        "input_size": 96,
        "output_size": 96,
        "cpu": True,
        "quiet": True,
        "allow_network": False,
    }
    return Request(task, scenes, out, **(settings | changes))


def report(out):
    return json.loads((out / "report.json").read_text())


def cell(found, table, key, column):
    row = next(r for r in found["tables"][table]["rows"] if r["key"] == key)
    return row["cells"][column]


@pytest.mark.slow
def test_segmentation_writes_a_complete_report(scenes, tmp_path):
    line = evaluate(request(scenes, tmp_path))
    assert line.startswith("segmentation on ") and "\n" not in line and "mIoU bilinear" in line
    found = report(tmp_path)
    assert [t["title"].split(",")[1][:12] for t in found["tables"]] == [
        " a probe of ",
        " one probe t",
    ]
    for table in found["tables"]:
        assert [row["key"] for row in table["rows"]] == ["bilinear", "nearest", "blurred"]
        assert any("ghost" in note for note in table["notes"])  # a class nobody labelled
    mine = cell(found, 0, "bilinear", "miou")
    assert len(mine["seeds"]) == 2 and mine["mean"] == pytest.approx(np.mean(mine["seeds"]))
    assert mine["mean"] > 0.5  # the scene is easy
    low, high = cell(found, 0, "nearest", "boundary_miou")["interval"]
    assert low <= cell(found, 0, "nearest", "boundary_miou")["difference"] <= high
    text = (tmp_path / "report.md").read_text()
    for needed in ("mIoU", "boundary", "blurred", "torch", "sha256", "python -m explorer", "seeds"):
        assert needed.lower() in text.lower(), needed
    assert (tmp_path / "chart.png").read_bytes()[:4] == b"\x89PNG"
    assert found["data"]["train"] == 8 and found["data"]["test"] == 3


@pytest.mark.slow
def test_scores_are_those_of_the_literal_path_and_torchmetrics(scenes, tmp_path):
    wanted = request(scenes, tmp_path, upsamplers=("bilinear", "jbu"), controls=(), seeds=1)
    evaluate(wanted)
    job = Evaluation(wanted)
    data = open_dataset(scenes, "labels")
    method = next(m for m in job.methods if m.key == "jbu")
    trained = [e for e in job.ledger.entries.values() if e["key"].startswith("train:")]
    assert len(trained) == 2
    scores = []
    for entry in trained:
        weight, bias = (torch.from_numpy(unpack(part).copy()) for part in entry["probes"][0])
        metric = MulticlassJaccardIndex(4, average=None, ignore_index=255)
        for example in data.test:
            photo = example.photo()
            size = fit_size(photo.size, 96)
            features = job.stage.backbone.extract(photo.tensor(fit_size(photo.size, 96, 16)))
            full = method.upsampler(photo.tensor(size), features, size)
            logits = torch.nn.functional.conv2d(full, weight[:, :, None, None], bias)
            metric.update(logits.argmax(dim=1)[0], nearest(data.read(example), size))
        scores.append(metric.compute()[:3].mean().item())
    found = report(tmp_path)
    mine = {cell(found, table, "jbu", "miou")["mean"] for table in (0, 1)}
    assert sorted(mine) == pytest.approx(sorted(scores), abs=2e-3)


@pytest.mark.slow
def test_plain_and_larger_inputs_are_rows_of_one_table(scenes, tmp_path):
    names = ("bilinear", "bilinear:plain", "bilinear_x2")
    evaluate(request(scenes, tmp_path / "both", upsamplers=names, controls=(), seeds=1))
    found = report(tmp_path / "both")
    rows = {row["key"]: row for row in found["tables"][0]["rows"]}
    assert list(rows) == list(names) and "not aligned" in rows["bilinear:plain"]["title"]
    alone = {"upsamplers": ("bilinear",), "controls": (), "seeds": 1}
    for align, name in ((False, "bilinear:plain"), (True, "bilinear")):
        out = tmp_path / str(align)
        evaluate(request(scenes, out, align=align, **alone))
        expected = cell(report(out), 0, "bilinear", "miou")["mean"]
        assert cell(found, 0, name, "miou")["mean"] == pytest.approx(expected)
    assert cell(found, 0, "bilinear_x2", "miou")["interval"]  # paired over photos
    x2, x1 = (sum(rows[key]["seconds"].values()) for key in ("bilinear_x2", "bilinear"))
    assert x2 > x1  # the backbone's time is the method's


@pytest.mark.slow
@pytest.mark.parametrize(("task", "column"), [("depth", "edge_delta1"), ("normals", "within_22.5")])
def test_depth_and_normals(scenes, tmp_path, task, column):
    evaluate(request(scenes, tmp_path, task, upsamplers=("bilinear",), seeds=1))
    found = report(tmp_path)
    value = cell(found, 0, "bilinear", column)["mean"]
    assert 0 < value <= 1
    assert cell(found, 0, "bilinear", column)["spread"] is None  # one seed has no spread


@pytest.mark.slow
def test_preservation_trains_on_bilinear_only_and_covers_labels_and_depth(scenes, tmp_path):
    evaluate(request(scenes, tmp_path, "preservation", labels="labels", seeds=1))
    found = report(tmp_path)
    assert [t["title"].split(",")[0] for t in found["tables"]] == ["segmentation", "depth"]
    assert all("shared" in t["title"] for t in found["tables"])
    ledger = Ledger(tmp_path)
    assert sum(key.startswith("train:") for key in ledger.entries) == 2
    own = tmp_path / "own"
    evaluate(request(scenes, own, "segmentation", seeds=1))
    assert cell(report(own), 1, "nearest", "miou")["mean"] == pytest.approx(
        cell(found, 0, "nearest", "miou")["mean"]
    )


@pytest.mark.slow
def test_reconstruction_and_edges(scenes, tmp_path):
    evaluate(request(scenes, tmp_path / "r", "reconstruction", input_size=256, output_size=256))
    found = report(tmp_path / "r")
    assert cell(found, 0, "bilinear", "cosine_x2")["mean"] <= 1
    assert cell(found, 0, "nearest", "consistency")["mean"] == pytest.approx(1, abs=1e-3)
    assert cell(found, 0, "blurred", "consistency")["mean"] < 0.999
    evaluate(request(scenes, tmp_path / "e", "edges", upsamplers=("bilinear", "jbu")))
    found = report(tmp_path / "e")
    rows = {row["key"]: row["cells"]["average_precision"] for row in found["tables"][0]["rows"]}
    assert list(rows) == ["bilinear", "jbu", "blurred", "photo"]
    assert rows["jbu"]["mean"] > rows["bilinear"]["mean"] and 0 <= rows["jbu"]["wins"] <= 1


@pytest.mark.slow
def test_a_second_run_measures_nothing_again(scenes, tmp_path, monkeypatch):
    wanted = request(scenes, tmp_path)
    evaluate(wanted)
    before = report(tmp_path)
    monkeypatch.setattr(probing.ProbeRun, "measure", lambda *a: pytest.fail("measured again"))
    monkeypatch.setattr(probing, "fit", lambda *a: pytest.fail("trained again"))
    evaluate(wanted)
    assert (
        report(tmp_path)["tables"][0]["rows"][0]["cells"] == before["tables"][0]["rows"][0]["cells"]
    )


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_stopped(scenes, tmp_path, monkeypatch):
    wanted = request(scenes, tmp_path)
    whole = tmp_path / "whole"
    evaluate(request(scenes, whole))
    measure, done = probing.ProbeRun.measure, []

    def killed_at_fifth(self, *args):
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(1)
        return measure(self, *args)

    monkeypatch.setattr(probing.ProbeRun, "measure", killed_at_fifth)
    with pytest.raises(KeyboardInterrupt):
        evaluate(wanted)
    assert not (tmp_path / "report.md").exists()
    with (tmp_path / "measured0.jsonl").open("a") as file:
        file.write('{"key": "score:cut')  # as a kill leaves it
    monkeypatch.setattr(probing.ProbeRun, "measure", lambda *a: done.append(1) or measure(*a))
    evaluate(wanted)
    assert len(done) == 9  # three methods, three photos
    for table in (0, 1):
        for key in ("bilinear", "nearest", "blurred"):
            one, other = (cell(report(p), table, key, "miou") for p in (tmp_path, whole))
            assert one == other


@pytest.mark.slow
def test_other_settings_are_not_taken_for_the_same(scenes, tmp_path):
    evaluate(request(scenes, tmp_path, seeds=1))
    first = len(Ledger(tmp_path).entries)
    evaluate(request(scenes, tmp_path, seeds=1, pixels=65))
    assert len(Ledger(tmp_path).entries) == 2 * first


@pytest.mark.slow
def test_features_stay_under_the_byte_limit_and_the_result_is_the_same(scenes, tmp_path):
    evaluate(request(scenes, tmp_path / "a", seeds=1))
    evaluate(request(scenes, tmp_path / "b", seeds=1, cache_bytes=50_000))
    size = sum(p.stat().st_size for p in (tmp_path / "b/features").rglob("*.safetensors"))
    assert 0 < size < 60_000
    one, other = (cell(report(tmp_path / p), 0, "nearest", "miou") for p in "ab")
    assert one == other


@pytest.mark.slow
def test_untrained_networks_are_labelled_controls(scenes, tmp_path):
    evaluate(
        request(
            scenes,
            tmp_path,
            upsamplers=("bilinear",),
            controls=("jbu", "blurred", "untrained"),
            seeds=1,
            limit_train=2,
            limit_test=1,
        )
    )
    rows = report(tmp_path)["tables"][0]["rows"]
    assert [row["title"] for row in rows] == [
        "Bilinear",
        "Joint bilateral",
        "Blurred bilinear",
        "AnyUp, untrained",
    ]
    assert [row["control"] for row in rows] == [False, True, True, True]


@pytest.mark.slow
def test_a_saved_probe_predicts_as_it_did(scenes, tmp_path):
    path = tmp_path / "checkpoints" / "probe_scene.safetensors"
    evaluate(request(scenes, tmp_path, seeds=1, save_probe=path, licence="mine"))
    probe = load_probe("probe_scene")
    assert probe.classes.names == ("sky", "ground", "ball", "ghost")
    assert probe.backbone == "efficientnet_lite0" and probe.stage == "blocks.5"
    assert 0 < probe.usual_confidence < 1
    entry = next(e for e in Ledger(tmp_path).entries.values() if e["key"].startswith("train:"))
    assert torch.equal(probe.weight, torch.from_numpy(unpack(entry["probes"][0][0]).copy()))
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["seconds"] >= 0 and card["steps"] == 60
    assert card["licence"] == "mine" and card["data"].startswith("8 photos")
    with pytest.raises(ExplorerError, match="is not among the methods"):
        evaluate(request(scenes, tmp_path, seeds=1, save_probe=path, probe_method="jafar"))


@pytest.mark.slow
def test_the_command_line(scenes, tmp_path, capsys):
    common = ["evaluate", "segmentation", "--data", str(scenes), "--quiet", "--cpu", "--offline"]
    assert main([*common, "--check"]) == 0
    assert capsys.readouterr().out.strip().endswith("is in order")
    small = ["--input-size", "96", "--output-size", "labels", "--seeds", "1", "--steps", "20"]
    small += ["--upsamplers", "bilinear", "--controls", "none", "--limit", "3,2", "--pixels", "32"]
    assert main([*common, *small, "--out", str(tmp_path)]) == 0
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last.startswith("segmentation on") and str(tmp_path / "report.md") in last
    assert report(tmp_path)["data"]["train"] == 3 and report(tmp_path)["data"]["test"] == 2
    for wrong in (["--limit", "x"], ["--output-size", "big"], ["--upsamplers", "nonsense"]):
        assert main([*common, *small, *wrong, "--out", str(tmp_path)]) == 2
        assert capsys.readouterr().err.startswith("error: ")
    assert main([*common, *small]) == 2
    assert "--out" in capsys.readouterr().err


def test_the_check_names_faults_and_ends_with_one(tmp_path, capsys):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"x")
    assert main(["evaluate", "depth", "--data", str(tmp_path), "--check", "--quiet"]) == 1
    assert "no folder depth" in capsys.readouterr().out


def test_unknown_controls_and_doubles_are_refused(scenes, tmp_path):
    with pytest.raises(ExplorerError, match="no control 'x'"):
        evaluate(request(scenes, tmp_path, controls=("x",)))
    with pytest.raises(ExplorerError, match="listed twice"):
        evaluate(request(scenes, tmp_path, upsamplers=("jbu", "jbu")))


def test_the_ledger_survives_cut_lines_and_keeps_arrays_exactly(tmp_path):
    ledger = Ledger(tmp_path)
    array = np.random.default_rng(0).normal(size=(2, 3))
    ledger.put("a", value=pack(array))
    with (tmp_path / "measured0.jsonl").open("a") as file:
        file.write('{"key": "b", "val')
    again = Ledger(tmp_path)
    assert (unpack(again.get("a")["value"]) == array).all() and again.get("b") is None
    again.put("c", value=1)
    assert Ledger(tmp_path).get("c")["value"] == 1
    other = Ledger(tmp_path, process=1)
    other.put("d", value=2)
    assert Ledger(tmp_path).get("d")["value"] == 2


@pytest.mark.slow
def test_intervals_cover_the_truth_about_as_often_as_they_say():
    draw = np.random.default_rng(0)
    hits = 0
    for number in range(200):
        low, high = mean_interval(draw.normal(1.0, 1.0, 60), seed=number)
        hits += low <= 1.0 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_paired_intervals_ignore_what_both_share():
    draw = np.random.default_rng(0)
    base = draw.normal(0, 10, (80, 1))  # photos differ wildly
    better = base + 1 + draw.normal(0, 0.1, (80, 2))
    scores = lambda sums: {"mean": sums / 80}  # noqa: E731
    low, high = difference_intervals(better, base, scores)["mean"]
    assert 0.9 < low < 1 < high < 1.1
    assert difference_intervals(base, base, scores)["mean"] == (0.0, 0.0)


@pytest.mark.slow
def test_two_processes_find_what_one_finds(scenes, tmp_path):
    def launch(processes, out):
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc_per_node", str(processes)]
        command += ["-m", "explorer", "evaluate", "segmentation", "--data", str(scenes)]
        command += ["--out", str(out), "--upsamplers", "bilinear,nearest", "--controls", "none"]
        command += ["--seeds", "1", "--steps", "20", "--input-size", "96", "--output-size", "96"]
        command += ["--pixels", "32", "--cpu", "--offline", "--quiet"]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.count("segmentation on") == 1
        return report(out)

    one, two = launch(1, tmp_path / "one"), launch(2, tmp_path / "two")
    assert two["machine"]["processes"] == 2
    for key in ("bilinear", "nearest"):
        assert cell(one, 0, key, "miou") == cell(two, 0, key, "miou")
