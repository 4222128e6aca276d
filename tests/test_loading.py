"""Which weights an upsampler gets, and what it says about them."""

import pytest
import torch
from safetensors.torch import save_file

from explorer import load_backbone, load_upsampler
from explorer.core import ExplorerError, UnknownNameError, WeightsError
from explorer.upsamplers import UPSAMPLERS

HERE = {"device": "cpu", "allow_network": False}


@pytest.mark.parametrize("name", UPSAMPLERS.names())
def test_every_upsampler_works_with_the_embedded_default(name):
    backbone = load_backbone("efficientnet_lite0", device="cpu")
    upsampler = load_upsampler(name, "efficientnet_lite0", **HERE)
    image = torch.rand(1, 3, 64, 96)
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
    loaded = load_upsampler("jafar", channels=20, checkpoint=path, **HERE)
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
