"""Hugging Face's shared GPUs (ZeroGPU): borrowed per event, never for longer than sizes suggest.

The optional package ``spaces`` must be imported before anything touches CUDA. Where it is absent,
or the machine is not one of theirs, everything here leaves things as they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

try:
    import spaces
except ImportError:
    spaces = None


def is_zero() -> bool:
    """Whether this program runs on a ZeroGPU Space."""
    flag = os.environ.get("SPACES_ZERO_GPU", "").lower()
    return spaces is not None and flag in ("1", "t", "true")


def on_gpu(event: Callable[..., Any], seconds: Callable[..., int]) -> Callable[..., Any]:
    """Return the event as one that borrows a GPU while it runs; unchanged elsewhere.

    It then runs in a process of its own: what it takes and gives is copied, so it gives files and
    plain values. ``seconds`` gets the event's arguments.
    """
    return spaces.GPU(duration=seconds)(event) if is_zero() else event
