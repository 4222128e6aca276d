"""The tabs beside the panels, in the order they stand; each module has TITLE and build(page,
session).
"""

from explorer.ui.tabs import charts, compare, export, numbers, scribble

TABS = (compare, scribble, numbers, export, charts)

__all__ = ["TABS"]
