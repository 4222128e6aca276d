"""Every view: importing this package fills the registry."""

from explorer.views import pca, attention, reach, similarity, difference, probe  # noqa: F401, I001  (menu order)
from explorer.views.base import VIEWS, View

__all__ = ["VIEWS", "View"]
