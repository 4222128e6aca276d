"""Which examples a probe learns from and which it is tested on, without leaks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from explorer.core import ExplorerError
from explorer.files.inputs import read_lines

BLOCKS = 20
EVERY = 5  # one block of five is tested
LARGE = 100  # fewer examples than this are cut once
GAP = 5  # neighbours of a tested block that nobody learns from


@dataclass(frozen=True)
class Split:
    """Names to learn from and to test on; ``how`` says in a sentence how they were chosen."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    how: str


def choose_split(root: Path, names: list[str], part: str = "test") -> Split:
    """Split sorted names by the folder's ``train.txt`` and ``<part>.txt``, or else by blocks.

    Lists hold one name per line (a suffix, a folder and further words are ignored). A tested frame
    whose sequence (the name up to its last underscore) also gives training frames is left out, if
    that leaves any. Without lists, contiguous blocks of the sorted names are tested, as neighbours
    show the same room, and the names next to a block are dropped.

    Raises:
        ExplorerError: a list names something that is not there, or too few names to split.
    """
    train_list, test_list = root / "train.txt", root / f"{part}.txt"
    if part == "test" and not test_list.is_file() and (root / "val.txt").is_file():
        test_list = root / "val.txt"
    if train_list.is_file() and test_list.is_file():
        train, test = read_list(train_list), read_list(test_list)
        for path, listed in ((train_list, train), (test_list, test)):
            missing = [name for name in listed if name not in set(names)]
            if missing:
                raise ExplorerError(
                    f"{path.name} lists {missing[0]!r}"
                    + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
                    + ", of which there is no photo with its map; correct the list or add the files"
                )
        return _without_leaks(train, test, f"{train_list.name} and {test_list.name}")
    return _blocks(names)


def read_list(path: Path) -> list[str]:
    """Return the names in a list file."""
    lines = read_lines(path, "a list of photos")
    return [Path(line.split()[0]).stem for line in lines if line.strip()]


def subsample(items: list, limit: int | None) -> list:
    """Return at most ``limit`` items, evenly spread; all of them for None."""
    if limit is None or limit >= len(items):
        return list(items)
    if limit < 1:
        raise ExplorerError(f"a limit of at least 1 image is expected, not {limit}")
    return [items[(2 * i + 1) * len(items) // (2 * limit)] for i in range(limit)]


def sequence(name: str) -> str:
    """Return the drive or film a frame belongs to: its name up to the last underscore."""
    return name.rpartition("_")[0]


def _without_leaks(train: list[str], test: list[str], how: str) -> Split:
    shared = set(train) & set(test)
    if shared:
        raise ExplorerError(
            f"{sorted(shared)[0]!r} is in the training and in the test list ({len(shared)} names "
            "are); take them out of one"
        )
    seen = {sequence(name) for name in train}
    clean = [name for name in test if sequence(name) not in seen]
    if clean and len(clean) < len(test):
        dropped = sorted({sequence(name) for name in test} & seen)
        how += (
            f"; {len(test) - len(clean)} test frames of {', '.join(dropped)} left out, as that "
            "sequence also gives training frames"
        )
        test = clean
    return Split(tuple(train), tuple(test), how)


def _blocks(names: list[str]) -> Split:
    count = len(names)
    if count < 4:
        raise ExplorerError(f"{count} photos with maps are too few to split; 4 or more are needed")
    tested = [False] * count
    if count < LARGE:
        first = count - count // 4
        tested[first:] = [True] * (count - first)
        gap, how = max(1, count // 20), "the last quarter by index is tested"
    else:
        for block in range(EVERY // 2, BLOCKS, EVERY):
            start, stop = block * count // BLOCKS, (block + 1) * count // BLOCKS
            tested[start:stop] = [True] * (stop - start)
        gap, how = GAP, f"{BLOCKS // EVERY} of {BLOCKS} contiguous index blocks are tested"
    near = [any(tested[max(0, i - gap) : i + gap + 1]) for i in range(count)]
    train = tuple(name for i, name in enumerate(names) if not near[i])
    test = tuple(name for i, name in enumerate(names) if tested[i])
    return Split(train, test, f"{how}, the {gap} neighbours on each side dropped")
