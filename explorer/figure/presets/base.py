"""What a preset is: a function from panels to the style that suits them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from explorer.core import Panel, Registry
from explorer.figure.style import FigureStyle

Preset = Callable[[Sequence[Panel]], FigureStyle]
PRESETS: Registry[FigureStyle] = Registry("preset")


def preset(name: str, order: float) -> Callable[[Preset], Preset]:
    """Return a decorator that registers a function under ``name``; menus go by ``order``."""

    def declare(make: Preset) -> Preset:
        make.order = order
        return PRESETS.register(name)(make)

    return declare


def rows_of(panels: Sequence[Panel]) -> list[str]:
    """Return the row labels, in order."""
    return list(dict.fromkeys(panel.row for panel in panels))


def columns_of(panels: Sequence[Panel]) -> list[str]:
    """Return the column labels, in order."""
    return list(dict.fromkeys(panel.column for panel in panels))
