"""One photo after the other: which ones, what outputs are called, how far it is, what failed."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from explorer.cli.progress import progress_bar
from explorer.core import ExplorerError
from explorer.core.messages import one_line
from explorer.files.atomic import OutputError, part_file

__all__ = [
    "Outcome",
    "OutputError",
    "find_photos",
    "output_names",
    "part_file",
    "refuse_overwriting",
    "run_all",
]

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif")


def find_photos(given: Sequence[str | Path], out: Path | None = None) -> list[Path]:
    """Return the photos that files, folders and glob patterns stand for, each once, in order.

    Of a folder, the files in it and below it with a photo's ending, sorted by path; hidden ones and
    those in the folder ``out`` are left out. A file that is named is taken whatever its ending.

    Raises:
        ExplorerError: something named does not exist, or a folder or pattern holds no photo.
    """
    found: dict[Path, Path] = {}
    skipped = None if out is None else out.resolve()
    for name in given:
        path = Path(name)
        if path.is_dir():
            listed = list(_below(path, skipped if skipped != path.resolve() else None))
        elif path.exists() or not glob.has_magic(str(name)):
            listed = [path]
        else:
            listed = []
            for match in sorted(map(Path, glob.glob(str(name), recursive=True))):
                listed += _below(match, skipped) if match.is_dir() else [match]
            if not listed:
                raise ExplorerError(f"nothing matches {str(name)!r}")
        if not listed:
            raise ExplorerError(f"{path} holds no photo ({', '.join(PHOTO_SUFFIXES)})")
        for photo in listed:
            found.setdefault(photo.resolve(), photo)
    if not found:
        raise ExplorerError("name at least one photo, folder or pattern")
    return list(found.values())


def _below(folder: Path, skipped: Path | None) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        outside = skipped is None or skipped not in path.resolve().parents
        if path.suffix.lower() in PHOTO_SUFFIXES and not hidden and outside and path.is_file():
            yield path


def output_names(photos: Sequence[Path]) -> list[str]:
    """Return one name per photo, without ending: its own, told apart by folder and ending if two
    photos share it. Upper and lower case do not tell names apart, nor do they on every disk.
    """
    parents = [str(photo.resolve().parent) for photo in photos]
    base = Path(os.path.commonpath(parents)) if photos else Path()
    counts = Counter(photo.stem.casefold() for photo in photos)
    taken: set[str] = {stem for stem, count in counts.items() if count == 1}
    names = []
    for photo in photos:
        name = photo.stem
        if counts[name.casefold()] > 1:
            inner = photo.resolve().parent.relative_to(base).parts
            plain = "-".join([*inner, name, photo.suffix.lstrip(".")]).rstrip("-")
            name, number = plain, 2
            while name.casefold() in taken:
                name, number = f"{plain}-{number}", number + 1
            taken.add(name.casefold())
        names.append(name)
    return names


def refuse_overwriting(photos: Sequence[Path], targets: Sequence[Path]) -> None:
    """Raise ExplorerError if an output would replace one of the photos."""
    resolved = {photo.resolve() for photo in photos}
    for target in targets:
        if target.resolve() in resolved:
            raise ExplorerError(f"--out would overwrite the photo {target}; choose another folder")


@dataclass
class Outcome:
    """What became of the photos of a run."""

    written: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)

    def report(self) -> str:
        """Return the run in words: counts, then each photo that failed and why."""
        lines = [
            f"{len(self.written)} written, {len(self.kept)} there already, "
            f"{len(self.failed)} failed"
        ]
        lines += [f"  {photo}: {reason}" for photo, reason in self.failed]
        return "\n".join(lines)


def run_all(
    photos: Sequence[Path],
    targets: Sequence[Path],
    make: Callable[[Path, Path], bool],
) -> Outcome:
    """Call ``make(photo, target)`` for each photo; what one photo raises is kept for the report.

    ``make`` returns whether it wrote the target, False if it was there already. Raises OutputError
    at once.
    """
    outcome = Outcome()
    with progress_bar("photos", len(photos), leave=False) as bar:
        for photo, target in zip(photos, targets, strict=True):
            bar.set_postfix_str(one_line(photo.name))
            try:
                written = make(photo, target)
            except OutputError:
                raise
            except ExplorerError as error:
                outcome.failed.append((photo, str(error)))
            except Exception as error:  # a run over many photos must not die of one
                reason = " ".join(str(error).split())[:200]
                outcome.failed.append((photo, f"{type(error).__name__}: {reason}"))
            else:
                (outcome.written if written else outcome.kept).append(photo)
            bar.update(1)
    return outcome
