"""Load a checkpoint's tensors, say whether they were verified, turn pickles into safetensors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from explorer.core import WeightsError
from explorer.weights import fetch, lock
from explorer.weights.cards import DESCRIBED, read_card, row_of, write_card
from explorer.weights.catalogue import checkpoint, checkpoints
from explorer.weights.file_settings import FileSettings, read_settings
from explorer.weights.network import Progress
from explorer.weights.paths import converted_folder, digest, write_weights
from explorer.weights.published import CHECKPOINTS
from explorer.weights.resolution import is_path, local_place, resolve
from explorer.weights.rows import CONVERTED, Checkpoint
from explorer.weights.state_dicts import read_state


@dataclass(frozen=True, eq=False)
class Loaded:
    """A state dict and its provenance.

    ``digest_seen`` is the sha256 of the file that was read; ``verified`` says whether it is the one
    that a card or a pin demands. ``row`` is None for a file that nobody described and whose digest
    no row has; ``settings`` are then those in its header, if it has any.
    """

    state: dict[str, Tensor]
    path: Path
    digest_seen: str
    verified: bool
    row: Checkpoint | None = None
    settings: FileSettings | None = None

    @property
    def label(self) -> str:
        """What captions and tables say: the origin, and "unverified" if nobody pinned the file."""
        origin = self.row.origin if self.row else "file"
        return origin if self.verified else f"{origin}, unverified ({self.digest_seen[:12]})"


def load(
    wanted: Checkpoint | str | Path,
    *,
    transform: str | None = None,
    allow_network: bool = True,
    progress: Progress | None = None,
) -> Loaded:
    """Load a row, a row's name or a file of weights; no pickle is ever executed.

    ``transform`` overrules how a ``.pth`` is read (see `explorer.weights.state_dicts`).

    Raises:
        WeightsError: see `resolve`; or the file is unsafe, damaged or of an unknown kind.
        UnknownNameError: no row has that name.
    """
    path = resolve(wanted, allow_network=allow_network, progress=progress)
    seen = digest(path)
    row = _row_for(wanted, path) or _known_file(seen)
    place = local_place(row) if row else None
    state = read_state(path, transform or (row.transform if row else "auto"))
    verified = seen in (place and place.sha256, row and row.sha256)
    if row and place and place.key and not verified:
        lock.note_seen(place.key, row.name, seen, path.stat().st_size)
    settings = None if row else read_settings(path)
    return Loaded(state, path, seen, verified, row, settings)


def load_state(
    wanted: Checkpoint | str | Path,
    *,
    transform: str | None = None,
    allow_network: bool = True,
    progress: Progress | None = None,
) -> dict[str, Tensor]:
    """Return only the state dict of `load`, by the names that the method's module uses."""
    loaded = load(wanted, transform=transform, allow_network=allow_network, progress=progress)
    return loaded.state


def convert(
    wanted: Checkpoint | str | Path,
    out: Path | None = None,
    *,
    row: Checkpoint | None = None,
    allow_network: bool = True,
    progress: Progress | None = None,
) -> Path:
    """Write a published file's tensors as safetensors, with a card that names the source's digest.

    ``wanted`` is a row, its name, or a file of it; for a file, ``row`` says whose it is unless its
    name does. ``out`` is a file or a folder; the default is where `resolve` finds it again.

    Raises:
        WeightsError: see `load`; or nobody can tell which checkpoint the file is.
    """
    path: Path | None = None
    if isinstance(wanted, str) and not is_path(wanted) and Path(wanted).is_file():
        wanted = Path(wanted)
    if isinstance(wanted, Path) or (isinstance(wanted, str) and is_path(wanted)):
        path = resolve(Path(wanted))
        row = row or _published_like(path)
    elif row is None:
        row = checkpoint(wanted) if isinstance(wanted, str) else wanted
    published = next((r for r in CHECKPOINTS if r.name == row.name), row)
    path = path or resolve(published, allow_network=allow_network, progress=progress)
    lock.check_pin(published)
    pinned = lock.with_pin(published)
    seen = digest(path)
    if pinned.sha256 and path.suffix != ".safetensors" and seen != pinned.sha256:
        raise WeightsError(
            f"{path.name} has sha256 {seen}, but {pinned.sha256} is pinned for {row.name}: it was "
            "not converted"
        )
    state = read_state(path, published.transform)
    target = out or converted_folder()
    target = target if target.suffix == ".safetensors" else target / f"{row.name}.safetensors"
    write_weights(target, state)
    write_card(target, converted_card(published, path, seen))
    return target


def converted_card(row: Checkpoint, source: Path, sha256: str) -> dict[str, Any]:
    """Return the card of a published row's converted file."""
    return {
        **{name: getattr(row, name) for name in DESCRIBED},
        "options": dict(row.options),
        "origin": CONVERTED,
        "source": {
            "name": row.name,
            "file": source.name,
            "sha256": sha256,
            "url": row.url or (f"{row.where}/{row.file}" if row.repo else ""),
            "revision": row.revision or fetch.cached_revision(source),
        },
    }


def measure(row: Checkpoint) -> tuple[str, dict[str, Any]] | None:
    """Return what a lock would pin for a published row, as (key, entry), or None if it's absent."""
    place = local_place(replace(row, path=None)) if row.key else None
    if place is None or not place.key:
        return None
    return place.key, {
        "name": row.name,
        "sha256": digest(place.path),
        "size": place.path.stat().st_size,
        "revision": fetch.cached_revision(place.path),
    }


def _row_for(wanted: Checkpoint | str | Path, path: Path) -> Checkpoint | None:
    if isinstance(wanted, Checkpoint):
        return lock.with_pin(wanted)
    if isinstance(wanted, str) and not is_path(wanted):
        return checkpoint(wanted)
    if path.suffix == ".safetensors" and path.with_suffix(".json").is_file():
        return row_of(read_card(path), path)
    return None


def _known_file(sha256: str) -> Checkpoint | None:
    """Return the row whose pinned digest a file has, wherever it lies and whatever its name."""
    return next((row for row in checkpoints() if row.sha256 == sha256), None)


def _published_like(path: Path) -> Checkpoint:
    fitting = [r for r in CHECKPOINTS if path.name == r.file or path.stem == r.name]
    if len(fitting) != 1:
        why = "fits several" if fitting else "is known by no row"
        raise WeightsError(
            f"{path.name} {why}; say which with --row: "
            f"{', '.join(r.name for r in fitting or CHECKPOINTS)}"
        )
    return fitting[0]
