"""Readings of a backbone beyond one pass: every cell says where in the photo it looks."""

import pytest
import torch
from torch.nn import functional as F

from explorer.backbones import Backbone, read
from explorer.core import ONCE, Reading

SIZE = (48, 64)


class Means(Backbone):
    """A network whose cells are the means of their squares: of (row, column), where they look."""

    name, title, dim, stride, stage, digest = "means", "Means", 3, 8, "all", "0"
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def encode(self, image):
        return F.avg_pool2d(image, self.stride)


def places(size):
    """A photo whose colours are its own coordinates, as shares of the sides."""
    rows = (torch.arange(size[0]) + 0.5) / size[0]
    cols = (torch.arange(size[1]) + 0.5) / size[1]
    return torch.stack([*torch.meshgrid(rows, cols, indexing="ij"), torch.zeros(size)])[None]


@pytest.mark.parametrize(
    ("reading", "finer"),
    [
        (ONCE, 1),
        (Reading(factor=2), 2),
        (Reading(factor=4), 4),
        (Reading(interleaved=True), 2),
        (Reading(factor=2, interleaved=True), 4),
    ],
)
def test_cells_look_at_the_middle_of_their_own_square(reading, finer):
    found = read(Means(), places, SIZE, reading)
    grid = SIZE[0] // 8 * finer, SIZE[1] // 8 * finer
    assert found.grid == grid and found.data.shape == (1, 3, *grid)
    inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))  # the border is reflected
    assert torch.allclose(found.data[inner], places(grid)[inner], atol=1e-5)


def test_mirrored_maps_are_mirrored_back():
    class Leans(Means):
        def encode(self, image):  # a cell looks one pixel to the left
            return super().encode(image.roll(1, -1))

    found = read(Leans(), places, SIZE, Reading(flipped=True)).data
    inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    assert torch.allclose(found[inner], places((6, 8))[inner], atol=1e-5)
    plain = read(Leans(), places, SIZE).data
    assert not torch.allclose(plain[inner], places((6, 8))[inner], atol=1e-3)


def test_readings_say_what_they_cost():
    assert [Reading(2).pixels, Reading(4).pixels, Reading(flipped=True).pixels] == [4, 16, 2]
    assert Reading(interleaved=True).pixels == 4 and ONCE.pixels == 1
