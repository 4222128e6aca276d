"""Large maps are encoded in bands, in place: the same result as the plain modules'."""

import pytest
import torch

from explorer.upsamplers import UPSAMPLERS, banded

METHODS = [
    ("anyup", {}),
    ("anyup", {"kernel_size": 3}),
    ("jafar", {"v_dim": 20}),
    ("jafar", {"v_dim": 20, "kernel_size": 3}),
]


@pytest.mark.parametrize("name, options", METHODS)
@pytest.mark.parametrize("size", [(70, 53), (40, 31), (90, 60)])
def test_bands_change_nothing(monkeypatch, name, options, size):
    torch.manual_seed(0)
    method = UPSAMPLERS.create(name, **options).eval()
    for parameter in method.parameters():  # norms must not be the identity
        parameter.data += 0.1 * torch.randn_like(parameter)
    image, features = torch.rand(2, 3, 70, 53), torch.randn(2, 20, 6, 5)
    seen = image.clone()
    with torch.no_grad():
        plain = method.prepare(image, features, size)
        monkeypatch.setattr(banded, "LARGE_MAP", 0)
        monkeypatch.setattr(banded, "BAND_BYTES", 2 * 128 * 53 * 4 * 7)  # seven rows
        bands = method.prepare(image, features, size)
    assert torch.equal(image, seen)
    assert torch.allclose(plain.queries, bands.queries, atol=1e-5)
    assert torch.allclose(plain.keys, bands.keys, atol=1e-5)
    assert torch.allclose(plain.features(), bands.features(), atol=1e-5)


def test_small_maps_and_gradients_take_the_plain_way(monkeypatch):
    monkeypatch.setattr(banded, "LARGE_MAP", 0)
    method = UPSAMPLERS.create("anyup", qk_dim=16)
    image, features = torch.rand(1, 3, 24, 24), torch.randn(1, 8, 3, 3)
    method(image, features, (24, 24)).sum().backward()
    assert method.image_encoder[0].weight.grad.abs().sum() > 0
    assert not banded.is_large(1, 128, (4096, 4096))  # gradients are kept here
    monkeypatch.undo()
    with torch.no_grad():
        assert not banded.is_large(1, 128, (448, 448)) and banded.is_large(1, 128, (2048, 2048))


def test_one_map_is_all_that_a_large_encoder_needs(monkeypatch):
    """The result stands where the input was."""
    monkeypatch.setattr(banded, "LARGE_MAP", 0)
    method = UPSAMPLERS.create("anyup", qk_dim=16).eval()
    with torch.no_grad():
        encoded = torch.randn(1, 16, 12, 10)
        place = encoded.data_ptr()
        assert banded.encode(method.query_encoder, encoded, reuse=True).data_ptr() == place
        kept = encoded.clone()
        assert banded.encode(method.key_encoder, encoded).data_ptr() != place
        assert torch.equal(encoded, kept)
