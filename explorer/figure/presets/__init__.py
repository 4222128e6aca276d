"""Figure styles to start from, chosen for the panels at hand: importing this package imports its
modules, and each registers one.
"""

from explorer.figure.presets.base import PRESETS

__all__ = ["PRESETS"]

PRESETS.discover(__name__, __path__)
