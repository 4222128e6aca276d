"""Where outputs go, checked before any work begins: what could not be written at its end.

A command declares its outputs with `add_output`; the program checks them all before it runs the
command. Checking leaves nothing behind: the folders that an output needs are made when it is
written.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from explorer.core import ExplorerError


def check_file(
    path: Path,
    endings: Sequence[str] = (),
    name: str = "--out",
    beside: Sequence[str] = (),
    inputs: Iterable[Path] = (),
) -> None:
    """Check that a file can be written.

    Args:
        path: the file; it need not exist, nor the folders it lies in.
        endings: what it must end in, with dots; any if there are none.
        name: what the caller calls it, for messages.
        beside: endings of the files that are written together with it, in place of its own.
        inputs: files that are read, which no output may replace.

    Raises:
        ExplorerError: with what is wrong, what is expected and what to do.
    """
    if endings and path.suffix not in endings:
        raise ExplorerError(
            f"{name} must end in {' or '.join(endings)}, and {path.name or path} does not"
        )
    read = list(inputs)
    for target in (path, *(path.with_suffix(ending) for ending in beside)):
        check_name(target, name, read)
    check_folder(path.parent, name)


def check_folder(path: Path, name: str = "--out") -> None:
    """Check that files can be written into a folder, which need not exist.

    Raises:
        ExplorerError: a file has its name or a parent's, or nothing can be written there.
    """
    nearest = path.absolute()
    try:
        while not nearest.exists():
            if nearest.is_symlink():
                raise ExplorerError(f"cannot write {path}: {nearest} is a link to nothing")
            nearest = nearest.parent
        if not nearest.is_dir():
            raise ExplorerError(
                f"cannot write {path}: {nearest} is a file, not a folder; "
                f"choose another folder for {name}"
            )
        with tempfile.TemporaryFile(dir=nearest):  # the only true answer; it has no name to be left
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise ExplorerError(
            f"cannot write {path}: {reason}; choose another folder for {name}"
        ) from None


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths name the same file, however they are written."""
    try:
        return one.samefile(other)
    except OSError:  # one is not there
        return one.resolve() == other.resolve()


def check_name(path: Path, name: str = "--out", inputs: Iterable[Path] = ()) -> None:
    """Check that a file may take this name, whatever of its folder.

    Raises:
        ExplorerError: a folder, a device or one of the ``inputs`` has it.
    """
    try:
        taken = path.exists() and not path.is_file()
    except OSError as error:
        raise ExplorerError(f"cannot write {path}: {error.strerror or error}") from None
    if taken:
        what = "a folder" if path.is_dir() else "a device or a pipe"
        raise ExplorerError(
            f"cannot write {path}: {what} has that name; choose another name for {name}"
        )
    for read in inputs:
        if same_file(path, read):
            raise ExplorerError(
                f"{name} would overwrite {read}, which is read; choose another name"
            )


@dataclass(frozen=True)
class Output:
    """A command's argument that names what is written.

    Args:
        argument: the attribute of the parsed arguments.
        name: the option, for messages.
        endings: what a file must end in, with dots; any if there are none.
        beside: endings of the files that are written together with it, in place of its own.
        stem: raises ExplorerError for a name that cannot be, without its ending.
        inputs: arguments that name files it may not replace.
        folder: whether it is a folder.
        files: names of the files that are written into the folder.
        either: whether it may be a folder or a file: what has no ending is a folder.
        dash: whether ``-`` stands for standard output.
    """

    argument: str
    name: str
    endings: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    stem: Callable[[str], None] | None = None
    inputs: tuple[str, ...] = ()
    folder: bool = False
    files: tuple[str, ...] = ()
    either: bool = False
    dash: bool = False

    def check(self, args: argparse.Namespace) -> list[Path]:
        """Check what was given; return the files that are written.

        Raises:
            ExplorerError: it cannot be written.
        """
        path = getattr(args, self.argument)
        if path is None or (self.dash and str(path) == "-"):
            return []
        if path == "":
            raise ExplorerError(f"{self.name} is empty; name a {self._kind} to write to")
        if self.folder or (self.either and (path.is_dir() or not path.suffix)):
            check_folder(path, self.name)
            files = [path / file for file in self.files]
            for file in files:
                check_name(file, self.name)
            return files
        read = [found for given in self.inputs for found in _paths(getattr(args, given))]
        check_file(path, self.endings, self.name, self.beside, read)
        if self.stem is not None:
            self.stem(path.stem)
        return [path, *(path.with_suffix(ending) for ending in self.beside)]

    @property
    def _kind(self) -> str:
        return "folder" if self.folder else "file or folder" if self.either else "file"


def add_output(
    parser: argparse.ArgumentParser,
    name: str,
    checked: dict[str, Any] | None = None,
    **declared: Any,
) -> None:
    """Declare an argument for what is written, which is checked before the command runs.

    ``checked`` are fields of `Output`, ``declared`` what ``add_argument`` takes.
    """
    argument = parser.add_argument(name, type=_path_or_empty, **declared).dest
    output = Output(argument, name, **(checked or {}))
    parser.set_defaults(outputs=(*(parser.get_default("outputs") or ()), output))


def _path_or_empty(text: str) -> Path | str:
    """Return the path; of an empty text ``Path`` would make the working folder."""
    return Path(text) if text.strip() else ""


def check_outputs(args: argparse.Namespace) -> None:
    """Check every output that a command declared, and that no two are the same file.

    Raises:
        ExplorerError: one cannot be written, with what is expected.
    """
    taken: dict[Path, str] = {}
    for output in args.outputs:
        for path in output.check(args):
            other = taken.setdefault(path.resolve(), output.name)
            if other != output.name:
                raise ExplorerError(
                    f"{output.name} and {other} would both write {path}; choose another name"
                )


def _paths(given: Any) -> list[Path]:
    """Return the paths that an argument names: none, one or several."""
    if given is None:
        return []
    return [Path(one) for one in (given if isinstance(given, list) else [given])]
