"""A photo's measures against literal computations, whatever the bands."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny import TinySession
from torch.nn import functional as F

from explorer.evaluation.comparisons.reconstruction import Reconstruction
from explorer.resources.peak_memory import ON_LINUX, peak_memory
from explorer.upsamplers import windows
from explorer.upsamplers.streaming import averaged_back
from explorer.views import measures
from explorer.views.measures import MeasureError, Measures, measure, stream


def mean_cosine(made, target):
    """The mean over positions of the cosine over channels, in numpy, written out."""
    one, other = (
        np.asarray(x[0], dtype=np.float64).reshape(x.shape[1], -1) for x in (made, target)
    )
    products = (one * other).sum(axis=0)
    lengths = np.sqrt((one**2).sum(axis=0)) * np.sqrt((other**2).sum(axis=0))
    return (products / lengths).mean()


def averaged_literally(features, grid):
    """Average (C, H, W) over cells whose bounds are rounded outwards, cell by cell."""
    channels, height, width = features.shape
    out = np.zeros((channels, *grid))
    for i in range(grid[0]):
        for j in range(grid[1]):
            top, bottom = i * height // grid[0], -(-(i + 1) * height // grid[0])
            left, right = j * width // grid[1], -(-(j + 1) * width // grid[1])
            out[:, i, j] = features[:, top:bottom, left:right].mean(axis=(1, 2))
    return out


@pytest.mark.parametrize("method", ["bilinear", "jbu", "anyup", "featup"])
def test_reconstruction_is_the_cosine_with_the_features_of_the_full_photo(session, options, method):
    chosen = options()
    backbone, upsampler = session.tiny, session.upsampler(method, "tiny", chosen)
    photo = chosen.photo
    full = (96, 96)  # 67x80 pixels at 96, sides that 4 x stride 8 divides
    target = backbone.extract(photo.tensor(full)).data
    found = measures.reconstruction(session, chosen, "tiny", upsampler)
    for factor, small in ((2, (48, 48)), (4, (24, 24))):
        given = backbone.extract(photo.tensor(small)).data
        made = upsampler(photo.tensor(full), given, (12, 12))
        assert found[factor] == pytest.approx(mean_cosine(made, target), abs=1e-5)
    assert found[2] != found[4]


def test_reconstruction_is_what_evaluate_reports(session, options, photo):
    chosen = options()
    method = session.upsampler("jafar", "tiny", chosen)
    stage = SimpleNamespace(
        backbone=session.tiny,
        device=torch.device("cpu"),
        sizes=SimpleNamespace(input=96),
        features=lambda photo, size: session.tiny.extract(photo.tensor(size)).data,
    )
    size = chosen.output
    scene = SimpleNamespace(
        photo=photo,
        features=session.features(chosen, "tiny").data,
        guidance=photo.tensor(size),
        size=size,
    )
    theirs = Reconstruction().measure(stage, scene, SimpleNamespace(upsampler=method), None)
    ours = measure(session, chosen, "tiny", "jafar")
    assert ours.reconstruction[2] == pytest.approx(theirs["cosine_x2"], abs=1e-6)
    assert ours.reconstruction[4] == pytest.approx(theirs["cosine_x4"], abs=1e-6)
    assert ours.consistency == pytest.approx(theirs["consistency"], abs=1e-5)


@pytest.mark.parametrize(
    ("method", "rows"), [("bilinear", 1), ("jafar", 4), ("featup", 16), ("anyup", 61)]
)
def test_consistency_averages_every_cell_whatever_the_bands(options, monkeypatch, method, rows):
    monkeypatch.setattr("explorer.upsamplers.streaming.BAND_BYTES", rows * 7 * 73 * 4)
    session = TinySession()
    resampler = session.resampler(options(), "tiny", method).resampler
    whole = resampler.features()[0].numpy()
    asked = []
    original = type(resampler).features

    def watched(self, rows=None):
        asked.append(rows)
        return original(self, rows)

    monkeypatch.setattr(type(resampler), "features", watched)
    back = averaged_back(resampler)
    assert np.abs(back[0].numpy() - averaged_literally(whole, (10, 12))).max() < 1e-4
    assert None not in asked and max(stop - start for start, stop in asked) == rows
    given = session.features(options(), "tiny").data
    found = measure(session, options(), "tiny", method)
    assert found.consistency == pytest.approx(mean_cosine(back, given), abs=1e-5)
    error = np.linalg.norm((back - given)[0].numpy(), axis=0).mean()
    length = np.linalg.norm(given[0].numpy(), axis=0).mean()
    assert found.consistency_l2 == pytest.approx(error / length, abs=1e-5)


def test_what_averages_back_exactly_is_consistent(session, options):
    exact = options(output_size=96)  # 8 pixels per cell on both axes
    assert exact.output == (80, 96)
    found = measure(session, exact, "tiny", "nearest")
    assert found.consistency == pytest.approx(1, abs=1e-6)
    assert found.consistency_l2 == pytest.approx(0, abs=1e-6)
    assert measure(session, exact, "tiny", "bilinear").consistency_l2 > 0.01


def test_cost_is_of_a_fresh_run(session, options, monkeypatch):
    chosen = options()
    upsampler = session.upsampler("anyup", "tiny", chosen)
    prepared = []
    original = upsampler.prepare
    monkeypatch.setattr(
        upsampler, "prepare", lambda *given: prepared.append(original(*given)) or prepared[-1]
    )
    found = measures.cost(session, chosen, "tiny", upsampler)
    assert len(prepared) == 1
    kept = prepared[0]
    parts = [kept.values, kept.queries, kept.keys]
    assert found.held_bytes >= sum(4 * part.numel() for part in parts)
    assert found.held_bytes == kept.nbytes()
    assert 0 < found.prepare_seconds < 60 and 0 < found.project_seconds < 60


@pytest.mark.skipif(sys.platform != "linux", reason="the resident set's mark is Linux's")
def test_peak_memory_sees_what_comes_and_goes():
    with peak_memory(torch.device("cpu")) as quiet:
        pass
    with peak_memory(torch.device("cpu")) as peak:
        block = torch.ones(64 * 2**18)  # 64 MiB
        del block
    assert peak.what == ON_LINUX
    assert 60 * 2**20 < peak.extra < 160 * 2**20
    assert quiet.extra < 16 * 2**20


def test_a_normalised_space_has_no_target(session, options):
    found = measure(session, options(), "tiny", "twisted")
    assert all("normalised" in found.reconstruction[factor] for factor in (2, 4))
    assert 0 < found.consistency <= 1


def test_a_grid_too_small_is_said_and_the_other_numbers_stay(session, options):
    found = measure(session, options(input_size=32), "tiny", "anyup")
    assert isinstance(found.reconstruction[2], float)
    assert isinstance(found.reconstruction[4], str)  # one cell of 8 px


def test_pairs_come_one_by_one_and_only_once(options, monkeypatch):
    session = TinySession()
    chosen = options(backbones=("doom", "tiny"), upsamplers=("bilinear", "anyup"))
    found = list(stream(session, chosen))
    assert [type(one) for one in found] == [MeasureError, MeasureError, Measures, Measures]
    assert "doom" in found[0].sentence
    assert [one.method for one in found[2:]] == ["bilinear", "anyup"]
    assert found[2].parameters == 0 and found[2].label == "Tiny"
    anyup = session.upsampler("anyup", "tiny", chosen)
    assert found[3].parameters == sum(p.numel() for p in anyup.parameters()) > 0
    assert found[3].origin == "untrained"
    monkeypatch.setattr(measures, "cost", lambda *_: pytest.fail("measured twice"))
    assert list(stream(session, chosen))[3] is found[3]


def test_pooling_weights_are_those_of_adaptive_pooling():
    values = torch.randn(1, 1, 61, 1)
    shares = windows.pooling_shares(10, 61)
    pooled = F.adaptive_avg_pool2d(values, (10, 1))
    assert torch.allclose(shares @ values[0, 0], pooled[0, 0], atol=1e-6)
