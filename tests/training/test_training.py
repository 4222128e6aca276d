"""Training: losses as published, views fixed by their seed, runs that survive being killed."""

import json
import os
import random
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from accelerate.state import AcceleratorState
from PIL import Image
from torch.nn import functional as F

from explorer.__main__ import main
from explorer.core import ExplorerError, UnknownNameError, WeightsError
from explorer.datasets import open_dataset
from explorer.imaging import resize
from explorer.loading import load_upsampler
from explorer.resources.feature_cache import FeatureCache, cached_features
from explorer.training import loop, terms, validation
from explorer.training.log import read_log
from explorer.training.loop import Places, Trainer, start_from
from explorer.training.losses import feature_loss
from explorer.training.optimiser import enlarge, lr_factor, make_optimiser
from explorer.training.photos import PhotoFolder, View, photo_paths, split
from explorer.training.recipe import recipe
from explorer.training.segments import clusters, interior, segments
from explorer.training.sharpness import label_scores
from explorer.training.step import Sampler, jittered
from explorer.training.terms import TERMS, Objective, carry
from explorer.upsamplers import UPSAMPLERS
from explorer.weights.cards import read_card

TINY = {
    "backbones": ("efficientnet_lite0:blocks.4",),
    "steps": 5,
    "batch": 2,
    "image": 128,
    "guidance": (32,),
    "consistency_size": 16,
    "every": 2,
    "warmup": 2,
    "crops": 2,
}
QK = (("qk_dim", 16),)


def trainer(photos, backbone, folder, method="jafar", mixed_precision="no", **changes):
    options = () if method == "featup" else QK
    made = recipe(method, "small", **(TINY | {"options": options} | changes))
    train, held_out = split(photo_paths(photos), 2)
    places = Places(folder / f"{method}.safetensors", folder / "cache")
    return Trainer(
        made,
        [backbone],
        train,
        held_out,
        places,
        cpu=True,
        mixed_precision=mixed_precision,
        validate_every=100,
        validate_photos=2,
        save_seconds=0,
        quiet=True,
    )


def step_of(run, backbone, number=0):
    at = (run.recipe, backbone, run.folder, run.cache, run.sampler(0), number)
    return loop.Step(*at, torch.device("cpu"))


def losses(path):
    return [row["loss"] for row in read_log(path) if "loss" in row]


def test_the_loss_is_the_published_one():
    made, target = torch.randn(2, 7, 3, 4), torch.randn(2, 7, 3, 4)
    cosine = F.cosine_embedding_loss(
        made.permute(0, 2, 3, 1).reshape(-1, 7),
        target.permute(0, 2, 3, 1).reshape(-1, 7),
        torch.ones(24),
    )
    low, high = target.min(1, keepdim=True)[0], target.max(1, keepdim=True)[0]
    scaled = F.mse_loss((made - low) / (high - low + 1e-6), (target - low) / (high - low + 1e-6))
    assert abs(feature_loss(made, target) - (cosine + scaled)) < 1e-5
    assert feature_loss(target, target) < 1e-5


def test_held_out_photos_are_fixed_by_the_seed(photos):
    paths = photo_paths(photos)
    train, held_out = split(paths, 2, 0)
    assert split(paths, 2, 0)[1] == held_out and len(held_out) == 2
    assert not set(train) & set(held_out) and len(train) + len(held_out) == len(paths)
    assert any(split(paths, 2, seed)[1] != held_out for seed in (1, 2, 3))


def test_empty_absent_and_unreadable_folders(tmp_path):
    with pytest.raises(ExplorerError, match="not a folder"):
        photo_paths(tmp_path / "absent")
    with pytest.raises(ExplorerError, match="holds no photo"):
        photo_paths(tmp_path)
    (tmp_path / "a.jpg").write_text("no")
    with pytest.raises(ExplorerError, match="none of the 1 photos can be read"):
        PhotoFolder(photo_paths(tmp_path)).open(0)


def test_a_bad_photo_is_skipped_and_counted(photos):
    folder = PhotoFolder(photo_paths(photos))
    number, _ = folder.open(12)
    assert number == 0 and list(folder.skipped) == [photos / "99.jpg"]


def test_every_round_sees_every_photo_once_and_ranks_share_them():
    sampler = Sampler(10, 5, 3)
    seen = [pair for step in range(4) for pair in sampler(step)]
    assert sorted(n for n, turn in seen if turn == 0) == list(range(10))
    assert sorted(n for n, turn in seen if turn == 1) == list(range(10))
    two = [Sampler(10, 5, 3, ranks=2, rank=r)(1) for r in (0, 1)]
    assert two[0] + two[1] == Sampler(10, 10, 3)(1)


def test_views_depend_on_their_seed_alone(photos):
    _, photo = PhotoFolder(photo_paths(photos)).open(0)
    view = View.draw(0, 1, 7, 0.5)
    assert view == View.draw(0, 1, 7, 0.5) != View.draw(0, 2, 7, 0.5)
    assert view.cut(photo, 64).shape == (1, 3, 64, 64)


def test_a_jitter_without_zoom_or_pad_is_the_identity_or_the_mirror():
    image = torch.rand(1, 3, 16, 16)
    assert torch.allclose(jittered(image, 0.3, 0.7, 1.0, False, 0), image, atol=1e-5)
    assert torch.allclose(jittered(image, 0.3, 0.7, 1.0, True, 0), image.flip(-1), atol=1e-5)
    padded = F.pad(image, [4] * 4, mode="reflect")
    moved = jittered(image, 1.0, 0.0, 1.5, False, 4)
    assert torch.allclose(moved, padded[..., 8:, :16], atol=1e-5)


def test_the_cache_keeps_half_precision_under_its_limit(tmp_path, backbone):
    cache = FeatureCache(tmp_path, limit_bytes=3000)
    first = cache.get("a", lambda: torch.full((1, 1000), 1 / 3))
    again = cache.get("a", lambda: pytest.fail("a is on disk"))
    assert torch.equal(first, again) and abs(first[0, 0] - 1 / 3) < 1e-3
    cache.get("b", lambda: torch.zeros(1, 1000))
    assert cache.used == 2000
    file = next(tmp_path.glob("*/*.safetensors"))
    file.write_bytes(b"damaged")
    assert torch.equal(FeatureCache(tmp_path).get("a", lambda: first), first)
    made = cached_features(FeatureCache(None), backbone, "x", lambda: torch.rand(1, 3, 32, 32))
    assert made.shape == (1, 112, 2, 2)


AT_USE = (
    ("grid_consistency", 0.5),
    ("image_consistency", 1.0),
    ("segment_consistency", 0.2),
    ("cluster_consistency", 0.2),
)


@pytest.mark.slow
@pytest.mark.parametrize("further", [(), AT_USE])
@pytest.mark.parametrize("budget", ["small", "published"])
@pytest.mark.parametrize("method", ["jafar", "anyup", "featup"])
def test_every_term_of_every_recipe_learns(photos, backbone, tmp_path, method, budget, further):
    """Each term gives a finite loss whose gradient reaches the upsampler."""
    made = recipe(method, budget, backbones=("any",))
    made = replace(made, terms=tuple((dict(made.terms) | dict(further)).items()))
    names = [name for name, _ in made.terms]
    extra = {"options": tuple(dict(made.options).items())}
    if method != "featup":
        extra["options"] += QK
    run = trainer(photos, backbone, tmp_path, method, terms=made.terms, every=1, jitters=1, **extra)
    step = step_of(run, backbone, 3)
    objective = run.objective.train()
    if method == "featup" and further:
        with pytest.raises(ExplorerError, match="every channel shares"):
            objective(step)
        return
    for name, value in objective(step).items():
        assert value.isfinite(), name
        grads = torch.autograd.grad(
            value, list(run.upsampler.parameters()), allow_unused=True, retain_graph=True
        )
        assert sum(g.abs().sum() for g in grads if g is not None) > 0, name
    assert set(names) <= set(TERMS)


def test_segments_follow_colours_and_are_the_same_again():
    photo = torch.zeros(3, 40, 60)
    photo[:, :, 23:] = torch.tensor([0.9, 0.2, 0.1])[:, None, None]
    found = segments(photo, 6, seed=3)
    assert found.shape == (40, 60) and found.min() >= 0 and found.max() < 6
    assert not set(found[:, :23].unique().tolist()) & set(found[:, 23:].unique().tolist())
    assert torch.equal(found, segments(photo, 6, seed=3))
    plain = segments(torch.full((3, 40, 60), 0.5), 6, seed=3)
    assert len(plain.unique()) > 3, "without colours, places divide the photo"


def test_clusters_and_what_lies_inside_them():
    features = torch.zeros(3, 6, 8)
    features[0, :, :4], features[1, :, 4:] = 2.0, 1.0
    features[0, 0, 0] = 5.0  # longer, but of the same direction
    found = clusters(features, 4, seed=0)
    assert found.shape == (6, 8) and len(found.unique()) == 2
    assert len(found[:, :4].unique()) == 1 and found[0, 0] != found[0, 7]
    members = F.one_hot(found, 4).permute(2, 0, 1)[None].float()
    inside = interior(members)
    assert inside.shape == (1, 6, 8)
    assert torch.equal(inside[0, 2], torch.tensor([1.0, 1, 1, 0, 0, 1, 1, 1]))


def test_segments_and_clusters_fault_reading_cells_of_a_like_colour_far_away(
    photos, backbone, tmp_path
):
    """One checkered photo with other features in each half: its colours come out right from any
    cell of the colour, its segments and clusters only from near ones.
    """
    whole = {"fine_size": 64, "fine_density": (), "fine_aspect": (1.0, 1.0)}
    run = trainer(photos, backbone, tmp_path, terms=AT_USE, every=1, **whole)
    tiles = (torch.arange(64)[:, None] // 8 + torch.arange(64) // 8) % 2
    photo = tiles.float().expand(2, 3, 64, 64)
    step = step_of(run, backbone)
    halves = torch.eye(112)[:2].T.reshape(1, 112, 1, 2)
    step.images = photo
    step.target = halves.repeat_interleave(4, dim=3).expand(2, -1, 8, -1)

    class Fixed(torch.nn.Module):
        convex = True

        def __init__(self, far):
            super().__init__()
            self.far = far

        def prepare(self, image, features, output_size):
            made = UPSAMPLERS.create("nearest").prepare(image, features, output_size)
            carry = made.apply
            made.apply = lambda cells: carry(cells.roll((4, 4), (2, 3)) if self.far else cells)
            return made

    near = Objective(Fixed(False), run.recipe, 112)(step)
    far = Objective(Fixed(True), run.recipe, 112)(step)
    assert far["image_consistency"] < 1e-6 and near["image_consistency"] < 1e-6
    assert far["segment_consistency"] > 3 > 1 > near["segment_consistency"]
    step.rng = random.Random(3)
    with pytest.MonkeyPatch.context() as patch:
        counts = []
        patch.setattr(
            terms, "segments", lambda p, n, seed: counts.append(n) or segments(p, n, seed)
        )
        for _ in range(9):
            carry(Objective(Fixed(False), run.recipe, 112), step)
    assert set(counts) == {16, 32, 64}, "a whole grid's numbers of segments are the known ones"
    assert near["cluster_consistency"] == pytest.approx(0, abs=1e-6)
    assert far["cluster_consistency"] > 1


@pytest.mark.slow
@pytest.mark.parametrize("norm", [False, True])
def test_multiview_is_in_units_of_the_features_however_large_they_are(
    photos, backbone, tmp_path, monkeypatch, norm
):
    """Raw features of CNNs are large: the predicted uncertainty must not make losses of 1e9."""
    chosen = {"terms": (("multiview", 1.0),), "options": (("norm", norm),)}
    run = trainer(photos, backbone, tmp_path, "featup", jitters=1, **chosen)
    torch.nn.init.zeros_(run.upsampler.fixup_proj[1].bias)  # all but this is linear in features
    first = step_of(run, backbone)
    torch.manual_seed(0)
    objective = Objective(run.upsampler, run.recipe, backbone.dim).eval()
    with torch.no_grad():
        plain = objective(first)["multiview"].item()
        whole = loop.Step.collect
        monkeypatch.setattr(loop.Step, "collect", lambda *args: 40 * whole(*args))
        large = objective(step_of(run, backbone))["multiview"].item()
    assert 0 < plain < 10
    assert large == pytest.approx(plain, rel=1e-3)


@pytest.mark.slow
def test_constant_consistency_brings_featups_kernels_to_sum_to_one(photos, backbone, tmp_path):
    """What is drawn and probed has the features' size then; jafar's rows sum to one anyway."""
    changes = {"terms": (("constant_consistency", 1.0),), "every": 1, "lr": 3e-3}
    whole = {"fine_size": 64, "fine_density": (), "fine_aspect": (1.0, 1.0)}
    lost = {}
    for method in ("featup", "jafar"):
        run = trainer(photos, backbone, tmp_path, method, **changes, **whole)
        run.objective.eval()
        step = step_of(run, backbone)
        with torch.no_grad():
            lost[method] = run.objective(step)["constant_consistency"].item()
            if method == "featup":
                torch.nn.init.zeros_(run.upsampler.fixup_proj[1].weight)
                torch.nn.init.zeros_(run.upsampler.fixup_proj[1].bias)
                photo = resize(step.images[: run.recipe.fine_photos], (64, 64))
                ones = torch.ones(len(photo), 112, *step.target.shape[-2:])
                made = run.upsampler(photo, ones, (64, 64))
                wanted = (made - 1).square().mean().item()
    assert lost["featup"] == pytest.approx(wanted, rel=1e-4) and wanted > 1e-4
    assert lost["jafar"] < 1e-9
    run = trainer(photos, backbone, tmp_path / "run", "featup", steps=12, **changes, **whole)
    run.run()
    found = [
        row["constant_consistency"]
        for row in read_log(tmp_path / "run" / "featup.log.jsonl")
        if "constant_consistency" in row
    ]
    assert len(found) == 12 and sum(found[-4:]) < 0.5 * sum(found[:4])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["featup", "jafar"])
def test_noise_consistency_is_a_pixels_sum_of_squared_weights(
    photos, backbone, tmp_path, monkeypatch, method
):
    monkeypatch.setattr(terms, "NOISES", 512)
    changes = {"terms": (("noise_consistency", 1.0),), "every": 1, "fine_size": 32}
    run = trainer(photos, backbone, tmp_path, method, **changes)
    run.objective.eval()
    step = step_of(run, backbone)
    with torch.no_grad():
        found = run.objective(step)["noise_consistency"].item()
        photo = resize(step.images[: run.recipe.fine_photos], (32, 32))
        resampler = run.upsampler.prepare(photo, step.target[: len(photo)], (32, 32))
        squares = [
            resampler.stencil(row, col, batch).square().sum()
            for batch in range(len(photo))
            for row in range(32)
            for col in range(32)
        ]
    assert found == pytest.approx(torch.stack(squares).mean().item(), rel=0.1)


@pytest.mark.slow
def test_noise_consistency_teaches_featup_to_average(photos, backbone, tmp_path):
    """Beside constant_consistency, or shrinking all features would do."""
    both = (("constant_consistency", 1.0), ("noise_consistency", 1.0))
    whole = {"fine_size": 64, "fine_density": (), "fine_aspect": (1.0, 1.0)}
    run = trainer(
        photos, backbone, tmp_path, "featup", terms=both, every=1, lr=3e-3, steps=12, **whole
    )
    run.run()
    rows = [row for row in read_log(tmp_path / "featup.log.jsonl") if "loss" in row]
    sums = [1 - row["constant_consistency"] ** 0.5 for row in rows]  # of the weights, about
    ratio = [row["noise_consistency"] / of**2 for row, of in zip(rows, sums, strict=True)]
    assert len(rows) == 12 and sum(ratio[-4:]) < 0.8 * sum(ratio[:4])


def test_the_terms_at_the_density_of_use_see_many_shapes_and_densities(photos, backbone, tmp_path):
    terms = (("grid_consistency", 1.0), ("segment_consistency", 1.0))
    dense = {"fine_size": 64, "fine_density": (4, 16), "fine_aspect": (0.5, 1.0)}
    run = trainer(photos, backbone, tmp_path, terms=terms, every=1, **dense)
    longest = {4: 8, 16: 4}  # 8 cells there are, 4 of 16 pixels fit
    seen = {4: set(), 16: set()}
    for number in range(24):
        step = step_of(run, backbone, number)
        rows, cols, density = step.fine_box()
        assert (rows, cols, density) == step.fine_box()
        sides = len(rows), len(cols)
        assert max(sides) == longest[density] and min(sides) >= longest[density] // 2
        assert min(rows.start, cols.start) >= 0 and max(rows.stop, cols.stop) <= 8
        if sides not in seen[density]:
            made = carry(run.objective, step)
            size = (len(rows) * density, len(cols) * density)
            assert made["features"].shape == (2, 112, *size)
            assert made["segments"].shape == (2, *size)
            across = slice(16 * cols.start, 16 * cols.stop)
            cut = step.images[:, :, 16 * rows.start : 16 * rows.stop, across]
            assert torch.equal(made["photo"], resize(cut, size))
        seen[density].add(sides)
    for sides in seen.values():
        assert any(a < b for a, b in sides) and any(a > b for a, b in sides)


@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_same_curve(photos, backbone, tmp_path, monkeypatch):
    whole = trainer(photos, backbone, tmp_path / "whole")
    whole.run()
    expected = losses(whole.places.log)
    assert len(expected) == 5 and expected[0] != expected[1]

    killed = trainer(photos, backbone, tmp_path / "killed")
    normal = killed._train_step

    def die():
        if killed.step == 3:
            raise SystemExit("killed")
        return normal()

    monkeypatch.setattr(killed, "_train_step", die)
    with pytest.raises(SystemExit):
        killed.run()
    assert len(losses(killed.places.log)) == 3
    trainer(photos, backbone, tmp_path / "killed").run()
    assert losses(killed.places.log) == pytest.approx(expected, abs=1e-6)
    assert whole.places.out.exists() and whole.places.curve.stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.parametrize("method", ["jafar", "anyup"])
def test_bfloat16_gives_nearly_the_same_losses(photos, backbone, tmp_path, method):
    found = {}
    for kind in ("bf16", "no"):  # what Accelerate holds of a process ends as it began
        AcceleratorState._reset_state()
        (tmp_path / kind).mkdir()
        run = trainer(photos, backbone, tmp_path / kind, method, mixed_precision=kind, steps=3)
        run.run()
        found[kind] = losses(tmp_path / kind / f"{method}.log.jsonl")
    assert found["bf16"] == pytest.approx(found["no"], rel=0.05)
    assert found["bf16"] != found["no"]


@pytest.mark.slow
def test_another_recipe_does_not_go_on_from_it(photos, backbone, tmp_path):
    trainer(photos, backbone, tmp_path, steps=1).run()
    with pytest.raises(WeightsError, match="lr"):
        trainer(photos, backbone, tmp_path, steps=1, lr=0.5).run()
    trainer(photos, backbone, tmp_path, steps=2).run()


@pytest.mark.slow
def test_a_run_from_before_a_setting_existed_goes_on(photos, backbone, tmp_path):
    run = trainer(photos, backbone, tmp_path, steps=1)
    run.run()
    state = torch.load(run.places.resume, weights_only=True)
    for absent in ("rope_scale", "fine_photos"):
        del state["recipe"][absent]
    torch.save(state, run.places.resume)
    with pytest.raises(WeightsError, match="fine_photos: 2 -> 1"):
        trainer(photos, backbone, tmp_path, steps=2, fine_photos=1).run()
    trainer(photos, backbone, tmp_path, steps=2).run()
    assert len(losses(run.places.log)) == 2


def test_a_run_leaves_the_processor_as_it_was(photos, backbone, tmp_path):
    trainer(photos, backbone, tmp_path, steps=1).run()
    assert torch.finfo(torch.float64).tiny / 2 > 0  # tiny numbers are not flushed to zero


@pytest.mark.slow
def test_what_was_trained_loads_and_scores(photos, backbone, tmp_path):
    run = trainer(photos, backbone, tmp_path, steps=2)
    best = run.run()
    assert {"gain_x2", "wins_x4", "cosine_x2"} <= set(best)
    loaded = load_upsampler("jafar", checkpoint=run.places.out, device="cpu")
    assert not loaded.settings_assumed  # the file carries what it was trained with
    for name, value in run.upsampler.settings.items():
        assert loaded.settings[name] == value or name == "training", name
    for name, value in run.best_state.items():
        assert torch.equal(loaded.state_dict()[name], value), name


def test_a_loss_that_explodes_stops_the_run(photos, backbone, tmp_path):
    run = trainer(photos, backbone, tmp_path, lr=10.0, clip=0.0, warmup=0)
    with torch.no_grad():  # one step away from infinity
        next(run.upsampler.parameters()).fill_(1e38)
    with pytest.raises(ExplorerError, match="lower --lr"):
        run.run()


def test_the_ceiling_is_above_every_convex_method(photos, backbone):
    _, held_out = split(photo_paths(photos), 2)
    case = next(validation.cases(held_out, backbone, FeatureCache(None), torch.device("cpu")))
    top = validation.ceiling(case, 2)
    for name in ("nearest", "bilinear", "jbu"):
        assert validation.score(UPSAMPLERS.create(name), case)[2] <= top + 1e-4


def test_learning_rate_warms_up_and_decays():
    made = recipe("jafar", "small", **(TINY | {"steps": 100, "warmup": 10}))
    values = [lr_factor(made, n) for n in range(100)]
    assert values[0] == pytest.approx(0.1) and max(values) == pytest.approx(1.0)
    assert values[99] < 0.01 and values[30] > values[60]


def test_larger_filters_let_the_keys_see_the_features():
    given = F.normalize(torch.randn(1, 48, 8, 8, generator=torch.Generator().manual_seed(0)), dim=1)

    def contrast(scale: float) -> float:
        torch.manual_seed(0)
        upsampler = UPSAMPLERS.create("anyup", qk_dim=16, feature_layer="paper")
        enlarge(upsampler, scale)
        described = upsampler.key_features_encoder[0](given)
        return (described.std(dim=(2, 3)) / described.mean(dim=(2, 3))).mean().item()

    assert contrast(1.0) < 1e-3 and contrast(300.0) > 0.05


def test_larger_filters_step_further():
    made = recipe("anyup", "small", **(TINY | {"basis_scale": 40.0}))
    upsampler = UPSAMPLERS.create("anyup", qk_dim=16)
    groups = make_optimiser(made, upsampler).param_groups
    (large,) = (group for group in groups if group["times"] == 40.0)
    assert [p is upsampler.key_features_encoder[0].basis for p in large["params"]] == [True]
    assert sum(len(group["params"]) for group in groups) == len(list(upsampler.parameters()))


def test_recipes_and_terms_nobody_knows(backbone):
    with pytest.raises(UnknownNameError, match="jafar"):
        recipe("bilinear", "small", backbones=("x",))
    with pytest.raises(UnknownNameError, match="views"):
        Objective(
            UPSAMPLERS.create("jafar", v_dim=112, qk_dim=16),
            recipe("jafar", "small", **(TINY | {"terms": (("magic", 1.0),)})),
            112,
        )
    with pytest.raises(ExplorerError, match="featup"):
        Objective(
            UPSAMPLERS.create("jafar", v_dim=112, qk_dim=16),
            recipe("jafar", "small", **(TINY | {"terms": (("multiview", 1.0),)})),
            112,
        )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("--fine-density 4,x", "--fine-density takes whole numbers with commas, not '4,x'"),
        ("--guidance 56,-3", "--guidance takes whole numbers"),
        ("--fine-aspect 1", "--fine-aspect takes 2 numbers"),
    ],
)
def test_lists_that_are_none_are_refused_in_a_sentence(photos, tmp_path, capsys, given, says):
    common = f"train jafar --backbone efficientnet_lite0 --data {photos} --out {tmp_path}/a {given}"
    assert main(common.split()) != 0
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"fine_aspect": (0.0, 1.0)}, "share of a side"),
        ({"fine_aspect": (0.9, 0.5)}, "share of a side"),
        ({"fine_density": (4, 33), "fine_size": 64}, "to 32"),
        ({"fine_density": (0,)}, "from 1 pixel"),
    ],
)
def test_grids_nobody_can_cut_are_refused(changes, says):
    with pytest.raises(ExplorerError, match=says):
        recipe("jafar", "small", backbones=("any",), **changes)


@pytest.mark.slow
def test_the_command_line_sets_what_the_terms_at_use_see(photos, tmp_path):
    out = tmp_path / "made.safetensors"
    main(
        f"train jafar --backbone efficientnet_lite0:blocks.4 --data {photos} --out {out} --cpu "
        "--steps 1 --batch 1 --held-out 2 --validate-photos 1 --guidance 16,32 --quiet --every 1 "
        "--terms views,cluster_consistency=0.5 --options bilinear_heads=1,sigma_cells=1.5 "
        "--fine-size 32 --fine-density 2,4 --fine-aspect .5,1".split()
    )
    used = read_log(out.with_suffix(".log.jsonl"))
    assert any("cluster_consistency" in row for row in used)
    saved = torch.load(out.with_suffix(".resume.pt"), weights_only=True)["recipe"]
    assert saved["fine_size"] == 32 and tuple(saved["fine_density"]) == (2, 4)
    assert tuple(saved["fine_aspect"]) == (0.5, 1) and tuple(saved["guidance"]) == (16, 32)
    assert saved["options"] == {"bilinear_heads": 1, "sigma_cells": 1.5}


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("--terms", "views=much"),
        ("--terms", ""),
        ("--options", "bilinear_heads"),
        ("--options", "heads=3"),
        ("--guidance", ""),
        ("--fine-density", ""),
        ("--fine-aspect", ""),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_in_a_sentence(argument, value, photos, capsys):
    given = ["train", "jafar", "--backbone", "efficientnet_lite0", "--data", str(photos)]
    assert main([*given, "--out", "never.safetensors", argument, value]) == 2
    said = capsys.readouterr().err
    assert argument in said or "loss term" in said or "no option" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_weights_are_shipped_and_shipped_again_with_other_options(photos, tmp_path, capsys):
    out, shipped = tmp_path / "jafar_made.safetensors", tmp_path / "checkpoints"
    common = ["--data", str(photos), "--held-out", "2"]
    given = ["train", "jafar", "--backbone", "efficientnet_lite0:blocks.4", "--out", str(out)]
    given += ["--steps", "1", "--batch", "1", "--terms", "views", "--guidance", "16", "--cpu"]
    assert main([*given, *common, "--validate-photos", "1", "--quiet"]) == 0
    again = [*common, "--photos", "1", "--guidance", "32", "--device", "cpu"]
    notes = ["--notes", "as trained"]
    assert main(["ship", str(out), "--out", str(shipped), *again, *notes]) == 0
    target = shipped / out.name
    first = read_card(target)
    assert first["options"] == {} and first["notes"] == "as trained" and first["steps"] == 1

    near = ["--options", "bilinear_heads=400", "--out", str(shipped)]
    assert main(["ship", str(target), *again, *near]) == 0
    card = read_card(target)
    scores = {name: next(iter(c["scores"].values())) for name, c in (("1", first), ("2", card))}
    assert abs(scores["2"]["gain_x2"]) < 0.002 < abs(scores["1"]["gain_x2"])  # nearly bilinear
    assert card["options"] == {"bilinear_heads": 400} and card["recipe"]["options"] == {}
    changed = {key for key in card if card[key] != first[key]}
    assert changed == {"options", "scores"}
    assert load_upsampler("jafar", checkpoint=target, device="cpu").bilinear_heads == 400

    capsys.readouterr()
    assert main(["ship", str(target), *again, "--options", "bilnear_heads=1"]) == 2
    assert "no option" in capsys.readouterr().err
    target.with_suffix(".json").unlink()
    assert main(["ship", str(target), *again]) == 2
    assert "has not been trained here" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_equal_one_with_twice_the_batch(photos, tmp_path):
    """Accelerate under torchrun, gloo: gradients are averaged over both halves of the batch."""
    common = ["-m", "explorer", "train", "jafar", "--backbone", "efficientnet_lite0:blocks.4"]
    common += ["--data", str(photos), "--steps", "3", "--terms", "views", "--guidance", "32"]
    common += ["--held-out", "2", "--validate-photos", "1", "--cpu", "--quiet"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    found = {}
    for name, launcher, batch in (
        ("one", [sys.executable], 4),
        ("two", [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"], 2),
    ):
        out = tmp_path / f"{name}.safetensors"
        command = [*launcher, *common, "--batch", str(batch), "--out", str(out)]
        command += ["--cache", str(tmp_path / "cache")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        found[name] = losses(out.with_suffix(".log.jsonl"))
    assert len(found["one"]) == 3
    assert found["two"] == pytest.approx(found["one"], rel=2e-3)
    assert json.dumps(found["one"])


@pytest.mark.slow
def test_labels_survive_sharp_weights_better_than_blurred_ones(backbone, tmp_path):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    labels = (torch.arange(64)[:, None] // 24 + torch.arange(96) // 40).to(torch.uint8)
    colours = torch.tensor([[200, 30, 30], [30, 200, 30], [30, 30, 200], [90, 90, 90], [9, 9, 9]])
    for name in ("a", "b", "c", "d", "e"):
        Image.fromarray(labels.numpy()).save(tmp_path / "labels" / f"{name}.png")
        pixels = colours[labels.long()].to(torch.uint8).numpy()
        Image.fromarray(pixels).save(tmp_path / "images" / f"{name}.png")
    dataset = open_dataset(tmp_path, "labels", "labels")

    class Blurred(UPSAMPLERS.get("bilinear")):
        def prepare(self, image, features, output_size=None):
            small = F.adaptive_avg_pool2d(features, 2)
            made = super().prepare(image, small, output_size)
            carry = made.apply
            made.apply = lambda cells, rows=None: carry(F.adaptive_avg_pool2d(cells, 2), rows)
            return made

    found = {}
    for method in (UPSAMPLERS.create("jbu"), Blurred()):
        method.register_parameter("somewhere", torch.nn.Parameter(torch.zeros(1)))
        scores = label_scores(method, backbone, dataset, 1, FeatureCache(None))
        found[type(method).__name__] = scores["labels"] - scores["labels_bilinear"]
        assert isinstance(method, Blurred) or scores["labels"] == scores["labels_jbu"]
    assert scores["labelled_photos"] == 1 and scores["labels_bilinear"] > 0.9
    assert found["Blurred"] < -0.05 < max(found.values())


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_a_run_starts_from_any_weights_a_user_saved(tmp_path, ending):
    source, target = (UPSAMPLERS.create("featup", feat_dim=8) for _ in range(2))
    path = tmp_path / f"mine{ending}"
    source.save(path) if ending == ".safetensors" else torch.save(source.state_dict(), path)
    start_from(target, path)
    state = target.state_dict()
    assert all(torch.equal(state[name], value) for name, value in source.state_dict().items())


def test_weights_a_run_cannot_start_from_are_one_sentence(tmp_path):
    UPSAMPLERS.create("anyup").save(tmp_path / "other.safetensors")
    torch.save(UPSAMPLERS.create("featup", feat_dim=12).state_dict(), tmp_path / "wide.pth")
    method = UPSAMPLERS.create("featup", feat_dim=8)
    with pytest.raises(WeightsError, match="holds weights of anyup, not featup"):
        start_from(method, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="cannot start from wide.pth: .*size mismatch") as caught:
        start_from(method, tmp_path / "wide.pth")
    assert "\n" not in str(caught.value)
