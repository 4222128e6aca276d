"""The encoders in tiles: the plain modules' results, at any size, in the memory of few maps."""

import pytest
import torch

from explorer.resources.request_context import RequestContext, Superseded, use
from explorer.upsamplers import UPSAMPLERS, tiled

METHODS = [
    ("anyup", {}),
    ("anyup", {"kernel_size": 3}),
    ("jafar", {"v_dim": 20}),
    ("jafar", {"v_dim": 20, "kernel_size": 3}),
]


def build(name, **options):
    torch.manual_seed(0)
    method = UPSAMPLERS.create(name, **options).eval()
    for parameter in method.parameters():  # norms must not be the identity
        parameter.data += 0.1 * torch.randn_like(parameter)
    return method


def both_ways(monkeypatch, method, image, features, size):
    """What the tiles and what the plain modules make of the same inputs."""
    with torch.no_grad():
        assert tiled.applies(image, method.image_encoder)
        tiles = method.prepare(image, features, size)
        with monkeypatch.context() as patched:
            patched.setattr(tiled, "applies", lambda *_: False)
            return tiles, method.prepare(image, features, size)


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("name, options", METHODS)
@pytest.mark.parametrize("size", [(70, 53), (40, 31), (90, 60)])
def test_tiles_change_nothing(monkeypatch, name, options, size, stored):
    method = build(name, **options)
    image, features = torch.rand(2, 3, 70, 53), torch.randn(2, 20, 6, 5)
    before = image.clone()
    monkeypatch.setattr(tiled, "TILE_BYTES", 128 * 53 * 4 * 7)  # seven rows
    monkeypatch.setattr(tiled, "CONVOLVED_BYTES", 128 * 53 * 4 * 4)
    monkeypatch.setattr(tiled, "STORED_BYTES", 2**30 if stored else 0)
    tiles, plain = both_ways(monkeypatch, method, image, features, size)
    assert torch.equal(image, before)
    assert torch.allclose(plain.queries, tiles.queries, atol=1e-5)
    assert torch.allclose(plain.keys, tiles.keys, atol=1e-5)
    assert torch.allclose(plain.features(), tiles.features(), atol=1e-5)


@pytest.mark.parametrize("spread", [0.0, 1e-4, 1e-2])
def test_an_image_of_nearly_one_colour(monkeypatch, spread):
    """Its variance is a small difference of large sums."""
    method = build("anyup", qk_dim=32).double()
    image = 0.95 + spread * torch.rand(1, 3, 60, 40, dtype=torch.float64)
    features = torch.randn(1, 8, 6, 5, dtype=torch.float64)
    _, exact = both_ways(monkeypatch, method, image, features, (60, 40))
    tiles, plain = both_ways(monkeypatch, method.float(), image.float(), features.float(), (60, 40))
    error = (tiles.queries - exact.queries).abs().max()
    assert error < max(1e-5, 2 * (plain.queries - exact.queries).abs().max())


@torch.no_grad()
def test_half_precision_is_half_precision(monkeypatch):
    method = build("anyup", qk_dim=32)
    image, features = torch.rand(1, 3, 60, 40), torch.randn(1, 8, 6, 5)
    exact, _ = both_ways(monkeypatch, method, image, features, (60, 40))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        tiles, plain = both_ways(monkeypatch, method, image, features, (60, 40))
    error = (tiles.queries - exact.queries).abs().mean()
    assert 1e-5 < error < 1.5 * (plain.queries.float() - exact.queries).abs().mean()


def test_gradients_other_types_and_other_devices_take_the_plain_modules():
    method = build("anyup", qk_dim=16)
    image, features = torch.rand(1, 3, 24, 24), torch.randn(1, 8, 3, 3)
    assert not tiled.applies(image, method.image_encoder)  # gradients are kept
    method(image, features, (24, 24)).sum().backward()
    assert method.image_encoder[0].weight.grad.abs().sum() > 0
    with torch.no_grad():
        assert tiled.applies(image, method.image_encoder)
        assert not tiled.applies(image.bfloat16(), method.image_encoder)
        assert not tiled.applies(image.to("meta"), method.image_encoder)
        assert not tiled.applies(image, torch.nn.Identity())


@pytest.mark.parametrize("stored, maps", [(True, 3), (False, 2)])
@torch.no_grad()
def test_no_more_maps_exist_than_promised(monkeypatch, stored, maps):
    monkeypatch.setattr(tiled, "STORED_BYTES", 2**30 if stored else 0)
    method, made = build("anyup", qk_dim=16), []
    empty = tiled.PixelMap.empty

    def counted(like, channels, size):
        made.append(empty(like, channels, size))
        return made[-1]

    monkeypatch.setattr(tiled.PixelMap, "empty", counted)
    half = method.prepare_image(torch.rand(1, 3, 24, 20), (24, 20), (3, 4))
    assert len(made) == maps
    assert half.queries.data_ptr() in [m.data.data_ptr() for m in made]


@pytest.mark.parametrize("name, options", METHODS)
@torch.no_grad()
def test_a_superseded_request_stops_within_a_map(monkeypatch, name, options):
    monkeypatch.setattr(tiled, "TILE_BYTES", 1)
    method, image, asked = build(name, **options), torch.rand(1, 3, 24, 20), []

    def is_wanted():
        asked.append(1)
        return len(asked) < 30  # the first convolution alone has 24 rows

    with use(RequestContext(is_wanted=is_wanted)), pytest.raises(Superseded):
        method.prepare_image(image, (24, 20), (3, 4))
    assert len(asked) == 30
