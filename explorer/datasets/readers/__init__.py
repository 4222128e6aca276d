"""Every kind of map that can be read: importing this package fills the registry."""

from explorer.datasets.readers.base import READERS, MapReader

READERS.discover(__name__, __path__)

__all__ = ["READERS", "MapReader"]
