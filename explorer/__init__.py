"""See and measure what feature upsamplers do to the features of vision backbones."""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own takes 10 ms to import, and Ctrl-C is not heard before that
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"
__all__ = ["load_backbone", "load_upsampler", "open_photo"]

_HOMES = {
    "load_backbone": "explorer.backbones",
    "load_upsampler": "explorer.loading",
    "open_photo": "explorer.imaging",
}


def __getattr__(name: str) -> Any:
    """Import the public functions when they are first used: ``import explorer`` stays instant."""
    if name not in _HOMES:
        raise AttributeError(f"module 'explorer' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
