"""A plain folder as a dataset: ``images/`` beside ``labels*/``, ``depth/``, ``normals/``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from explorer.core import ExplorerError
from explorer.datasets.classes import ClassSet, find_classes, numbered
from explorer.datasets.maps import DEPTH_MAX, IGNORE, MAP_SUFFIXES, same_size
from explorer.datasets.readers import READERS
from explorer.datasets.readers.labels import read_labels
from explorer.datasets.splits import Split, choose_split
from explorer.imaging import Photo, open_photo

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class Example:
    """A photo and the map of it (None if only photos were asked for), by their common name."""

    name: str
    photo_path: Path
    map_path: Path | None = None

    def photo(self) -> Photo:
        """Open the photo; raises ImageError."""
        return open_photo(self.photo_path)


@dataclass(frozen=True)
class Dataset:
    """Examples of one kind of map, split; ``notes`` are sentences a report must carry."""

    root: Path
    kind: str | None
    folder: str
    split: Split
    examples: dict[str, Example]
    classes: ClassSet | None = None
    depth_max: float = DEPTH_MAX
    notes: tuple[str, ...] = field(default=())

    @property
    def train(self) -> list[Example]:
        """The examples to learn from."""
        return [self.examples[name] for name in self.split.train]

    @property
    def test(self) -> list[Example]:
        """The examples to test on."""
        return [self.examples[name] for name in self.split.test]

    def read(self, example: Example, photo: Photo | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Return the map of an example as its kind's reader does.

        Raises:
            ExplorerError: unreadable, out of range, or (with ``photo``) not of the photo's size.
        """
        path = example.map_path
        classes = None if self.classes is None else len(self.classes)
        found = READERS.create(self.kind, classes=classes, depth_max=self.depth_max).read(path)
        if photo is not None:
            shown = found[0] if isinstance(found, tuple) else found
            same_size(path, tuple(shown.shape[-2:]), example.photo_path, photo.size)
        return found


def open_dataset(
    root: str | Path,
    kind: str | None = None,
    folder: str | None = None,
    classes: str | None = None,
    depth_max: float = DEPTH_MAX,
    part: str = "test",
) -> Dataset:
    """Open a folder of photos and, unless ``kind`` is None, of maps of one kind.

    Args:
        root: holds ``images/`` (or the photos themselves, if no maps are to be read) and a folder
            of maps with the photos' names.
        kind: "labels", "depth", "normals", "boundaries" or None.
        folder: the folder of maps; by default the only one that starts with the kind's name.
        classes: for labels: a known set, a text file, or None to look for one (`find_classes`); if
            nobody names them, the largest number in the maps decides how many there are.
        depth_max: what 255 means in 8-bit depth maps, in metres.
        part: "test" or "val", which list to test on.

    Raises:
        ExplorerError: a folder is missing, holds no pair, or cannot be split.
    """
    root = Path(root)
    photos = find_photos(root)
    if kind is None:
        examples = {name: Example(name, path) for name, path in photos.items()}
        return Dataset(root, None, "", _all_or_split(root, list(examples), part), examples)
    reader = READERS.get(kind)
    place = root / (folder or guess_folder(root, kind))
    maps = find_maps(place)
    examples = {n: Example(n, p, maps[n]) for n, p in photos.items() if n in maps}
    if not examples:
        raise ExplorerError(
            f"no file of {place.name}/ has the name of a photo in {root}/images "
            f"({next(iter(photos))} for one); a map is called like its photo"
        )
    notes = []
    if len(examples) < len(photos):
        notes.append(f"{len(photos) - len(examples)} photos have no map in {place.name}/")
    names = None
    if reader.has_classes:
        names = find_classes(classes, root, place.name)
        if names is None:
            names = numbered(_largest(examples) + 1)
            notes.append(f"the {len(names)} classes have no names; give them with --classes")
    split = choose_split(root, list(examples), part)
    return Dataset(root, kind, place.name, split, examples, names, depth_max, tuple(notes))


def find_photos(root: Path) -> dict[str, Path]:
    """Return the photos of ``root/images`` (or of ``root``) by name, sorted.

    Raises:
        ExplorerError: no such folder, no photo, or two photos of one name.
    """
    if not root.is_dir():
        raise ExplorerError(f"{root} is not a folder")
    place = root / "images" if (root / "images").is_dir() else root
    found = _by_stem(place, PHOTO_SUFFIXES)
    if not found:
        raise ExplorerError(f"{place} holds no photo ({', '.join(PHOTO_SUFFIXES)})")
    return found


def find_maps(place: Path) -> dict[str, Path]:
    """Return the maps of a folder by name, sorted; raises ExplorerError if there is none."""
    if not place.is_dir():
        raise ExplorerError(f"{place.parent} has no folder {place.name}/")
    found = _by_stem(place, MAP_SUFFIXES)
    if not found:
        raise ExplorerError(f"{place} holds no map ({', '.join(MAP_SUFFIXES)})")
    return found


def guess_folder(root: Path, kind: str) -> str:
    """Return the only folder of ``root`` whose name starts with ``kind``."""
    found = sorted(p.name for p in root.iterdir() if p.is_dir() and p.name.startswith(kind))
    if len(found) != 1:
        raise ExplorerError(
            f"{root} has several folders of {kind}: name one of {', '.join(found)} with --labels"
            if found
            else f"{root} has no folder {kind}/ beside its photos"
        )
    return found[0]


def _by_stem(place: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(place.iterdir()):
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            if path.stem in found:
                raise ExplorerError(
                    f"{place.name}/ holds {found[path.stem].name} and {path.name}: "
                    "one name, two files"
                )
            found[path.stem] = path
    return found


def _largest(examples: dict[str, Example]) -> int:
    largest = -1
    for example in examples.values():
        labels = read_labels(example.map_path)
        seen = labels[labels != IGNORE]
        largest = max(largest, int(seen.max()) if seen.numel() else -1)
    if largest < 0:
        raise ExplorerError("every pixel of every map is unlabelled (255)")
    return largest


def _all_or_split(root: Path, names: list[str], part: str) -> Split:
    if (root / "train.txt").is_file() and any((root / f"{p}.txt").is_file() for p in (part, "val")):
        return choose_split(root, names, part)
    return Split((), tuple(names), "all photos")
