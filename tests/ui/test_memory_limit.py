"""The server gives freed memory back when it holds more than its caches explain."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("gradio")

from explorer.server import memory_limit  # noqa: E402
from explorer.server.guard import guarded  # noqa: E402

MIB = 2**20


@pytest.fixture
def process(monkeypatch):
    """A process with a given resident memory that counts how often memory is given back."""
    process = SimpleNamespace(resident=500 * MIB, given_back=0)

    def give_back():
        process.given_back += 1

    monkeypatch.setattr(memory_limit, "resident_bytes", lambda: process.resident)
    monkeypatch.setattr(memory_limit, "give_back_freed_memory", give_back)
    return process


def session(results=0, models=0):
    return SimpleNamespace(
        results=SimpleNamespace(used=results), models=SimpleNamespace(used=models)
    )


def test_memory_is_given_back_only_beyond_base_caches_and_spare(process):
    held = session(results=100 * MIB)
    limit = memory_limit.MemoryLimit(held, spare=50 * MIB)
    process.resident += 50 * MIB
    assert not limit.apply() and process.given_back == 0
    process.resident += 1
    assert limit.apply() and process.given_back == 1


def test_what_the_caches_hold_is_no_reason(process):
    held = session()
    limit = memory_limit.MemoryLimit(held, spare=50 * MIB)
    held.results.used, held.models.used = 2000 * MIB, 300 * MIB
    process.resident += 2340 * MIB
    assert not limit.apply()
    held.results.used = 1000 * MIB  # the results have left, their memory has not
    assert limit.apply()


@pytest.mark.parametrize("fails", [False, True])
def test_it_is_applied_after_every_event_that_computes(fails):
    ended = []

    def answer():
        if fails:
            raise ValueError("no")
        return 1

    def stream():
        yield 1
        if fails:
            raise ValueError("no")

    for fn in (answer, stream):
        event = guarded(fn, "event", lambda args: {}, 10.0, lambda: ended.append(1))
        try:
            made = event()
            if fn is stream:
                list(made)
        except Exception:
            assert fails
    assert len(ended) == 2
