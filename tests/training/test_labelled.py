"""Learning from labels somebody has drawn: which photos, which boxes of them, and what is asked."""

import random
import shutil
from dataclasses import replace

import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from explorer.__main__ import main
from explorer.core import ExplorerError
from explorer.datasets import open_dataset
from explorer.imaging import resize
from explorer.resources.feature_cache import FeatureCache
from explorer.training import labelled, loop
from explorer.training.boxes import Box
from explorer.training.labelled import LabelCase, LabelledPhotos, label_case
from explorer.training.log import read_log
from explorer.training.loop import Places, Trainer, selection_score
from explorer.training.losses import lead_loss
from explorer.training.photos import photo_paths, split
from explorer.training.recipe import recipe
from explorer.training.sharpness import label_retention
from explorer.upsamplers import UPSAMPLERS

CPU = torch.device("cpu")


@pytest.fixture
def rooms(tmp_path, monkeypatch):
    """24 pictures of two halves, whose border lies elsewhere in each; a strip is unlabelled."""
    monkeypatch.setattr(labelled, "SIDE", 128)
    for folder in ("images", "labels"):
        (tmp_path / "rooms" / folder).mkdir(parents=True)
    for n in range(24):
        labels = (torch.arange(128) > 40 + 2 * n).to(torch.uint8).expand(96, -1).clone()
        colours = torch.tensor([[200, 30, 30], [30, 30, 200]])[labels.long()].to(torch.uint8)
        Image.fromarray(colours.numpy()).save(tmp_path / "rooms" / "images" / f"{n:02}.png")
        labels[:10] = 255
        Image.fromarray(labels.numpy()).save(tmp_path / "rooms" / "labels" / f"{n:02}.png")
    return tmp_path / "rooms"


def run_on(rooms, photos, backbone, folder, method="jafar", **changes):
    settings = {
        "backbones": ("efficientnet_lite0:blocks.4",),
        "options": (("qk_dim", 16),),
        "terms": (("label_consistency", 1.0),),
        "steps": 12,
        "batch": 1,
        "image": 128,
        "guidance": (32,),
        "warmup": 2,
        "lr": 2e-3,
        "fine_size": 48,
        "fine_density": (8,),
        "labelled": ("rooms/labels",),
    }
    train, held_out = split(photo_paths(photos), 2)
    return Trainer(
        recipe(method, "small", **(settings | changes)),
        [backbone],
        train,
        held_out,
        Places(folder / f"{method}.safetensors", folder / "cache"),
        cpu=True,
        validate_every=6,
        validate_photos=1,
        quiet=True,
        labelled=LabelledPhotos([open_dataset(rooms, "labels", "labels")]),
    )


@pytest.mark.parametrize("spread", [False, True])
def test_who_is_tested_or_watched_teaches_nothing(rooms, monkeypatch, spread):
    monkeypatch.setattr(labelled, "WATCHED", 1 if spread else 3)
    monkeypatch.setattr(labelled, "GAP", 2)
    dataset = open_dataset(rooms, "labels", "labels")
    photos = LabelledPhotos([dataset])
    learned = {example.name for _, example in photos.learned}
    watched = {example.name for _, example in photos.watched}
    assert learned and watched and dataset.test
    assert not learned & watched
    near = {f"{int(name) + far:02}" for name in watched for far in range(-2, 3)}
    assert learned == {example.name for example in dataset.train} - (near if spread else watched)
    assert not (learned | watched) & {example.name for example in dataset.test}
    assert not LabelledPhotos()


def test_a_photo_tested_with_one_folder_of_maps_teaches_with_none(rooms):
    """Fewer maps are split elsewhere."""
    (rooms / "labels2").mkdir()
    for n in range(18):
        shutil.copy(rooms / "labels" / f"{n:02}.png", rooms / "labels2")
    both = [open_dataset(rooms, "labels", name) for name in ("labels", "labels2")]
    photos = LabelledPhotos(both)
    tested = {example.name for dataset in both for example in dataset.test}
    learned = {example.name for _, example in photos.learned}
    watched = {example.name for _, example in photos.watched}
    assert not learned & tested and not learned & watched and not watched & tested


@pytest.mark.slow
def test_bad_maps_are_skipped_and_counted(rooms, photos, backbone, tmp_path):
    for n in (0, 3, 4):
        (rooms / "labels" / f"{n:02}.png").write_bytes(b"no picture")
    Image.new("L", (128, 96), 255).save(rooms / "labels" / "05.png")
    found = LabelledPhotos([open_dataset(rooms, "labels", "labels", "cityscapes19")])
    where = (backbone, FeatureCache(None), CPU)
    rng = random.Random(0)
    drawn = [found.draw(rng, *where) for _ in range(60)]
    list(found.watch(*where))
    assert all(case.shares.shape[1] == 19 for case in drawn)
    assert {path.stem for path in found.skipped} == {"00", "03", "04"}
    found.learned = found.learned[:1]
    with pytest.raises(ExplorerError, match="none of the 1 labelled photos can be read"):
        found.draw(rng, *where)


def test_maps_without_a_label_do_not_count(rooms, backbone):
    dataset = open_dataset(rooms, "labels", "labels")
    case = label_case(dataset, dataset.train[0], backbone, FeatureCache(None), CPU)
    empty = replace(case, shares=torch.zeros_like(case.shares))
    method = UPSAMPLERS.create("nearest")
    found = label_retention(method, [case, empty])
    assert found == label_retention(method, [case]) and found["labelled_photos"] == 1
    assert label_retention(method, [empty]) == {}


def test_a_box_of_a_case_shows_the_same_places_at_its_density(rooms, backbone):
    dataset = open_dataset(rooms, "labels", "labels")
    case = label_case(dataset, dataset.train[3], backbone, FeatureCache(None), CPU, True)
    assert case.guidance.shape == (1, 3, 96, 128) and case.cells.shape == (1, 2, 6, 8)
    assert torch.equal(case.shares.sum(dim=1)[0, 12:], torch.ones(84, 128))
    assert case.shares[0, :, :9].sum() == 0, "nobody has drawn a label there"
    for density in (16, 4):
        box = Box(range(1, 5), range(2, 8), density)
        cut = case.cut(box)
        assert cut.size == (4 * density, 6 * density) == tuple(cut.guidance.shape[-2:])
        assert torch.equal(cut.features, case.features[..., 1:5, 2:8])
        assert torch.equal(cut.cells, case.cells[..., 1:5, 2:8])
        assert torch.allclose(F.adaptive_avg_pool2d(cut.shares, (4, 6)), cut.cells)
        shown = case.guidance[..., 16:80, 32:128]
        assert torch.equal(cut.guidance, resize(shown, cut.size))
        mirrored = case.cut(box, mirrored=True)
        for name, x in vars(cut).items():
            assert torch.equal(getattr(mirrored, name), x.flip(-1)), name


def test_boxes_stay_inside_grids_that_are_not_square():
    settings = {"backbones": ("any",), "fine_size": 64, "fine_density": (4, 16)}
    made = recipe("jafar", "small", fine_aspect=(0.5, 1.0), **settings)
    rng, shapes = random.Random(0), set()
    for _ in range(60):
        box = Box.draw(made, (5, 28), rng)
        assert (
            0 <= box.rows.start < box.rows.stop <= 5 and 0 <= box.cols.start < box.cols.stop <= 28
        )
        assert max(box.size) <= 64
        shapes.add(box.size)
    assert len(shapes) > 5
    whole = recipe("jafar", "small", backbones=("any",), fine_size=112)
    assert Box.draw(whole, (21, 28), rng) == (range(21), range(28), 4)


def test_the_loss_asks_the_right_label_to_lead_where_there_is_one():
    def carried(right):
        x = torch.full((1, 3, 2, 2), (1 - right) / 2)
        x[:, 0] = right
        return x

    shares = torch.zeros(1, 3, 2, 2)
    shares[:, 0] = 1
    at = [lead_loss(carried(right), shares).item() for right in (0.0, 1 / 3, 0.5, 0.9)]
    assert at == sorted(at, reverse=True)
    assert at[0] == pytest.approx(0.55, abs=1e-4) and at[-1] < 1e-3
    half = shares.clone()
    half[..., 0, :] = 0
    wrong = carried(0.9)
    wrong[:, :, 0] = wrong[:, :, 0].flip(1)
    assert lead_loss(wrong, half).item() == pytest.approx(at[-1], abs=1e-6)
    assert lead_loss(wrong, torch.zeros_like(shares)) == 0


def test_pixels_of_which_no_label_holds_more_than_half_ask_for_nothing():
    carried = torch.tensor([0.9, 0.05, 0.05]).view(1, 3, 1, 1).expand(1, 3, 2, 2).clone()
    shares = torch.zeros(1, 3, 2, 2)
    shares[0, :, 0, 0] = torch.tensor([0.5, 0, 0])  # the rest is unlabelled
    shares[0, :, 0, 1] = torch.tensor([0.5, 0.25, 0.25])
    carried.requires_grad_()
    assert lead_loss(carried, shares) == 0
    shares[0, :, 1, 0] = torch.tensor([0.0, 0.6, 0])
    lead_loss(carried, shares).backward()
    gradient = carried.grad[0]
    assert gradient[1, 1, 0] < 0 < gradient[0, 1, 0]
    gradient[:, 1, 0] = 0
    assert not gradient.any()


@pytest.mark.slow
def test_a_run_learns_where_labels_lie_and_is_judged_by_it(rooms, photos, backbone, tmp_path):
    run = run_on(rooms, photos, backbone, tmp_path)
    run.run()
    rows = read_log(tmp_path / "jafar.log.jsonl")
    lost = [row["label_consistency"] for row in rows if "label_consistency" in row]
    assert len(lost) == 12 and sum(lost[-4:]) < 0.8 * sum(lost[:4])
    found = [row for row in rows if "gain_x2" in row]
    assert len(found) == 2 and 0 < found[-1]["labels"] <= 1 and found[-1]["labels_bilinear"] > 0.9
    assert run.best == max(found, key=selection_score)


@pytest.mark.slow
def test_featup_learns_from_labels_where_to_read_not_how_to_mix(rooms, photos, backbone, tmp_path):
    run = run_on(rooms, photos, backbone, tmp_path, "featup", options=())
    before = {name: value.clone() for name, value in run.upsampler.named_parameters()}
    run.run()
    lost = [
        row["label_consistency"]
        for row in read_log(tmp_path / "featup.log.jsonl")
        if "label_consistency" in row
    ]
    assert len(lost) == 12 and sum(lost[-4:]) < 0.8 * sum(lost[:4])
    moved = {n for n, v in run.upsampler.named_parameters() if not torch.equal(v, before[n])}
    assert {f"up{n}.sigma_spatial" for n in (1, 2, 3, 4)} <= moved
    assert not any(name.startswith("fixup_proj") for name in moved)


@pytest.mark.slow
def test_a_killed_run_with_labels_goes_on_with_the_same_curve(rooms, photos, backbone, tmp_path):
    run_on(rooms, photos, backbone, tmp_path / "whole", steps=4).run()
    cut = run_on(rooms, photos, backbone, tmp_path / "cut", steps=4)
    cut.save_seconds = 0
    step, steps = cut._train_step, iter(range(2))
    cut._train_step = lambda: step() if next(steps, None) is not None else 1 / 0
    with pytest.raises(ZeroDivisionError):
        cut.run()
    run_on(rooms, photos, backbone, tmp_path / "cut", steps=4).run()
    one, two = (read_log(tmp_path / name / "jafar.log.jsonl") for name in ("whole", "cut"))
    assert [row["loss"] for row in one if "loss" in row] == [
        row["loss"] for row in two if "loss" in row
    ]


def test_labels_kept_count_in_what_is_best():
    row = {"gain_x2": 0.02, "gain_x4": 0.03}
    worse = row | {"labels": 0.96, "labels_bilinear": 0.98}
    better = row | {"labels": 0.99, "labels_bilinear": 0.98}
    assert selection_score(worse) < selection_score(row) < selection_score(better)


@pytest.mark.parametrize(
    "changes", [{"labelled": ()}, {"terms": (("views", 1.0),)}], ids=["no photos", "no term"]
)
def test_labelled_photos_and_their_term_come_together(rooms, photos, backbone, tmp_path, changes):
    with pytest.raises(ExplorerError, match="give both or neither"):
        run_on(rooms, photos, backbone, tmp_path, **changes)


def test_nothing_left_to_learn_from(rooms):
    dataset = open_dataset(rooms, "labels", "labels")
    none = type(dataset.split)((), dataset.split.test, "all tested")
    with pytest.raises(ExplorerError, match="no labelled photo to learn from"):
        LabelledPhotos([type(dataset)(rooms, "labels", "labels", none, dataset.examples)])


@pytest.mark.slow
def test_the_command_line_names_folders_of_label_maps(rooms, photos, tmp_path, capsys):
    out = tmp_path / "made.safetensors"
    common = (
        f"train jafar --backbone efficientnet_lite0:blocks.4 --data {photos} --out {out} --cpu "
        "--steps 1 --batch 1 --held-out 2 --validate-photos 1 --guidance 16 --fine-size 32 "
        "--fine-density 4 --terms label_consistency --labelled "
    )
    assert main((common + str(rooms / "labels")).split()) == 0
    assert "labels 0." in capsys.readouterr().out
    saved = torch.load(out.with_suffix(".resume.pt"), weights_only=True)["recipe"]
    assert tuple(saved["labelled"]) == ("rooms/labels",)
    assert main((common + str(rooms / "labels99")).split()) == 2
    assert "has no folder labels99/" in capsys.readouterr().err
    for wrong in (rooms, "labels", f"{rooms}/labels,"):
        assert main((common + str(wrong)).split()) == 2
        assert "--labelled takes FOLDER/MAPS" in capsys.readouterr().err


def test_kept_counts_labelled_pixels_only():
    shares = torch.zeros(1, 2, 4, 8)
    shares[:, 0, :, :3], shares[:, 1, :, 3:6] = 1, 1
    cells = F.adaptive_avg_pool2d(shares, (1, 2))
    case = LabelCase(torch.zeros(1, 3, 4, 8), torch.zeros(1, 4, 1, 2), cells, shares)
    made = UPSAMPLERS.create("nearest").prepare(case.guidance, case.features, case.size)
    assert case.kept(made) == pytest.approx(5 / 6)


def test_steps_take_other_boxes_each_time_and_the_same_again(rooms, photos, backbone, tmp_path):
    run = run_on(rooms, photos, backbone, tmp_path, fine_aspect=(0.5, 1.0), fine_density=(4, 8))

    def boxes(number):
        at = (run.recipe, backbone, run.folder, run.cache, run.sampler(number), number, CPU)
        return list(loop.Step(*at, run.labelled).labelled_boxes())

    first = boxes(0)
    assert len(first) == run.recipe.fine_photos == 2
    assert all(torch.equal(a.cells, b.cells) for a, b in zip(first, boxes(0), strict=True))
    assert len({case.size for n in range(6) for case in boxes(n)}) > 2
