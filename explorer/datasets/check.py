"""Look at every file of a dataset before hours are spent on it, and say exactly what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from explorer.core import ExplorerError
from explorer.datasets.classes import find_classes
from explorer.datasets.folder import find_maps, find_photos, guess_folder
from explorer.datasets.maps import DEPTH_MAX, same_size, short_name
from explorer.datasets.readers import READERS
from explorer.datasets.splits import choose_split, read_list
from explorer.imaging import open_photo


def check_dataset(
    root: str | Path,
    kind: str | None = None,
    folder: str | None = None,
    classes: str | None = None,
    depth_max: float = DEPTH_MAX,
    part: str = "test",
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Return one sentence per fault, naming the file; an empty list means all is well.

    Every photo and every map is decoded and compared: unreadable files, sizes that differ, label
    numbers out of range, maps with nothing to learn from, files without a partner, lists that name
    what is not there. Arguments are those of `open_dataset`.
    """
    root = Path(root)
    try:
        photos = find_photos(root)
        place = None if kind is None else root / (folder or guess_folder(root, kind))
        maps = {} if place is None else find_maps(place)
        names = (
            find_classes(classes, root, place.name)
            if kind and READERS.get(kind).has_classes
            else None
        )
    except ExplorerError as error:
        return [str(error)]
    faults = []
    pairs = [name for name in photos if kind is None or name in maps]
    if place is not None:
        faults += [
            f"images/{path.name} has no map in {place.name}/"
            for name, path in photos.items()
            if name not in maps
        ]
        faults += [
            f"{place.name}/{path.name} has no photo in images/"
            for name, path in maps.items()
            if name not in photos
        ]
    if not pairs:
        return [f"no photo of {root} has a map in {place.name}/: names must agree", *faults]
    for number, name in enumerate(pairs):
        faults += _check_pair(photos[name], maps.get(name), kind, names, depth_max)
        if progress:
            progress(number + 1, len(pairs))
    return faults + _check_split(root, pairs, part)


def _check_pair(photo_path, map_path, kind, names, depth_max) -> list[str]:
    faults = []
    photo = None
    try:
        photo = open_photo(photo_path)
    except ExplorerError as error:
        faults.append(f"images/{photo_path.name}: {error}")
    if map_path is None:
        return faults
    try:
        classes = None if names is None else len(names)
        reader = READERS.create(kind, classes=classes, depth_max=depth_max)
        found = reader.read(map_path)
        useful = reader.useful(found)
        if photo is not None:
            same_size(map_path, tuple(useful.shape), photo_path, photo.size)
        told = [] if useful.any() else ["no pixel to learn from: all are unlabelled or invalid"]
        faults += [f"{short_name(map_path)} has {what}" for what in told + reader.faults(found)]
    except ExplorerError as error:
        faults.append(str(error))
    return faults


def _check_split(root: Path, pairs: list[str], part: str) -> list[str]:
    faults = []
    known = set(pairs)
    for path in sorted(root.glob("*.txt")):
        if path.stem in ("train", "val", "test"):
            faults += [
                f"{path.name} lists {name!r}, which has no photo with a map"
                for name in read_list(path)
                if name not in known
            ]
    if not faults:
        try:
            choose_split(root, pairs, part)
        except ExplorerError as error:
            faults.append(str(error))
    return faults
