"""Fused and blockwise attention agree, and a window set later is the window set before."""

import pytest
import torch

from explorer.upsamplers import UPSAMPLERS, attention


@pytest.mark.parametrize("channels", [1, 5, 9])
@torch.no_grad()
def test_fused_equals_blocks(monkeypatch, channels):
    torch.manual_seed(0)
    method = UPSAMPLERS.create("jafar", v_dim=7, qk_dim=16).eval()
    resampler = method.prepare(torch.rand(2, 3, 40, 50), torch.randn(2, 7, 5, 6), (33, 41))
    values = torch.randn(2, channels, 5, 6)
    assert resampler.is_global
    fused = resampler.apply(values)
    monkeypatch.setattr(attention, "SCORE_BYTES", 1)  # a row at a time
    assert (resampler.apply(values) - fused).abs().max() < 1e-6
    monkeypatch.setattr(attention, "FUSED_PASSES", 0)
    blocks = resampler.apply(values)
    assert (fused - blocks).abs().max() < 1e-6
    assert (resampler.apply(values, (5, 19)) - blocks[:, :, 5:19]).abs().max() < 1e-6


@torch.no_grad()
def test_a_window_set_later():
    torch.manual_seed(0)
    method = UPSAMPLERS.create("anyup", qk_dim=16).eval()
    inputs = torch.rand(1, 3, 40, 50), torch.randn(1, 7, 9, 11), (33, 41)
    own = method.prepare(*inputs)
    before = own.features()
    for ratio in (0.0, 0.04, 0.3):
        method.window_ratio = ratio
        made = method.prepare(*inputs)
        later = own.with_window(ratio, "set later")
        assert torch.equal(later.features(), made.features()) and later.note() == "set later"
        assert later.is_global == (ratio == 0)
    assert torch.equal(own.features(), before) and own.note() == "window ±0.1"
