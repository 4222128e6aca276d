"""Windows of neighbourhood attention: which positions, which cells, against plain definitions."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch.nn import functional as F

from explorer.core import SizeError
from explorer.upsamplers import UPSAMPLERS
from explorer.upsamplers.neighbourhood import Axis, nearest_exact, window_starts

REFERENCE = Path(__file__).parents[1] / "reference" / "naf_window_starts.safetensors"


def test_windows_start_where_natten_starts_them():
    with safe_open(REFERENCE, "pt") as file:
        for key in file.keys():
            outputs, kernel, dilation = (int(part[1:]) for part in key.split("_"))
            expected = file.get_tensor(key).numpy()
            assert (window_starts(outputs, kernel, dilation) == expected).all(), key


def test_cells_are_those_of_torchs_nearest_exact():
    for cells in range(1, 41):
        known = torch.arange(cells, dtype=torch.float32)[None, None]
        for outputs in (*range(cells, 130), 448, 1000):
            expected = F.interpolate(known, size=outputs, mode="nearest-exact")[0, 0].numpy()
            assert (nearest_exact(cells, outputs) == expected).all(), (cells, outputs)


@pytest.mark.parametrize(
    "outputs, cells, kernel", [(48, 6, 3), (50, 7, 3), (448, 32, 9), (20, 8, 2)]
)
def test_every_pixel_finds_itself_in_its_group(outputs, cells, kernel):
    axis = Axis.of(outputs, cells, kernel, outputs // cells)
    assert (axis.members.ravel()[axis.place] == np.arange(outputs)).all()
    for pixel in range(outputs):
        assert pixel in axis.members[axis.group[pixel]]
    if outputs % cells == 0:
        assert len(axis.cells) == cells - kernel + 1  # inner cells have windows of their own


@pytest.mark.parametrize("name", ["naf", "diveup"])
@pytest.mark.parametrize("grid, size", [((6, 5), (48, 40)), ((7, 5), (50, 38)), ((4, 9), (21, 64))])
@torch.no_grad()
def test_the_map_is_the_literal_one(name, grid, size):
    """Keys and values enlarged, gathered position by position for every pixel."""
    torch.manual_seed(1)
    method = UPSAMPLERS.create(name, dim=32, kernel_size=3).eval()
    image, features = torch.rand(2, 3, 60, 44), torch.randn(2, 8, *grid)
    made = method.prepare(image, features, size)
    rows, cols = (
        torch.tensor(window_starts(n, 3, n // g)[:, None] + n // g * np.arange(3))
        for n, g in zip(size, grid, strict=True)
    )
    enlarged = [
        F.interpolate(t.flatten(1, -3), size, mode="nearest-exact").unflatten(1, (4, -1))
        for t in (made.keys, features)
    ]
    keys, values = (t[:, :, :, rows][..., cols].permute(0, 1, 2, 3, 5, 4, 6) for t in enlarged)
    scores = torch.einsum("bnehw,bnehwkl->bnhwkl", made.queries, keys)
    weights = scores.flatten(4).softmax(4).unflatten(4, (3, 3))
    literal = torch.einsum("bnhwkl,bnchwkl->bnchw", weights, values).flatten(1, 2)
    assert torch.allclose(made.features(), literal, atol=2e-6)
    assert torch.allclose(made.features((5, 9)), literal[:, :, 5:9], atol=2e-6)


def test_channels_that_heads_cannot_share_are_refused():
    method = UPSAMPLERS.create("naf", dim=32, kernel_size=3)
    with pytest.raises(SizeError, match="4 heads, which 6 channels"):
        method.prepare(torch.rand(1, 3, 48, 40), torch.randn(1, 6, 6, 5), (48, 40))


def test_diveup_takes_grids_that_naf_refuses():
    image, features = torch.rand(1, 3, 48, 40), torch.randn(1, 8, 6, 5)
    with pytest.raises(SizeError, match="at least 9x9"):
        UPSAMPLERS.create("naf", dim=32).prepare(image, features)
    made = UPSAMPLERS.create("diveup", dim=32).eval().prepare(image, features)
    assert made.features().shape == (1, 8, 48, 40)
