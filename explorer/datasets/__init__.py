"""Plain folders of photos and what is known about every pixel of them."""

from explorer.datasets.check import check_dataset
from explorer.datasets.classes import CLASS_SETS, ClassSet
from explorer.datasets.folder import Dataset, Example, open_dataset
from explorer.datasets.maps import IGNORE, nearest
from explorer.datasets.readers import READERS

__all__ = [
    "CLASS_SETS",
    "IGNORE",
    "READERS",
    "ClassSet",
    "Dataset",
    "Example",
    "check_dataset",
    "nearest",
    "open_dataset",
]
