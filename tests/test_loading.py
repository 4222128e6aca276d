"""Which weights an upsampler gets, and what it says about them."""

import os
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import explorer.loading
from explorer import load_backbone, load_upsampler
from explorer.__main__ import main
from explorer.commands.features import features_recipe
from explorer.core import ExplorerError, UnknownNameError, WeightsError, WeightsWarning
from explorer.evaluation.methods import describe, load_methods
from explorer.imaging import Photo
from explorer.reproduce import Shown, figure_recipe
from explorer.session import Options, Session
from explorer.upsamplers import UPSAMPLERS
from explorer.views import VIEWS, measures
from explorer.weights import checkpoint, checkpoints, checkpoints_folder, find, local_file

HERE = {"device": "cpu", "allow_network": False}


def usual(name):
    """The checkpoint to ask for: the best there is, random weights where no file is known."""
    here = any(local_file(row) for row in checkpoints() if row.method == name)
    return None if here or not UPSAMPLERS.get(name).trained else "untrained"


@pytest.mark.parametrize("name", UPSAMPLERS.names())
def test_every_upsampler_works_with_the_embedded_default(name):
    backbone = load_backbone("efficientnet_lite0", device="cpu")
    upsampler = load_upsampler(name, "efficientnet_lite0", usual(name), **HERE)
    image = torch.rand(1, 3, 160, 176)
    with torch.no_grad():
        found = upsampler(image, backbone.extract(image), (48, 72))
    assert found.shape == (1, 192, 48, 72)
    assert not upsampler.training and upsampler.origin
    expected = ("untrained", "trained here") if upsampler.trained else ("training-free",)
    assert upsampler.origin.startswith(expected)


@pytest.mark.parametrize("name", ["anyup", "jafar", "featup"])
def test_untrained_weights_are_labelled_and_the_same_everywhere(name):
    first = load_upsampler(name, "efficientnet_lite0", "untrained", **HERE)
    torch.manual_seed(99)
    again = load_upsampler(name, "efficientnet_lite0", "untrained", **HERE)
    assert first.origin == first.checkpoint == "untrained"
    for key, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key


def test_a_path_to_weights(tmp_path):
    source = load_upsampler("jafar", channels=20, checkpoint="untrained", **HERE)
    path = tmp_path / "mine.safetensors"
    state = {k: v + 0.5 if v.is_floating_point() else v for k, v in source.state_dict().items()}
    save_file(state, path)
    loaded = load_upsampler("jafar", channels=20, checkpoint=path, options={}, **HERE)
    assert torch.equal(loaded.rope.freqs, source.rope.freqs + 0.5)
    assert "file" in loaded.origin and loaded.checkpoint == "mine.safetensors"
    with pytest.raises(WeightsError, match="mine.safetensors does not fit"):
        load_upsampler("jafar", channels=21, checkpoint=path, **HERE)


def test_names_nobody_knows(tmp_path):
    with pytest.raises(UnknownNameError, match="bilinear"):
        load_upsampler("sinc", **HERE)
    with pytest.raises(UnknownNameError, match="no checkpoint"):
        load_upsampler("anyup", checkpoint="anyup_of_my_dreams", **HERE)
    with pytest.raises(ExplorerError):
        load_upsampler("anyup", checkpoint=tmp_path / "absent.safetensors", **HERE)
    with pytest.raises(WeightsError):
        load_upsampler("anyup", checkpoint="anyup_paper", **HERE)


def test_channels_follow_backbone_and_stage():
    assert load_upsampler("jafar", "efficientnet_lite0", "untrained", **HERE).v_dim == 192
    staged = load_upsampler("jafar", "efficientnet_lite0", "untrained", stage="multi", **HERE)
    assert staged.v_dim == 624


# --- never random weights unasked, never a lesser row in silence ---

DINO = "vit_small_patch14_dinov2.lvd142m"


def test_without_weights_there_is_an_error_and_no_random_network():
    with pytest.raises(WeightsError) as caught:
        load_upsampler("jafar", backbone=DINO, **HERE)
    said = str(caught.value)
    assert f"jafar_{DINO}" in said  # which file
    assert str(checkpoints_folder()) in said  # where it is looked for
    assert f"weights pull jafar_{DINO}" in said and "'untrained'" in said  # what to do
    assert "\n" not in said
    with pytest.raises(WeightsError, match="no file of weights is known; train some"):
        load_upsampler("jafar", "efficientnet_lite0", stage="blocks.4", **HERE)
    asked_for = load_upsampler("jafar", DINO, "untrained", **HERE)
    assert asked_for.origin == "untrained"


def test_a_method_with_parameters_is_never_called_training_free(monkeypatch):
    class Mislabelled(UPSAMPLERS.get("jbu")):
        trained = False  # as an author may write

        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(()))

    monkeypatch.setitem(UPSAMPLERS._entries, "mislabelled", Mislabelled)
    with pytest.raises(WeightsError):
        load_upsampler("mislabelled", **HERE)
    assert load_upsampler("mislabelled", checkpoint="untrained", **HERE).origin == "untrained"


def test_a_lesser_row_warns_and_is_named():
    with pytest.warns(WeightsWarning, match="stands in for anyup_multi_backbone"):
        lesser = load_upsampler("anyup", backbone=DINO, **HERE)
    assert lesser.checkpoint == "anyup_efficientnet_lite"
    assert lesser.fallback_for == "anyup_multi_backbone"
    assert lesser.weights_caption() == "anyup_efficientnet_lite, in place of anyup_multi_backbone"
    assert lesser.provenance()["note"] == "in place of anyup_multi_backbone"


@pytest.mark.parametrize("name", UPSAMPLERS.names())
def test_the_embedded_default_needs_no_warning(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = load_upsampler(name, "efficientnet_lite0", usual(name), **HERE)
    assert made.weights_note() == "" and "note" not in made.provenance()
    assert made.weights_caption() == (made.checkpoint if made.trained else "")


@pytest.fixture
def better_elsewhere(monkeypatch):
    """A better AnyUp for EfficientNet-Lite0 is known, and cannot be had."""
    known = checkpoint("anyup_paper")
    absent = replace(known, name="anyup_of_tomorrow", file="tomorrow.pth", url=known.url + "x")
    monkeypatch.setattr(
        explorer.loading,
        "find",
        lambda method, *about: [*([absent] if method == "anyup" else []), *find(method, *about)],
    )
    return "in place of anyup_of_tomorrow"


def small_options():
    pixels = np.random.default_rng(1).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    return Options(Photo(pixels, "n.png"), ("efficientnet_lite0",), ("anyup",), 64, 64)


def test_a_lesser_row_is_named_in_captions_recipes_and_reports(better_elsewhere):
    session, options = Session("cpu", allow_network=False), small_options()
    for view in ("pca", "attention", "similarity", "reach"):
        panel = VIEWS.create(view).render(session, options)[-1]
        assert better_elsewhere in panel.caption, view
        assert better_elsewhere in panel.recipe["upsampler"]["note"], view
    recipe = figure_recipe(session, options, [Shown("pca")])
    assert [w.get("note") for w in recipe["weights"]] == [None, better_elsewhere]
    assert features_recipe(session, options, None, "float32")["upsampler"]["note"]
    assert better_elsewhere in next(iter(measures.stream(session, options))).checkpoint
    backbone = session.backbone("efficientnet_lite0")
    found = load_methods(["anyup"], backbone, backbone.name, (), allow_network=False)
    assert better_elsewhere in describe(found[0])["remark"]


def test_features_says_on_the_terminal_which_weights_it_took(better_elsewhere, tmp_path, capsys):
    photo = small_options().photo
    Image.fromarray(photo.pixels).save(tmp_path / "n.png")
    arguments = ["features", str(tmp_path / "n.png"), "--input-size", "64", "--output-size", "64"]
    assert main([*arguments, "--out", str(tmp_path / "n.safetensors")]) == 0
    assert better_elsewhere in capsys.readouterr().err


def test_a_session_takes_random_weights_only_for_the_pair_they_were_asked_for():
    pair = ("efficientnet_lite0", "efficientnet_lite0:blocks.4")
    session, options = Session("cpu", allow_network=False), small_options()
    with pytest.raises(WeightsError):
        session.upsampler("jafar", pair[1], options)
    chosen = replace(options, checkpoints={f"jafar:{pair[1]}": "untrained"})
    assert session.upsampler("jafar", pair[1], chosen).origin == "untrained"
    assert session.upsampler("jafar", pair[0], chosen).origin == "trained here"


# --- files that say, or do not say, with which settings they were made ---

# Other settings than the published ones; of further methods, those of a small instance.
OTHER = {
    "anyup": {"window_ratio": 0.25, "qk_dim": 64, "lfu_dim": 48},
    "jafar": {"sigma_cells": 1.5, "bilinear_heads": 1, "qk_dim": 64},
    "featup": {"norm": True},
}


def outputs(upsampler):
    generator = torch.Generator().manual_seed(5)
    image = torch.rand(1, 3, 48, 64, generator=generator)
    with torch.no_grad():
        return upsampler(image, torch.randn(1, 16, 6, 8, generator=generator))


@pytest.mark.parametrize("name", [n for n in UPSAMPLERS.names() if UPSAMPLERS.get(n).trained])
def test_saved_weights_bring_their_settings(name, tmp_path):
    options = OTHER.get(name, dict(UPSAMPLERS.get(name).small_options))
    given = {"channels": 16, "options": options, **HERE}
    made = load_upsampler(name, checkpoint="untrained", **given)
    made.mean, made.std = (0.4, 0.5, 0.6), (0.3, 0.2, 0.1)
    if made.adjustable_window:
        made.window_ratio = 0.4  # set after it was built
    path = made.save(tmp_path / "my weights.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = load_upsampler(name, checkpoint=path, channels=16, **HERE)
    assert torch.equal(outputs(again), outputs(made))
    assert again.settings_digest == made.settings_digest and not again.settings_assumed
    assert again.origin.startswith("file") and again.checkpoint == "my weights.safetensors"
    other = "jafar" if name != "jafar" else "anyup"
    with pytest.raises(WeightsError, match=f"holds weights of {name}, not {other}"):
        load_upsampler(other, checkpoint=path, channels=16, **HERE)


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_weights_without_settings_warn_and_say_so(ending, tmp_path):
    made = load_upsampler("jafar", channels=192, checkpoint="untrained", **HERE)
    path = tmp_path / f"mine{ending}"
    save_file(made.state_dict(), path) if ending != ".pth" else torch.save(made.state_dict(), path)
    with pytest.warns(WeightsWarning, match="does not say with which settings"):
        assumed = load_upsampler("jafar", channels=192, checkpoint=path, **HERE)
    assert assumed.weights_caption() == f"mine{ending}, settings assumed"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = load_upsampler("jafar", channels=192, checkpoint=path, options={}, **HERE)
    assert said.weights_note() == ""
    session = Session("cpu", allow_network=False)
    options = replace(small_options(), upsamplers=("jafar",), checkpoints={"jafar": str(path)})
    panel = VIEWS.create("pca").render(session, options)[-1]
    assert "settings assumed" in panel.caption
    assert panel.recipe["upsampler"]["note"] == "settings assumed"


def test_a_method_without_weights_takes_none():
    for fine in (None, "untrained", "training-free"):
        assert load_upsampler("jbu", checkpoint=fine, **HERE).origin == "training-free"
    with pytest.raises(WeightsError, match="has no weights to load; leave out its .* 'my.pth'"):
        load_upsampler("jbu", checkpoint="my.pth", **HERE)


def test_what_is_there_but_no_regular_file_is_not_called_absent(tmp_path):
    with pytest.raises(WeightsError, match="it is a folder, and a file of weights is expected"):
        load_upsampler("anyup", checkpoint=tmp_path, **HERE)
    os.mkfifo(tmp_path / "pipe.pth")
    with pytest.raises(WeightsError, match="it is a pipe or device"):
        load_upsampler("anyup", checkpoint=tmp_path / "pipe.pth", **HERE)


def test_a_known_file_is_known_by_its_digest(tmp_path):
    source = checkpoints_folder() / "anyup_efficientnet_lite.safetensors"
    copied = shutil.copy(source, tmp_path / "renamed.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = load_upsampler("anyup", checkpoint=copied, **HERE)
    assert (found.checkpoint, found.origin) == ("anyup_efficientnet_lite", "trained here")
    shipped = load_upsampler("anyup", "efficientnet_lite0", **HERE)
    assert found.settings_digest == shipped.settings_digest


@pytest.mark.parametrize(
    "header",
    [
        "",
        "[]",
        "{}",
        '{"method": 3, "options": {}, "mean": [0,0,0], "std": [1,1,1]}',
        '{"method": "anyup", "options": [], "mean": [0,0,0], "std": [1,1,1]}',
        '{"method": "anyup", "options": {}, "mean": [0,0], "std": [1,1,1]}',
        '{"method": "anyup", "options": {}, "mean": [0,0,0], "std": [1,0,1]}',
        '{"method": "anyup", "options": {}, "mean": "abc", "std": [1,1,1]}',
        "[" * 100_000,
        '{"method": "anyup", "options": {"colour": 3}, "mean": [0,0,0], "std": [1,1,1]}',
        '{"method": "anyup", "options": {"qk_dim": "x"}, "mean": [0,0,0], "std": [1,1,1]}',
        '{"method": "anyup", "options": {"qk_dim": 12}, "mean": [0,0,0], "std": [1,1,1]}',
    ],
)
def test_settings_that_make_no_sense_are_one_sentence(header, tmp_path):
    path = tmp_path / "odd.safetensors"
    save_file({"x": torch.zeros(1)}, path, {"upsampler": header})
    with pytest.raises(WeightsError) as caught:
        load_upsampler("anyup", checkpoint=path, **HERE)
    assert "odd.safetensors" in str(caught.value) and "\n" not in str(caught.value)


def test_saving_refuses_what_could_not_be_read_again(tmp_path):
    made = load_upsampler("anyup", checkpoint="untrained", **HERE)
    with pytest.raises(WeightsError, match="safetensors"):
        made.save(tmp_path / "mine.pth")
    (tmp_path / "mine.json").write_text("{}")
    with pytest.raises(WeightsError, match="describes other weights"):
        made.save(tmp_path / "mine.safetensors")
    made.window_ratio = object()
    with pytest.raises(WeightsError, match="cannot be saved"):
        made.save(tmp_path / "other.safetensors")
    jafar = load_upsampler("jafar", checkpoint="untrained", channels=16, **HERE)
    jafar.window_ratio = 0.05  # read by every call, and no argument of JAFAR's constructor
    with pytest.raises(WeightsError, match="window_ratio was changed"):
        jafar.save(tmp_path / "other.safetensors")
    assert not (tmp_path / "other.safetensors").exists()
