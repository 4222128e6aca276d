"""The bench command: both attentions agree, the click bench runs and reports."""

import argparse
import mmap

import numpy as np
import pytest
import torch
from PIL import Image

from explorer.__main__ import main
from explorer.commands import bench


@torch.no_grad()
def test_windowed_and_dense_attention_agree():
    case = bench.AttentionCase(grid=7, output=30, dim=16, channels=5)
    windowed, dense = case.windowed(), case.dense()
    assert windowed.shape == dense.shape == (1, 5, 30, 30)
    assert (windowed - dense).abs().max() < 1e-5
    case.bounds = case.bounds.clone()
    case.bounds[:, 1] = (case.bounds[:, 1] + 1).clamp(max=7)
    assert (case.windowed() - dense).abs().max() > 1e-3  # another window is another result


def test_memory_is_measured():
    with bench.measured() as cost:
        with mmap.mmap(-1, 64 * 2**20) as fresh:  # malloc may have as much to spare
            fresh.write(b"x" * len(fresh))
    if cost.extra is None:
        pytest.skip("this system does not tell")
    assert 0.9 * 64 * 2**20 < cost.extra < 300 * 2**20 and cost.wall > 0


def test_clicks(tmp_path, capsys):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(tmp_path / "x.png")
    arguments = ["bench", "clicks", "--photo", str(tmp_path / "x.png"), "--size", "64"]
    assert main([*arguments, "--upsamplers", "bilinear,jbu"]) == 0
    text = capsys.readouterr().out
    assert "output 43x64" in text and "jbu: median" in text and text.count("wanted:") == 2


def test_a_missed_target_fails_the_check(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench.clicks, "ATTENTION_MS", 0.0)
    Image.new("RGB", (48, 32), "teal").save(tmp_path / "x.png")
    arguments = ["bench", "clicks", "--photo", str(tmp_path / "x.png"), "--size", "64", "--check"]
    assert main([*arguments, "--upsamplers", "bilinear"]) == 1
    assert "MISSED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kill", "lost", "verdict"),
    [(False, 0, True), (False, 1, False), (True, 2, True), (True, 3, False)],
)
def test_a_kill_may_cost_each_visitor_one_request(kill, lost, verdict):
    from explorer.commands.bench.load import told

    fine = {"case": 0, "digest": "same", "from": 0.0, "at": 1.0}
    many = [fine] * (20 - lost) + [{"case": 0, "error": "connection reset"}] * lost
    args = argparse.Namespace(visitors=2, requests=10, kill=kill)
    assert all(told(many, {0: "same"}, 1.0, [], args)) is verdict
    wrong = [fine | {"digest": "another"}, *many[1:]]
    assert not all(told(wrong, {0: "same"}, 1.0, [], args))
