"""A family of backbones is one file: its entries tell menus what they need to know."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from plugins import plugged_in

from explorer import backbones, load_backbone, load_upsampler
from explorer.__main__ import main
from explorer.access_policy import AccessPolicy
from explorer.backbones import BACKBONES, is_embedded, statistics, weights_cached
from explorer.core import UnknownNameError
from explorer.figure import read_recipe
from explorer.ui.choices import backbone_choices

FAMILY = '''
from torch.nn import functional as F

from explorer.backbones.base import BACKBONES, Backbone


@BACKBONES.register("shrunk")
class Shrunk(Backbone):
    """The photo itself, shrunk."""

    name = "shrunk"
    title = "Shrunk photo"
    mean, std = (0.25, 0.5, 0.75), (1.0, 1.0, 1.0)
    dim, stride, origin, digest = 3, 16, "packaged", "1"
    order = 15
    embedded = True
    stages, menu_stages = ("mean", "max"), (("max", 3),)

    def __init__(self, stage="mean", pretrained=True):
        super().__init__()
        self.stage = stage

    def encode(self, image):
        return (F.max_pool2d if self.stage == "max" else F.avg_pool2d)(image, self.stride)
'''


@pytest.fixture
def shrunk(tmp_path):
    with plugged_in(BACKBONES, backbones, tmp_path, "shrunk", FAMILY) as module:
        yield module.Shrunk


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES.names())
def test_every_entry_tells_menus_what_they_need(name):
    keeps_its_promises(name)


def keeps_its_promises(name):
    """What holds of every entry, whatever its family."""
    entry = BACKBONES.get(name)
    assert entry.title and BACKBONES.describe(name) and isinstance(entry.order, int)
    mean, std = statistics(name)
    assert len(mean) == len(std) == 3 and min(std) > 0
    assert weights_cached(name) in (True, False) and (weights_cached(name) or not is_embedded(name))
    assert all(stage in entry.stages for stage, _ in entry.menu_stages)
    if is_embedded(name):
        for stage, channels in ((None, None), *entry.menu_stages):
            made = load_backbone(name, stage, "cpu")
            size = 2 * made.stride, 3 * made.stride
            features = made.extract(torch.rand(2, 3, *size))
            assert features.data.shape == (2, made.dim, 2, 3) and features.data.isfinite().all()
            assert (made.name, made.title) == (name, entry.title)
            assert channels in (None, made.dim) and (made.mean, made.std) == (mean, std)


def test_a_file_is_found_everywhere(shrunk, examples, tmp_path, capsys):
    keeps_its_promises("shrunk")
    names = BACKBONES.names()
    assert (
        names.index("efficientnet_lite2") < names.index("shrunk") < names.index("resnet50.a1_in1k")
    )
    there, _ = backbone_choices()
    assert ("Shrunk photo · packaged", "shrunk") in there
    assert ("Shrunk photo max (3 ch) · packaged", "shrunk:max") in there
    assert main(["list", "backbones"]) == 0
    assert "The photo itself, shrunk." in capsys.readouterr().out
    strangers = AccessPolicy(trust_names=False)
    strangers.check_backbone("shrunk:max")
    with pytest.raises(UnknownNameError, match="mean, max"):
        strangers.check_backbone("shrunk:3")
    out = tmp_path / "shrunk.png"
    words = ["--backbones", "shrunk,shrunk:max", "--upsamplers", "bilinear", "--out", str(out)]
    sizes = ["--input-size", "128", "--output-size", "96"]
    assert main(["figure", str(examples / "cat.jpg"), *words, *sizes]) == 0
    assert read_recipe(out)["backbones"] == ["shrunk", "shrunk:max"]
    with Image.open(out) as picture:
        assert picture.width > 96
    method = load_upsampler("featup", "shrunk", "untrained", device="cpu")
    assert method.feat_dim == 3
