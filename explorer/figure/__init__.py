"""Paper figures: the panels on screen laid out as PNG, PDF or SVG with their recipe inside."""

from explorer.figure.color_vision import indistinguishable_pairs
from explorer.figure.insets import suggest_insets
from explorer.figure.latex import latex_escape, panels_zip
from explorer.figure.painting import FORMATS, figure_size, render
from explorer.figure.presets import PRESETS
from explorer.figure.recipe import read_figure, read_recipe
from explorer.figure.style import (
    DOUBLE,
    FONTS,
    INSET_COLORS,
    MIN_FONT_PT,
    SINGLE,
    THEMES,
    WIDTHS,
    FigureStyle,
    Inset,
)
from explorer.figure.text import missing_characters

__all__ = [
    "DOUBLE",
    "FONTS",
    "FORMATS",
    "INSET_COLORS",
    "MIN_FONT_PT",
    "PRESETS",
    "SINGLE",
    "THEMES",
    "WIDTHS",
    "FigureStyle",
    "Inset",
    "indistinguishable_pairs",
    "figure_size",
    "latex_escape",
    "missing_characters",
    "panels_zip",
    "read_figure",
    "read_recipe",
    "render",
    "suggest_insets",
]
