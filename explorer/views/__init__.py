"""Every view: importing this package fills the registry."""

from explorer.views import pca  # noqa: F401
from explorer.views.base import VIEWS, View

__all__ = ["VIEWS", "View"]
