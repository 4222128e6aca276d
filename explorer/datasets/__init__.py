"""Plain folders of photos and what is known about every pixel of them."""

from explorer.datasets.check import check_dataset
from explorer.datasets.classes import CLASS_SETS, ClassSet
from explorer.datasets.folder import KINDS, Dataset, Example, open_dataset
from explorer.datasets.maps import IGNORE, nearest

__all__ = [
    "CLASS_SETS",
    "IGNORE",
    "KINDS",
    "ClassSet",
    "Dataset",
    "Example",
    "check_dataset",
    "nearest",
    "open_dataset",
]
