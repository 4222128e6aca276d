"""The cache when the one who makes a result is stopped while others wait for it."""

import threading
import time

import numpy as np

from explorer.resources.cache import Cache

KIB = 1024


def test_who_waited_and_who_came_later_make_a_thing_once_after_a_failure():
    cache, made = Cache(2**20), []
    begun, fail, waited, go_on = (threading.Event() for _ in range(4))

    def stopped():
        begun.set()
        assert fail.wait(10)
        raise KeyboardInterrupt  # as of a request that nobody wants any more

    def first():
        try:
            cache.get("x", stopped)
        except KeyboardInterrupt:
            pass

    def make():
        made.append(1)
        waited.set()
        assert go_on.wait(10)
        return np.zeros(KIB, np.uint8)

    threads = [threading.Thread(target=first)]
    threads[0].start()
    assert begun.wait(10)
    threads.append(threading.Thread(target=cache.get, args=("x", make)))
    threads[1].start()
    time.sleep(0.05)  # it waits for the first
    fail.set()
    assert waited.wait(10)
    threads.append(threading.Thread(target=cache.get, args=("x", make)))
    threads[2].start()
    time.sleep(0.05)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert len(made) == 1 and cache.used == KIB
    cache.forget("x")
    assert cache.used == 0 and not cache._making


def test_a_result_that_is_kept_again_counts_once():
    cache = Cache(2**20)

    def make():
        cache._keep("x", np.zeros(KIB, np.uint8))  # somebody else was faster
        return np.zeros(KIB, np.uint8)

    cache.get("x", make)
    assert cache.used == KIB and len(cache) == 1
