"""The measured offset is the true one of a network whose shift is known; what cannot be measured
is refused in one sentence."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from explorer.__main__ import main
from explorer.backbones.alignment import moved
from explorer.backbones.base import Backbone
from explorer.core import ExplorerError
from explorer.evaluation.cell_offset import at_sizes, measure
from explorer.imaging import Photo

SIDE = 128


class Known(Backbone):
    """Blurred squares of the photo on a grid of stride 8, from a place off the cells' centres."""

    name, title, stage = "known", "Known shift", "last"
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    dim, stride, origin, digest = 6, 8, "packaged", "1"

    def __init__(self, looks=(0, 0), random=False):
        super().__init__()
        self.looks, self.random = looks, random  # (dy, dx) in pixels
        line = torch.exp(-0.5 * ((torch.arange(32) - 15.5) / 6) ** 2)
        self.register_buffer("blur", torch.outer(line, line / line.sum()).expand(6, 1, -1, -1))

    def encode(self, image):
        seen = moved(image, self.looks)
        seen = F.pad(torch.cat([seen.square(), seen], 1), (12, 12, 12, 12), mode="reflect")
        found = F.conv2d(seen, self.blur, stride=8, groups=6)
        return found + self.random * torch.rand_like(found)


def photos(count=3, side=SIDE, seed=0):
    draw = np.random.default_rng(seed)
    rough = [draw.integers(0, 256, (16, 16, 3), np.uint8) for _ in range(count)]
    return [Photo(np.kron(one, np.ones((side // 16, side // 16, 1), np.uint8))) for one in rough]


@pytest.mark.parametrize("method, tolerance", [("perturbation", 0.02), ("flip", 0.02)])
@pytest.mark.parametrize("looks", [(0, 0), (3, -2), (-1, 2)])
def test_a_known_shift_is_found(looks, method, tolerance):
    found = measure(Known(looks), photos(8), SIDE, method)
    assert found.cells == pytest.approx([px / 8 for px in looks], abs=tolerance)
    assert found.pixels == pytest.approx(looks, abs=8 * tolerance)
    for low, value, high in zip(found.low, found.cells, found.high, strict=True):
        assert low <= value <= high and high - low < 0.1


def test_a_declared_offset_is_corrected():
    backbone = Known((3, -2))
    backbone.center_offset = (3.0, -2.0)
    assert backbone.shifts == ((-3, 2),)
    assert backbone.alignment_note(True) == "aligned by (-3, 2) px"
    found = measure(backbone, photos(8), SIDE, align=True)
    assert found.cells == pytest.approx((0, 0), abs=0.02)


def test_an_offset_that_depends_on_the_size_is_told():
    class Odd(Known):
        def encode(self, image):
            self.looks = (0, 0) if image.shape[-1] % 16 == 0 else (3, 3)
            return super().encode(image)

    first, flip, other, *_ = at_sizes(Odd(), photos(4, 160), SIDE)
    assert (first.input_size, other.input_size, flip.method) == (SIDE, SIDE + 8, "flip")
    assert first.differs(other) and not first.differs(flip)


@pytest.mark.parametrize(
    "backbone, given, size, words",
    [
        (Known(random=True), photos(), SIDE, "Known shift gives other features each time"),
        (Known(), photos(side=48), SIDE, "too small for an input of 128"),
        (Known(), photos(1), SIDE, "two photos or more"),
        (Known(), photos(), 64, "choose an input size of 128 or more"),
        (Known((5, 0)), photos(), SIDE, "from its centre by perturbation, half a cell or more"),
    ],
    ids=["random", "small photos", "one photo", "small input", "far"],
)
def test_what_cannot_be_measured_is_one_sentence(backbone, given, size, words):
    with pytest.raises(ExplorerError, match=words) as caught:
        measure(backbone, given, size)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 260


def test_too_far_by_flip_is_refused_too():
    with pytest.raises(ExplorerError, match="by flip, half a cell or more"):
        measure(Known((6, 0)), photos(), SIDE, "flip")


@pytest.mark.slow
def test_the_command_measures_the_default_backbone(capsys):
    words = ["measure", "alignment", "efficientnet_lite0", "--most", "2", "--input-size", "256"]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["backbone"], found["stage"]) == ("efficientnet_lite0", "blocks.5")
    assert [row["method"] for row in found["measured"]][:2] == ["perturbation", "flip"]
    assert all(-0.5 < value < -0.25 for row in found["measured"] for value in row["cells"])
    assert not found["depends_on_size"]


@pytest.mark.parametrize("given", [SIDE, SIDE + 3, SIDE + 4, SIDE + 12])
def test_sizes_between_cells_are_measured_at_both_parities_and_none_twice(given):
    found = at_sizes(Known(), photos(2, 2 * SIDE), given)
    seen = [(one.method, one.input_size) for one in found]
    assert len(set(seen)) == len(seen)
    assert found[2].input_size == found[0].input_size + 8
