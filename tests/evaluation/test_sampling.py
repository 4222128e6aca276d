"""Features at single pixels, and which pixels a probe learns from."""

from __future__ import annotations

import pytest
import torch

from explorer.upsamplers import UPSAMPLERS


def resampler(name, channels=12, size=(35, 51), grid=(5, 7), batch=2):
    draw = torch.Generator().manual_seed(0)
    kind = UPSAMPLERS.get(name)
    torch.manual_seed(0)
    upsampler = kind(**kind.options_for(channels)).eval().requires_grad_(False)
    image = torch.rand(batch, 3, *size, generator=draw)
    return upsampler.prepare(image, torch.randn(batch, channels, *grid, generator=draw), size)


@pytest.mark.parametrize("name", UPSAMPLERS.names())
def test_sampled_pixels_are_those_of_the_full_map(name, monkeypatch):
    monkeypatch.setattr("explorer.upsamplers.base.SAMPLE_BYTES", 2 * 12 * 51 * 4 * 10)
    monkeypatch.setattr("explorer.upsamplers.attention.BLOCK_BYTES", 2 * 4 * 35 * 4 * 7)
    made = resampler(name)
    draw = torch.Generator().manual_seed(1)
    rows = torch.cat([torch.randint(35, (40,), generator=draw), torch.tensor([0, 34, 0, 34])])
    cols = torch.cat([torch.randint(51, (40,), generator=draw), torch.tensor([0, 50, 50, 0])])
    with torch.no_grad():
        found, full = made.sample(rows, cols), made.features()
    assert found.shape == (2, 44, 12)
    assert torch.allclose(found, full[:, :, rows, cols].transpose(1, 2), atol=1e-5)
