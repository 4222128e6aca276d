"""What commands that work through photos share: their arguments, where outputs go, the report."""

from __future__ import annotations

import argparse
import glob
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le

from explorer.cli.batch import find_photos, output_names, refuse_overwriting, run_all
from explorer.core import ALIGN, ExplorerError
from explorer.core.messages import one_line, quoted
from explorer.core.validation import (
    NotJsonError,
    Real,
    Whole,
    checked,
    distinct,
    read_json,
)
from explorer.files.outputs import add_output, check_file, check_name

MOST_NAMES = 64  # in one argument
_COUNT = Annotated[Whole, Ge(0), Le(10**9)]


@dataclass(frozen=True)
class Destination:
    """The photos of a run and where each one's output goes; ``many`` unless one file was named."""

    photos: tuple[Path, ...]
    targets: tuple[Path, ...]
    many: bool


def add_run_arguments(parser: argparse.ArgumentParser, kinds: Sequence[str]) -> None:
    """Declare --out, --format and --force."""
    endings = ", ".join(f".{kind}" for kind in kinds)
    help_text = f"FILE ({endings}) or folder"
    add_output(parser, "--out", {"either": True}, required=True, help=help_text)
    parser.add_argument("--format", choices=kinds, help="of the files in the folder --out")
    parser.add_argument("--force", action="store_true", help="redo what is there already")


def add_align(parser: argparse.ArgumentParser) -> None:
    """Declare --align and --no-align, None if neither is given."""
    meaning = "move the photo before the backbone so that cells describe the pixels under them"
    parser.add_argument("--align", action=argparse.BooleanOptionalAction, help=meaning)


def chosen_align(args: argparse.Namespace) -> bool:
    """Return what --align or --no-align says, or the default."""
    return ALIGN if args.align is None else args.align


def destination(
    given: Sequence[str],
    out: Path,
    chosen: str | None,
    kinds: Sequence[str],
    default: str,
    read: Sequence[Path] = (),
) -> Destination:
    """Return the photos that were named and one output for each.

    One photo goes to the file ``out``; several, a folder or a pattern need a folder, which need
    not exist. No output may replace a photo, nor one of the other files that are ``read``. Raises
    ExplorerError for what cannot be.
    """
    if not all(name.strip() for name in given):
        raise ExplorerError("a photo's name is empty; name a file, a folder or a pattern")
    kind, ending = chosen or default, out.suffix.lower().lstrip(".")
    many = len(given) > 1 or any(Path(name).is_dir() or _is_pattern(name) for name in given)
    if not many and not out.is_dir() and ending:
        if ending not in kinds or chosen not in (None, ending):
            wanted = kinds if chosen is None else [chosen]
            endings = ", ".join(f".{name}" for name in wanted)
            raise ExplorerError(f"--out must end in one of: {endings}; or name a folder")
        refuse_overwriting([Path(given[0])], [out])
        check_file(out, inputs=read)
        return Destination((Path(given[0]),), (out,), False)
    if out.is_file() or (ending in kinds and not out.is_dir()):
        raise ExplorerError(f"several photos need a folder for --out, not the file {out.name}")
    photos = find_photos(given, out) if many else [Path(given[0])]
    if many and kind == "png" and any(p.resolve().parent == out.resolve() for p in photos):
        raise ExplorerError(
            "--out holds photos, and PNG figures there would be taken for photos the next time; "
            "choose another folder"
        )
    targets = [out / f"{name}.{kind}" for name in output_names(photos)]
    refuse_overwriting(photos, targets)
    for target in targets:
        check_name(target, inputs=read)
    return Destination(tuple(photos), tuple(targets), many)


def _is_pattern(name: str) -> bool:
    return glob.has_magic(name) and not Path(name).exists()


def run_photos(
    place: Destination, make: Callable[[Path, Path], tuple[bool, tuple[str, ...]]]
) -> int:
    """Make every output; return the exit status: 1 if a photo of several failed.

    ``make(photo, target)`` returns whether it wrote the target (False: it is there already) and
    remarks, which are printed once each. What a single photo raises is passed on.
    """
    remarks: dict[str, None] = {}

    def one(photo: Path, target: Path) -> bool:
        written, said = make(photo, target)
        remarks.update(dict.fromkeys(said))
        return written

    failed = False
    if place.many:
        outcome = run_all(place.photos, place.targets, one)
        failed = bool(outcome.failed)
        print(outcome.report())
    else:
        target = place.targets[0]
        written = one(place.photos[0], target)
        size = target.stat().st_size / 2**20
        kept = f"{target} is there already, made with the same settings; --force makes it again"
        print(f"wrote {target} ({size:.2f} MiB)" if written else kept)
    for remark in remarks:
        print(f"note: {one_line(remark)}", file=sys.stderr)
    return int(failed)


def refuse(args: argparse.Namespace, names: Sequence[str], why: str) -> None:
    """Raise ExplorerError if one of the arguments was given."""
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(args, name) is not None]
    if given:
        raise ExplorerError(f"{why}; leave out {', '.join(given)}")


def pairs(given: Sequence[str], name: str) -> dict[str, str]:
    """Read arguments written as KEY=VALUE, each key once; raises ExplorerError."""
    split = [pair.partition("=") for pair in given]
    if any(not key or not value for key, _, value in split):
        form = "METHOD=NAME or METHOD=PATH" if name == "--checkpoint" else "NAME=VALUE"
        raise ExplorerError(f"{name} is written as {form}")
    keys = [key for key, _, _ in split]
    if keys:
        distinct(keys, name, MOST_NAMES)
    return {key: value for key, _, value in split}


def name_list(text: str, name: str) -> tuple[str, ...]:
    """Read names with commas, at least one and each once; raises ExplorerError."""
    return distinct((part.strip() for part in text.split(",")), name, MOST_NAMES)


def view_option(text: str, name: str) -> Any:
    """Read the value of a view's option: JSON if it is any, else text; raises ExplorerError."""
    try:
        return read_json(text, f"--view-option {one_line(name)}")
    except NotJsonError:
        return text


def numbers(text: str, name: str, count: int | None = None, kind: type = int) -> list[Any]:
    """Read ``count`` (None: one or more) whole numbers from 0 (or finite floats) with commas;
    raises ExplorerError.
    """
    parts = [part.strip() for part in text.split(",")]
    one = _COUNT if kind is int else Real
    try:
        found = [checked(one, part, name) for part in parts]
    except ExplorerError:
        found = []
    if kind is int and not all(part.isascii() and part.isdigit() for part in parts):
        found = []
    if not found or len(found) != (count or len(found)):
        what = "whole numbers" if kind is int else "numbers"
        many = "" if count is None else f"{count} "
        raise ExplorerError(f"{name} takes {many}{what} with commas, not {quoted(text)}")
    return found


def assignments(text: str, name: str) -> dict[str, int | float | str]:
    """Read NAME=VALUE with commas; what looks like a number is one, and is finite. Raises
    ExplorerError.
    """
    found: dict[str, int | float | str] = {}
    for part in text.split(","):
        key, equals, value = part.strip().partition("=")
        if not (key and equals and value):
            raise ExplorerError(f"{name} takes NAME=VALUE with commas, not {quoted(text, 60)}")
        if key in found:
            raise ExplorerError(f"{name} names {quoted(key)} twice; name each once")
        found[key] = _scalar(value, f"{name} {key}")
    return found


def _scalar(text: str, what: str) -> int | float | str:
    for kind, number in ((int, Whole), (float, Real)):
        try:
            value = kind(text)
        except ValueError:
            continue
        return checked(number, value, what)
    return text
