"""Features at single pixels, and which pixels a probe learns from."""

from __future__ import annotations

import pytest
import torch

from explorer.evaluation.pixels import choose_pixels
from explorer.upsamplers import UPSAMPLERS


def resampler(name, channels=12, size=(35, 51), grid=(5, 7), batch=2):
    draw = torch.Generator().manual_seed(0)
    kind = UPSAMPLERS.get(name)
    torch.manual_seed(0)
    upsampler = (
        kind(**(kind.options_for(channels) | dict(kind.small_options))).eval().requires_grad_(False)
    )
    image = torch.rand(batch, 3, *size, generator=draw)
    return upsampler.prepare(image, torch.randn(batch, channels, *grid, generator=draw), size)


@pytest.mark.parametrize("name", UPSAMPLERS.names())
def test_sampled_pixels_are_those_of_the_full_map(name, monkeypatch):
    monkeypatch.setattr("explorer.upsamplers.resampler.SAMPLE_BYTES", 2 * 12 * 51 * 4 * 10)
    monkeypatch.setattr("explorer.upsamplers.attention.BLOCK_BYTES", 2 * 4 * 35 * 4 * 7)
    made = resampler(name)
    draw = torch.Generator().manual_seed(1)
    rows = torch.cat([torch.randint(35, (40,), generator=draw), torch.tensor([0, 34, 0, 34])])
    cols = torch.cat([torch.randint(51, (40,), generator=draw), torch.tensor([0, 50, 50, 0])])
    with torch.no_grad():
        found, full = made.sample(rows, cols), made.features()
    assert found.shape == (2, 44, 12)
    assert torch.allclose(found, full[:, :, rows, cols].transpose(1, 2), atol=1e-5)


def masks(seed=0, size=(30, 40)):
    draw = torch.Generator().manual_seed(seed)
    valid = torch.rand(size, generator=draw) > 0.2
    band = torch.zeros(size, dtype=torch.bool)
    band[:, 18:22] = True
    return valid, band


def test_drawn_pixels_are_valid_and_the_same_for_the_same_seed():
    valid, band = masks()
    one, again = (choose_pixels(valid, band, 300, "0:a") for _ in range(2))
    other = choose_pixels(valid, band, 300, "1:a")
    assert valid[one.rows, one.cols].all() and one.digest == again.digest != other.digest
    share = band[one.rows, one.cols].float().mean()
    assert 0.45 < share < 0.7  # half from the band, and by chance some of the rest


def test_weighted_pixels_stand_for_all_of_them():
    valid, band = masks()
    values = torch.where(band, 5.0, 1.0) + torch.arange(40) / 40
    wanted = values[valid].mean().item()
    drawn = choose_pixels(valid, band, 200_000, "0:a")
    picked = values[drawn.rows, drawn.cols]
    assert (picked * drawn.weights).mean().item() == pytest.approx(wanted, rel=0.01)
    assert drawn.weights.mean().item() == pytest.approx(1, rel=0.01)
    assert picked.mean().item() > 1.3 * wanted  # without the weights, edges would dominate


def test_without_a_band_pixels_are_uniform_and_without_truth_there_are_none():
    valid, band = masks()
    drawn = choose_pixels(valid, torch.zeros_like(band), 500, "x")
    assert torch.equal(drawn.weights, torch.ones(500))
    assert choose_pixels(torch.zeros_like(valid), band, 5, "x") is None
