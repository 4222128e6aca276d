"""What prepare computes of the photo alone: computed once, shared, and counted once."""

import gc

import numpy as np
import pytest
import torch

from explorer.core import SizeError
from explorer.imaging import open_photo
from explorer.resources.cache import Cache
from explorer.session import Options, Session
from explorer.upsamplers import UPSAMPLERS, half_precision

NAMES = [name for name in UPSAMPLERS.names() if UPSAMPLERS.get(name).has_image_half]


def build(name, seed=0, **options):
    torch.manual_seed(seed)
    kind = UPSAMPLERS.get(name)
    options = kind.options_for(7) | dict(kind.small_options) | options
    return kind(**options).eval().requires_grad_(False)


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_both_halves_are_prepare(name, grad):
    method, image = build(name), torch.rand(2, 3, 48, 40)
    with torch.set_grad_enabled(grad):
        half = method.prepare_image(image, (33, 47), (6, 5))
        for _ in range(2):  # the half serves any features
            features = torch.randn(2, 7, 6, 5)
            made, whole = (
                method.prepare_features(half, features),
                method.prepare(image, features, (33, 47)),
            )
            assert made.queries is half.queries and torch.equal(made.features(), whole.features())
    assert half.nbytes() == half.queries.nbytes + half.seen.nbytes


@pytest.mark.parametrize("name", NAMES)
def test_what_does_not_fit_a_half_is_refused(name):
    method = build(name)
    half = method.prepare_image(torch.rand(2, 3, 48, 40), (33, 47), (6, 5))
    for shape in ((2, 7, 5, 6), (1, 7, 6, 5), (7, 6, 5)):
        with pytest.raises(SizeError):
            method.prepare_features(half, torch.randn(shape))
    with pytest.raises(SizeError):
        method.prepare_image(torch.rand(2, 4, 48, 40), (33, 47), (6, 5))


@pytest.mark.parametrize("name", NAMES)
def test_equal_weights_have_equal_digests_whatever_the_features_half_is(name):
    method = build(name)
    first = method.image_half_digest()
    assert first == build(name).image_half_digest() != build(name, seed=1).image_half_digest()
    for parameter in method.key_features_encoder.parameters():
        parameter.data += 1
    method.window_ratio, method.sigma_cells = 0.3, 1.0
    assert method.image_half_digest() == first
    changed = {first}
    attention = method.cross_decode.cross_attn
    for tensor in (method.rope.freqs, method.cross_decode.conv2d.weight, attention.norm_q.weight):
        tensor.data += 1
        changed.add(method.image_half_digest())
    attention.projection(0)[1].data += 1
    changed.add(method.image_half_digest())
    method.mean = (0.1, 0.2, 0.3)
    changed.add(method.image_half_digest())
    assert len(changed) == 6
    assert build(name).double().image_half_digest() not in changed


@pytest.fixture
def photo():
    pixels = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    return open_photo(pixels, "n.png")


@pytest.fixture
def counted(monkeypatch):
    """A session, and the image halves that it computes."""
    made, plain = [], half_precision.prepare_image

    def prepare_image(*args):
        made.append(plain(*args))
        return made[-1]

    monkeypatch.setattr(half_precision, "prepare_image", prepare_image)
    return Session("cpu", allow_network=False), made


def options(photo, **changes):
    given = {"input_size": 64, "output_size": 48, "checkpoints": {"anyup": "untrained"}}
    return Options(photo, **(given | {"upsamplers": ("anyup",)} | changes))


def test_backbones_stages_and_photos(photo, counted):
    session, made = counted
    first = session.resampler(options(photo), "efficientnet_lite0", "anyup")
    second = session.resampler(options(photo), "efficientnet_lite1", "anyup")
    assert len(made) == 1 and first.shared is second.shared is made[0]
    assert first.resampler.queries is second.resampler.queries
    assert session.results.used < first.nbytes() + second.nbytes() + 2 * made[0].nbytes()
    other = session.resampler(options(photo, input_size=128), "efficientnet_lite0", "anyup")
    assert other.shared is not made[0] and len(made) == 2  # another grid
    session.resampler(options(photo, output_size=40), "efficientnet_lite0", "anyup")
    assert len(made) == 3


@pytest.mark.slow
def test_a_half_goes_with_its_last_user(photo, counted):
    session, made = counted
    for backbone in ("efficientnet_lite0", "efficientnet_lite1"):
        session.resampler(options(photo), backbone, "anyup")
    made.clear()
    assert len(session._halves) == 1
    first, *_, last = [k for k in session.results._entries if k[0] == "resampler"]
    before = session.results.used
    session.results.forget(first)
    gc.collect()
    assert len(session._halves) == 1
    between = session.results.used
    session.results.forget(last)
    gc.collect()
    assert len(session._halves) == 0
    assert between - session.results.used > before - between  # the half with the last one


class Holder:
    def __init__(self, own, shared):
        self.own, self.shared = np.zeros(own, np.uint8), shared

    def nbytes(self):
        return self.own.nbytes


def test_a_cache_counts_what_is_shared_once():
    cache, shared = Cache(10_000), np.zeros(4000, np.uint8)
    for key in "abc":
        cache.get(key, lambda: Holder(1000, shared))
    assert cache.used == 7000 and len(cache) == 3
    cache.get("d", lambda: Holder(1000, np.zeros(4500, np.uint8)))  # a and b do not suffice
    assert cache.used == 5500 and "c" not in cache and "d" in cache
    assert cache.get("e", lambda: Holder(6001, shared)) and "e" not in cache
    cache.clear()
    cache.get("a", lambda: Holder(1000, shared))
    assert cache.used == 5000
