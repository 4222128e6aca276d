"""A figure again: the recipe of one from its settings, and its settings from a recipe."""

from explorer.reproduce.fields import check_checkpoints
from explorer.reproduce.recipe import (
    Shown,
    complete,
    figure_panels,
    figure_recipe,
    portable,
    versions,
    weights,
)
from explorer.reproduce.restore import Restored, open_figure, restore

__all__ = [
    "Restored",
    "Shown",
    "check_checkpoints",
    "complete",
    "figure_panels",
    "figure_recipe",
    "open_figure",
    "portable",
    "restore",
    "versions",
    "weights",
]
