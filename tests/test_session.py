"""The cache: content keys, a byte budget, threads; the session: everything computed once."""

import threading
import time

import numpy as np
import pytest
import torch

from explorer.core import ExplorerError, FeatureMap
from explorer.imaging import open_photo
from explorer.resources.cache import Cache, size_of
from explorer.session import Options, Session


def array(kib):
    return np.zeros(kib * 1024, dtype=np.uint8)


def test_the_least_recently_used_leave_first():
    cache = Cache(3 * 1024)
    for key in "abc":
        cache.get(key, lambda: array(1))
    cache.get("a", lambda: pytest.fail("a is kept"))
    cache.get("d", lambda: array(1))
    assert "a" in cache and "b" not in cache and "c" in cache and cache.used == 3 * 1024
    assert cache.get("huge", lambda: array(9)).nbytes == 9 * 1024 and "huge" not in cache
    cache.clear()
    assert len(cache) == 0 and cache.used == 0


def test_many_threads_make_a_thing_once():
    cache, made = Cache(2**20), []

    def make():
        made.append(1)
        time.sleep(0.05)
        return array(1)

    threads = [threading.Thread(target=cache.get, args=("x", make)) for _ in range(12)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(made) == 1


def test_a_failure_is_not_kept():
    cache = Cache(2**20)
    with pytest.raises(ZeroDivisionError):
        cache.get("x", lambda: 1 // 0)
    assert cache.get("x", lambda: array(1)).nbytes == 1024


def test_sizes_count_tensors_wherever_they_are():
    tensor = torch.zeros(10, 10)
    assert size_of(tensor) == 400 and size_of([tensor, {"a": tensor}]) == 800
    assert size_of(FeatureMap(tensor[None, None], "x", (1, 1))) == 400
    assert size_of(torch.nn.Linear(10, 10)) == 440


@pytest.fixture(scope="module")
def photo():
    return open_photo(
        np.random.default_rng(1).integers(0, 255, (60, 90, 3), dtype=np.uint8), "n.png"
    )


def small(photo, **changes):
    return Options(
        photo, **({"input_size": 64, "output_size": 60, "upsamplers": ("anyup",)} | changes)
    )


@pytest.mark.slow
def test_everything_that_changes_the_result_changes_the_key(photo):
    session = Session("cpu", allow_network=False)
    base = small(photo)
    mirrored = open_photo(np.ascontiguousarray(photo.pixels[:, ::-1]), "n.png")
    keys = {session.key(base, "efficientnet_lite0", "anyup")}
    for other, backbone, method in (
        (small(mirrored), "efficientnet_lite0", "anyup"),
        (small(photo, input_size=96), "efficientnet_lite0", "anyup"),
        (small(photo, output_size=61), "efficientnet_lite0", "anyup"),
        (base, "efficientnet_lite0:blocks.4", "anyup"),
        (base, "efficientnet_lite1", "anyup"),
        (base, "efficientnet_lite0", "bilinear"),
    ):
        keys.add(session.key(other, backbone, method))
    assert len(keys) == 7
    chosen = small(photo, checkpoints={"anyup": "untrained"})
    keys.add(session.key(chosen, "efficientnet_lite0", "anyup"))
    session.upsampler("anyup", "efficientnet_lite0", chosen).window_ratio = 0.3
    keys.add(session.key(chosen, "efficientnet_lite0", "anyup"))
    halved = Session("cpu", allow_network=False, encoders="bfloat16")
    keys.add(halved.key(base, "efficientnet_lite0", "anyup"))
    halved.device = torch.device("meta")
    keys.add(halved.key(base, "efficientnet_lite0", "anyup"))
    assert len(keys) == 11
    renamed = open_photo(photo.pixels.copy(), "other name.png")
    assert session.key(small(renamed), "efficientnet_lite0", "anyup") in keys


def test_nothing_is_computed_twice(photo):
    session = Session("cpu", allow_network=False)
    chosen = small(photo)
    first = session.resampler(chosen, "efficientnet_lite0", "anyup")
    assert session.resampler(small(photo), "efficientnet_lite0", "anyup") is first
    assert session.features(chosen, "efficientnet_lite0").data is first.resampler.values
    assert first.nbytes() > 0 and session.results.used >= first.nbytes()


def test_a_name_given_twice_counts_once(photo):
    chosen = small(photo, backbones=("a", "b", "a"), upsamplers=("nearest", "nearest"))
    assert chosen.backbones == ("a", "b") and chosen.upsamplers == ("nearest",)


def test_sizes_follow_the_photo(photo):
    session = Session("cpu", allow_network=False)
    chosen = small(photo, input_size=96, output_size=75)
    assert chosen.output == (50, 75)
    assert session.features(chosen, "efficientnet_lite0").image_size == (64, 96)
    assert session.guidance(chosen).shape == (1, 3, 50, 75)
    assert session.device.type == "cpu"


@pytest.mark.parametrize(
    "change", [{"input_size": 8}, {"output_size": 9000}, {"backbones": ()}, {"upsamplers": ()}]
)
def test_settings_nobody_can_compute(photo, change):
    with pytest.raises(ExplorerError):
        small(photo, **change)


def test_the_recipe_is_plain_json_without_paths(photo):
    import json

    text = json.dumps(small(photo, query=(3, 4)).recipe())
    assert photo.digest in text and "/" not in json.loads(text)["photo"]["name"]
