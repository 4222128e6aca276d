"""Every view: importing this package imports its modules, and each registers its views."""

from explorer.views.base import VIEWS, View

__all__ = ["VIEWS", "View"]

VIEWS.discover(__name__, __path__)
