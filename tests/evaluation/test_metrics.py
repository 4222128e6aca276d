"""Every metric against torchmetrics, scikit-learn, scipy or the formula written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from sklearn.metrics import accuracy_score, confusion_matrix, jaccard_score
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex
from torchmetrics.regression import MeanSquaredError

from explorer.evaluation import metrics as m


def maps(seed, classes=6, size=(23, 31), ignored=0.2, absent=()):
    draw = np.random.default_rng(seed)
    target = draw.integers(0, classes, size)
    predicted = np.where(draw.random(size) < 0.5, target, draw.integers(0, classes, size))
    for gone in absent:
        target[target == gone] = 3
    target[draw.random(size) < ignored] = m.IGNORE
    return torch.from_numpy(predicted), torch.from_numpy(target)


def test_confusion_adds_up_over_images_and_equals_sklearn():
    pairs = [maps(seed) for seed in range(3)]
    counts = sum(m.confusion(p, t, 6) for p, t in pairs)
    truth = np.concatenate([t[t != 255].numpy() for _, t in pairs])
    found = np.concatenate([p[t != 255].numpy() for p, t in pairs])
    assert (counts == confusion_matrix(truth, found, labels=range(6))).all()
    assert m.pixel_accuracy(counts) == pytest.approx(accuracy_score(truth, found))
    assert m.mean_iou(counts) == pytest.approx(
        jaccard_score(truth, found, labels=range(6), average="macro")
    )


@pytest.mark.parametrize("absent", [(), (2,), (0, 5)])
def test_mean_iou_equals_torchmetrics_with_ignored_pixels_and_absent_classes(absent):
    predicted, target = maps(7, absent=absent)
    oracle = MulticlassJaccardIndex(6, average=None, ignore_index=255)(predicted, target)
    found = m.class_iou(m.confusion(predicted, target, 6))
    present = [c for c in range(6) if c not in absent]
    assert np.isnan(found[list(absent)]).all()
    assert found[present] == pytest.approx(oracle[present].numpy(), abs=1e-6)
    counts = m.confusion(predicted, target, 6)
    assert m.mean_iou(counts) == pytest.approx(oracle[present].mean().item(), abs=1e-6)
    accuracy = MulticlassAccuracy(6, average="micro", ignore_index=255)(predicted, target)
    assert m.pixel_accuracy(counts) == pytest.approx(accuracy.item(), abs=1e-6)


def test_a_predicted_but_absent_class_costs_the_others_and_is_not_averaged():
    target = torch.zeros(2, 4, dtype=torch.long)
    predicted = torch.tensor([[0, 0, 0, 1], [0, 0, 0, 1]])
    counts = m.confusion(predicted, target, 2)
    assert m.class_iou(counts)[0] == pytest.approx(6 / 8) and np.isnan(m.class_iou(counts)[1])
    assert m.mean_iou(counts) == pytest.approx(6 / 8)


def test_nothing_labelled_scores_nan():
    empty = torch.full((4, 4), 255)
    counts = m.confusion(torch.zeros(4, 4, dtype=torch.long), empty, 3)
    assert counts.sum() == 0
    assert np.isnan(m.mean_iou(counts)) and np.isnan(m.pixel_accuracy(counts))
    nothing = torch.zeros(4, 4, dtype=torch.bool)
    ones = torch.ones(4, 4)
    assert all(
        np.isnan(v) for v in m.depth_scores(m.depth_sums(ones, ones, nothing, nothing)).values()
    )
    sums = m.normal_sums(torch.ones(3, 4, 4), torch.ones(3, 4, 4), nothing)
    assert all(np.isnan(v) for v in m.normal_scores(sums).values())


def test_boundary_scores_are_the_metrics_of_the_pixels_near_an_edge():
    predicted, target = maps(3, size=(40, 40), ignored=0)
    target = target[::8, ::8].repeat_interleave(8, 0).repeat_interleave(8, 1)
    target[:3] = 255
    band = m.near(m.label_edges(target))
    edges = np.zeros(target.shape, bool)
    for row in range(40):
        for col in range(40):
            for i, j in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                if 0 <= row + i < 40 and 0 <= col + j < 40:
                    edges[row, col] |= bool(target[row, col] != target[row + i, col + j])
    assert (band.numpy() == (distance_transform_edt(~edges) <= 3)).all()
    counts = m.confusion(predicted, target, 6, band)
    kept = (band & (target != 255)).numpy()
    assert m.mean_iou(counts) == pytest.approx(
        jaccard_score(target.numpy()[kept], predicted.numpy()[kept], average="macro")
    )


def test_an_image_of_one_class_has_no_boundary():
    flat = torch.zeros(9, 9, dtype=torch.long)
    band = m.near(m.label_edges(flat))
    assert not band.any() and np.isnan(m.mean_iou(m.confusion(flat, flat, 2, band)))


def depths(seed=0, size=(20, 30)):
    draw = torch.Generator().manual_seed(seed)
    target = torch.rand(size, generator=draw) * 8 + 0.5
    predicted = target * (0.6 + torch.rand(size, generator=draw))
    return predicted, target, torch.rand(size, generator=draw) > 0.3


def test_depth_scores_equal_torchmetrics_and_the_formulas():
    pairs = [depths(seed) for seed in range(3)]
    edge = torch.zeros(20, 30, dtype=torch.bool)
    edge[:, ::3] = True
    scores = m.depth_scores(sum(m.depth_sums(p, t, v, edge) for p, t, v in pairs))
    for group, aligned in (("", False), ("aligned_", True)):
        flat = []
        for predicted, target, valid in pairs:
            scale = np.median(target[valid]) / np.median(predicted[valid]) if aligned else 1.0
            flat.append((predicted[valid] * scale, target[valid], edge[valid]))
        guess, truth, at_edge = (torch.cat(part).float() for part in zip(*flat, strict=True))
        rmse = MeanSquaredError(squared=False)(guess, truth)
        assert scores[f"{group}rmse"] == pytest.approx(rmse.item(), rel=1e-5)
        # torchmetrics' MeanAbsolutePercentageError and abs-rel are one formula
        relative = ((guess - truth).abs() / truth).mean()
        assert scores[f"{group}abs_rel"] == pytest.approx(relative.item(), rel=1e-5)
        close = (torch.maximum(guess / truth, truth / guess) < 1.25).float()
        assert scores[f"{group}delta1"] == pytest.approx(close.mean().item(), rel=1e-5)
        edges = close[at_edge.bool()].mean().item()
        assert scores[f"{group}edge_delta1"] == pytest.approx(edges, rel=1e-5)


def test_abs_rel_is_sklearns_mean_absolute_percentage_error():
    from sklearn.metrics import mean_absolute_percentage_error, root_mean_squared_error

    predicted, target, valid = depths(4)
    scores = m.depth_scores(m.depth_sums(predicted, target, valid, valid))
    guess, truth = predicted[valid].numpy(), target[valid].numpy()
    assert scores["abs_rel"] == pytest.approx(
        mean_absolute_percentage_error(truth, guess), rel=1e-5
    )
    assert scores["rmse"] == pytest.approx(root_mean_squared_error(truth, guess), rel=1e-5)


def test_alignment_forgives_a_wrong_scale_and_nothing_else():
    _, target, valid = depths()
    scores = m.depth_scores(m.depth_sums(target * 3, target, valid, valid))
    assert scores["delta1"] == 0 and scores["aligned_rmse"] == pytest.approx(0, abs=1e-6)
    assert scores["aligned_delta1"] == 1


def test_depth_edges_need_a_jump_between_valid_neighbours():
    depth = torch.ones(6, 8)
    depth[:, 4:] = 2.0
    valid = torch.ones(6, 8, dtype=torch.bool)
    found = m.depth_edges(depth, valid)
    assert found[:, 3:5].all() and found.sum() == 12
    depth[:, 4:] = 1.05
    assert not m.depth_edges(depth, valid).any()
    depth[:, 4:] = 2.0
    valid[:, 4] = False
    assert not m.depth_edges(depth, valid).any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_normal_scores_equal_the_arc_cosine(seed):
    draw = torch.Generator().manual_seed(seed)
    one = torch.nn.functional.normalize(torch.randn(3, 6, 7, generator=draw).double(), dim=0)
    other = torch.nn.functional.normalize(
        one + 0.4 * torch.randn(3, 6, 7, generator=draw).double(), dim=0
    )
    valid = torch.rand(6, 7, generator=draw) > 0.3
    if not valid.any():
        return
    scores = m.normal_scores(m.normal_sums(one, other, valid))
    angle = np.degrees(np.arccos(((one * other).sum(0)[valid]).clamp(-1, 1).numpy()))
    assert scores["mean_angle"] == pytest.approx(angle.mean(), abs=1e-4)
    assert scores["rmse_angle"] == pytest.approx(np.sqrt((angle**2).mean()), abs=1e-4)
    for limit in (11.25, 22.5, 30):
        assert scores[f"within_{limit:g}"] == pytest.approx((angle < limit).mean())


def test_scores_take_leading_axes_as_the_bootstrap_needs():
    stacked = np.stack([m.confusion(*maps(seed), 6) for seed in range(4)])
    one_by_one = [m.mean_iou(counts) for counts in stacked]
    assert m.mean_iou(stacked) == pytest.approx(one_by_one)
    sums = np.stack([m.depth_sums(*depths(s), depths(s)[2]) for s in range(4)])
    together = m.depth_scores(sums)["rmse"]
    assert together == pytest.approx([float(m.depth_scores(s)["rmse"]) for s in sums])
