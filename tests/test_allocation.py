"""Freed memory is used again: counted in page faults, not timed."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
from explorer.resources.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
import torch
torch.set_num_threads(1)
def use():
    for _ in range(8):
        torch.zeros(16 * 2**20).add_(1)  # 64 MiB
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


RELEASE = """
import torch
from explorer.resources.allocator import keep_freed_memory
from explorer.resources.process_memory import resident_bytes
from explorer.resources.memory import TooLargeError, require
assert keep_freed_memory()
cache = [torch.ones(2**18) for _ in range(256)]  # 1 MiB each
before = resident_bytes()
cache.clear()
print((before - resident_bytes()) >> 20)
try:
    require(2**60, "a test", torch.device("cpu"), cache.clear)
except TooLargeError:
    print((before - resident_bytes()) >> 20)
"""


def faults(how: str) -> int:
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, timeout=120, check=True
    )
    return int(found.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc has these settings")
def test_large_tensors_reuse_pages():
    assert faults("keep") * 4 < faults("plain")  # a heap that grows once may fault one of eight


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc has these settings")
def test_what_a_cache_released_is_given_back_where_memory_is_short():
    found = subprocess.run(
        [sys.executable, "-c", RELEASE], capture_output=True, text=True, timeout=120, check=True
    )
    kept, given_back = map(int, found.stdout.split())
    assert kept < 64 and given_back > 192
