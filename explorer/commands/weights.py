"""``python -m explorer weights``: list, pull, verify, convert, publish and pin checkpoints."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from explorer import weights
from explorer.cli.progress import progress_bar, report_to
from explorer.core import WeightsError
from explorer.files.outputs import add_output
from explorer.weights import lock
from explorer.weights.network import Progress
from explorer.weights.publish import plan, publish
from explorer.weights.rows import Checkpoint, check_checkpoint_name

HELP = "list, pull, verify, convert, publish and pin checkpoints"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands and their options."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    listing = commands.add_parser("list", help="every checkpoint: origin, size, licence, digest")
    listing.add_argument("--method", help="only this method or probe kind")
    listing.add_argument("--backbone", help="only what fits this backbone")
    listing.add_argument("--json", action="store_true", help="print JSON")

    pull = commands.add_parser("pull", help="download checkpoints (resumed and retried)")
    _names(pull)
    pull.add_argument("--force", action="store_true", help="download again what is cached")
    pull.add_argument("--retries", type=int, default=2, metavar="N", help="further tries (2)")

    verify = commands.add_parser("verify", help="hash and open every file that is here")
    _names(verify, optional=True)

    convert = commands.add_parser("convert", help="turn a pickle into safetensors, executing none")
    convert.add_argument("source", metavar="NAME_OR_FILE")
    convert.add_argument("--row", metavar="NAME", help="whose file it is, if its name does not say")
    add_output(
        convert,
        "--out",
        {
            "endings": (".safetensors",),
            "beside": (".json", ".md"),
            "stem": check_checkpoint_name,
            "inputs": ("source",),
            "either": True,
        },
        help="a .safetensors file or a folder",
    )

    publishing = commands.add_parser("publish", help="mirror checkpoints to a Hub repository")
    _names(publishing)
    publishing.add_argument("--repo", required=True, metavar="OWNER/NAME")
    publishing.add_argument("--private", action="store_true", help="create the repository private")
    publishing.add_argument("--send", action="store_true", help="really send (else a dry run)")

    locking = commands.add_parser("lock", help="pin the digests and revisions of what is cached")
    _names(locking, optional=True)
    add_output(locking, "--file", help=f"the lock file (default: {lock.LOCK_NAME})")
    locking.add_argument("--force", action="store_true", help="replace pins that differ")


def run(args: argparse.Namespace) -> int:
    """Run the chosen action; return 0, or 1 if one of the files is not there or not as it should
    be. Raises ExplorerError for what cannot be done at all.
    """
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "list": _list,
        "pull": _pull,
        "verify": _verify,
        "convert": _convert,
        "publish": _publish,
        "lock": _lock,
    }
    return actions[args.action](args)


def _names(parser: argparse.ArgumentParser, optional: bool = False) -> None:
    text = "names from the list" + (" (all if none is given)" if optional else "")
    parser.add_argument("names", nargs="*", metavar="NAME", help=text)
    if not optional:
        parser.add_argument("--all", action="store_true", help="every checkpoint of a built method")


def _chosen(args: argparse.Namespace) -> list[Checkpoint]:
    if args.names:
        return [weights.checkpoint(name) for name in args.names]
    if getattr(args, "all", False):
        return [row for row in _rows() if row.built]
    raise WeightsError("name one or more checkpoints, or give --all; `weights list` shows them")


def _rows() -> list[Checkpoint]:
    from explorer.catalogue import checkpoint_rows  # loads every method; other actions need none

    return checkpoint_rows()


def describe(row: Checkpoint) -> dict[str, Any]:
    """Return what the table says about a row, as plain values."""
    path, pin, seen = weights.local_file(row), lock.pins().get(row.key), lock.seen().get(row.key)
    digest = row.sha256 or (pin or {}).get("sha256") or (seen or {}).get("sha256")
    state = (
        "card"
        if row.path
        else "pinned"
        if row.sha256 or pin
        else "unverified"
        if seen or path
        else "not pinned"
    )
    here = "no" if path is None else "yes" if row.path is None else "here"
    return {
        "name": row.name,
        "method": row.method,
        "backbone": row.backbone,
        "stage": row.stage,
        "channels": row.channels,
        "origin": row.origin,
        "built": row.built,
        "licence": row.licence,
        "paper": row.paper,
        "size": path.stat().st_size if path else row.size,
        "cached": here,
        "sha256": digest,
        "digest": state,
        "where": row.where,
        "notes": row.notes,
    }


def _list(args: argparse.Namespace) -> int:
    rows = [
        row
        for row in _rows()
        if args.method in (None, row.method) and row.matches(args.backbone, None, None)
    ]
    described = [describe(row) for row in rows]
    if args.json:
        print(json.dumps(described, indent=2, ensure_ascii=False))
        return 0
    table = [("NAME", "ORIGIN", "BACKBONE", "SIZE", "LICENCE", "CACHED", "DIGEST")]
    for row in described:
        origin = row["origin"] if row["built"] else f"{row['origin']} (not built yet)"
        digest = f"{row['sha256'][:12]} {row['digest']}" if row["sha256"] else row["digest"]
        table.append(
            (
                row["name"],
                origin,
                row["backbone"],
                size_text(row["size"]),
                row["licence"],
                row["cached"],
                digest,
            )
        )
    print_table(table)
    print(f"\n{len(described)} checkpoints; 'pinned' digests are enforced, see `weights lock`.")
    return 0


def _pull(args: argparse.Namespace) -> int:
    failed = 0
    for row in _chosen(args):
        for attempt in range(args.retries + 1):
            try:
                with downloading(row.name) as progress:
                    again = args.force and attempt == 0
                    path = weights.resolve(row, force=again, progress=progress)
                size = size_text(path.stat().st_size)
                print(f"{row.name}: {path} ({size}, sha256 {weights.digest(path)})")
                break
            except WeightsError as error:
                if attempt == args.retries:
                    print(error, file=sys.stderr)
                    failed += 1
                else:
                    print(f"{error}; trying again", file=sys.stderr)
                    time.sleep(min(2.0**attempt, 8.0))
    return int(failed > 0)


def _verify(args: argparse.Namespace) -> int:
    wrong = 0 if args.names else _report_folder()
    checked = 0
    for row in [weights.checkpoint(name) for name in args.names] or weights.checkpoints():
        if weights.local_file(row) is None:
            if args.names:
                print(f"{row.name}: not on this machine")
                wrong += 1
            continue
        checked += 1
        try:
            loaded = weights.load(row, allow_network=False)
        except WeightsError as error:
            print(f"{row.name}: {error}")
            wrong += 1
            continue
        verdict = "ok" if loaded.verified else "unverified, nobody pinned it"
        print(f"{row.name}: {verdict} ({len(loaded.state)} tensors, sha256 {loaded.digest_seen})")
    print(f"{checked} files checked, {wrong} wrong")
    return int(wrong > 0)


def _report_folder() -> int:
    sentences = weights.problems(weights.checkpoints_folder())
    known = {row.name for row in weights.checkpoints()}
    sentences = [s for s in sentences if s.split(".safetensors")[0] not in known]
    for sentence in sentences:
        print(sentence)
    return len(sentences)


def _convert(args: argparse.Namespace) -> int:
    row = weights.checkpoint(args.row) if args.row else None
    source = Path(args.source) if Path(args.source).is_file() else args.source
    with downloading(str(args.source)) as progress:
        path = weights.convert(source, args.out, row=row, progress=progress)
    card = weights.read_card(path)
    print(f"{path} (sha256 {card['sha256']}, from {card['source']['sha256']})")
    return 0


def _publish(args: argparse.Namespace) -> int:
    with downloading("preparing") as progress:
        upload = plan(_chosen(args), args.repo, progress=progress)
    print(f"{len(upload.files) + 1} files, {size_text(upload.size)}, for {upload.repo}:")
    for name, path in upload.files:
        print(f"  {name}  {size_text(path.stat().st_size)}  sha256 {weights.digest(path)}")
    print("  README.md")
    if not args.send:
        print("dry run: nothing was sent; add --send to publish")
        return 0
    print(f"published as commit {publish(upload, private=args.private)}")
    return 0


def _lock(args: argparse.Namespace) -> int:
    wanted = set(args.names) or None
    unknown = (wanted or set()) - {row.name for row in weights.CHECKPOINTS}
    if unknown:
        raise WeightsError(f"no published checkpoint is called {', '.join(sorted(unknown))}")
    pinned, entries, wrong = lock.pins(args.file), {}, 0
    for row in weights.CHECKPOINTS:
        if wanted is not None and row.name not in wanted:
            continue
        measured = weights.measure(row)
        if measured is None:
            if wanted:
                print(f"{row.name}: not on this machine, pull it first")
                wrong += 1
            continue
        key, entry = measured
        listed = row.sha256 if key == row.key else None  # a mirror's file is another one
        if listed and listed != entry["sha256"]:
            print(f"{row.name}: must have {listed}, the file has {entry['sha256']}; not pinned")
            wrong += 1
            continue
        before = pinned.get(key, {}).get("sha256")
        if before and before != entry["sha256"] and not args.force:
            print(f"{row.name}: pinned as {before}, the file has {entry['sha256']}; kept the pin")
            wrong += 1
            continue
        entries[key] = entry
        revision = f", revision {entry['revision']}" if entry["revision"] else ""
        print(f"{row.name}: sha256 {entry['sha256']}{revision}")
    path = lock.add_pins(entries, args.file) if entries else args.file or lock.lock_path()
    print(f"{len(entries)} pinned in {path}")
    return int(wrong > 0)


@contextmanager
def downloading(what: str) -> Iterator[Progress]:
    """Show bytes, speed and time left on a terminal; yields what is called with (done, total)."""
    quiet = not sys.stderr.isatty()
    with progress_bar(what, unit="B", quiet=quiet, leave=False) as bar:
        yield report_to(bar)


def size_text(size: int | None) -> str:
    """Return bytes as people read them."""
    if size is None:
        return "?"
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return ""


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print columns padded to their widest cell."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
