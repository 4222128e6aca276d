"""Training probes: against scikit-learn, whatever the features' scale, repeatable."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch.nn import functional as F

from explorer.datasets import ClassSet, Dataset
from explorer.datasets.splits import Split
from explorer.evaluation.fitting import Samples, Schedule, fit, moments
from explorer.evaluation.tasks import Truth
from explorer.evaluation.tasks.depth import Depth
from explorer.evaluation.tasks.normals import Normals
from explorer.evaluation.tasks.segmentation import Segmentation
from explorer.probes import Prediction


def blobs(count=3000, classes=4, channels=10, seed=0):
    draw = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, channels, generator=draw)
    truth = torch.randint(classes, (count,), generator=draw)
    features = centres[truth] + 0.9 * torch.randn(count, channels, generator=draw)
    features = features * torch.logspace(-1, 1, channels) + 3
    return Samples(features.half(), truth, torch.ones(count), torch.zeros(count))


def task(classes=4):
    names = ClassSet(tuple(f"c{i}" for i in range(classes)))
    empty = Split((), (), "")
    return Segmentation(Dataset(None, "labels", "labels", empty, {}, names))


@pytest.mark.slow
def test_a_probe_reaches_the_loss_of_scikit_learn():
    samples = blobs()
    weight, bias = fit(samples, 4, task().loss, 0, Schedule(steps=800, lr=0.1, weight_decay=0.0))
    features = samples.features.float().numpy()
    mean, spread = moments(samples.features)
    oracle = LogisticRegression(C=1e6, max_iter=2000).fit(
        (features - mean.numpy()) / spread.numpy(), samples.truth
    )
    best = log_loss(samples.truth, oracle.predict_proba((features - mean.numpy()) / spread.numpy()))
    mine = F.cross_entropy(torch.from_numpy(features) @ weight.T + bias, samples.truth).item()
    assert best - 1e-4 <= mine < best * 1.02


def test_weights_change_what_is_learnt_like_repeated_pixels_do():
    samples = blobs(800)
    doubled = Samples(
        torch.cat([samples.features, samples.features[:200]]),
        torch.cat([samples.truth, samples.truth[:200]]),
        torch.ones(1000),
        torch.zeros(1000),
    )
    weights = torch.ones(800)
    weights[:200] = 2
    weighted = Samples(samples.features, samples.truth, weights * 0.8, samples.seeds)
    schedule = Schedule(steps=400)
    one, other = (fit(s, 4, task().loss, 0, schedule) for s in (doubled, weighted))
    assert torch.allclose(one[0], other[0], atol=0.02 * one[0].abs().max().item())


def test_the_features_scale_does_not_matter():
    samples = blobs(1000)
    scaled = Samples(samples.features * 8, samples.truth, samples.weights, samples.seeds)
    schedule = Schedule(steps=50)
    one, other = (fit(s, 4, task().loss, 1, schedule) for s in (samples, scaled))
    assert torch.allclose(one[0] / 8, other[0], rtol=1e-3, atol=1e-6)
    assert torch.allclose(one[1], other[1], atol=1e-3)


def test_the_same_seed_gives_the_same_probe_and_another_a_different_one():
    samples = blobs(500)
    schedule = Schedule(steps=20, batch=100)
    first, again, other = (fit(samples, 4, task().loss, s, schedule) for s in (3, 3, 4))
    assert torch.equal(first[0], again[0]) and not torch.equal(first[0], other[0])


def test_constant_channels_do_no_harm():
    samples = blobs(300)
    features = samples.features.clone()
    features[:, 2] = 7
    weight, bias = fit(
        Samples(features, samples.truth, samples.weights, samples.seeds), 4, task().loss, 0
    )
    assert weight.isfinite().all() and bias.isfinite().all()


def dataset(kind, depth_max=10.0):
    return Dataset(None, kind, kind, Split((), (), ""), {}, None, depth_max)


def test_depth_loss_is_the_scale_invariant_log_loss_of_expected_bins():
    depth = Depth(dataset("depth"))
    draw = torch.Generator().manual_seed(0)
    outputs = torch.randn(50, 256, generator=draw)
    truth = torch.rand(50, generator=draw) * 5 + 0.5
    share = outputs.relu() + 0.1
    expected = (share / share.sum(1, keepdim=True)) @ torch.linspace(0.001, 10, 256)
    error = expected.log() - truth.log()
    wanted = (error.var(correction=0) + 0.15 * error.mean() ** 2).sqrt()
    assert depth.loss(outputs, truth, torch.ones(50)).item() == pytest.approx(
        wanted.item(), rel=1e-4
    )


@pytest.mark.slow
def test_depth_and_normals_probes_learn_a_linear_scene():
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(4000, 6, generator=draw)
    depth = (1.2 + 0.4 * features[:, 0]).clamp(0.3, 5)
    samples = Samples(features.half(), depth, torch.ones(4000), torch.zeros(4000))
    job = Depth(dataset("depth"))
    weight, bias = fit(
        samples, job.outputs, job.loss, 0, Schedule(steps=500, lr=0.2, weight_decay=0.0)
    )
    found = job.probe(weight, bias).decode((features @ weight.T + bias).T).values
    assert ((found / depth).log().abs() < np.log(1.25)).float().mean() > 0.9
    normals = F.normalize(features[:, :3] + torch.tensor([0.0, 0.0, -2.0]), dim=1)
    job = Normals(dataset("normals"))
    samples = Samples(features.half(), normals, torch.ones(4000), torch.zeros(4000))
    weight, bias = fit(samples, 3, job.loss, 0, Schedule(steps=300))
    found = job.probe(weight, bias).decode((features @ weight.T + bias).T).values
    assert F.cosine_similarity(found.T, normals).mean() > 0.99


def test_a_perfect_prediction_has_perfect_scores():
    labels = torch.randint(4, (20, 20))
    truth = Truth(
        labels, torch.ones(20, 20, dtype=torch.bool), torch.ones(20, 20, dtype=torch.bool)
    )
    job = task()
    scores = job.scores(job.sums(Prediction(labels), truth))
    assert all(v == 1 for v in scores.values())
    metres = torch.rand(20, 20) + 1
    job = Depth(dataset("depth"))
    scores = job.scores(job.sums(Prediction(metres), Truth(metres, truth.valid, truth.band)))
    assert scores["rmse"] == 0 and scores["delta1"] == 1 == scores["edge_delta1"]
