"""The tabs beside the panels, in the order they stand; each module has TITLE and build(page,
session).
"""

from explorer.ui.tabs import compare

TABS = (compare,)

__all__ = ["TABS"]
