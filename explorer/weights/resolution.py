"""Where a checkpoint's file is, and whether it is the file it should be.

Order of places: an explicit path, ``checkpoints/``, files converted here, the Hub's cache and our
own; then, if the network may be used, the mirror that EXPLORER_WEIGHTS_REPO names, the Hub, the
release URL.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from explorer.core import WeightsError
from explorer.files.inputs import check_regular
from explorer.weights import fetch, lock
from explorer.weights.cards import read_card
from explorer.weights.catalogue import checkpoint
from explorer.weights.github_release import release_file
from explorer.weights.network import Progress, offline, reachable
from explorer.weights.paths import cache_folder, checkpoints_folder, digest
from explorer.weights.published import CHECKPOINTS
from explorer.weights.rows import CONVERTED, AbsentWeightsError, Checkpoint
from explorer.weights.state_dicts import PICKLED

log = logging.getLogger(__name__)
_SHARED_NAMES = {f for f, n in Counter(row.file for row in CHECKPOINTS).items() if n > 1}


@dataclass(frozen=True)
class Place:
    """A file here: ``sha256`` is what it must have (None: not pinned), ``key`` its source."""

    path: Path
    sha256: str | None
    key: str


def local_file(row: Checkpoint) -> Path | None:
    """Return where the row's file already is on this machine, unchecked, or None."""
    place = local_place(row)
    return place.path if place else None


def local_place(row: Checkpoint) -> Place | None:
    """Return the first of the local places that has the row's file."""
    row = lock.with_pin(row)
    if row.path is not None:
        return Place(row.path, row.sha256, row.key) if row.path.is_file() else None
    suffix = Path(row.file).suffix
    names = [f"{row.name}{suffix}", *([row.file] if row.file not in _SHARED_NAMES else [])]
    for name in names:
        if row.file and (checkpoints_folder() / name).is_file():
            return Place(checkpoints_folder() / name, row.sha256, row.key)
    mirror, revision = mirror_repo()
    if mirror:
        cached = fetch.cached_hub_file(mirror, f"{row.name}.safetensors", revision)
        if cached:
            return _mirrored(row, mirror, cached)
    if row.repo:
        cached = fetch.cached_hub_file(row.repo, row.file, row.revision)
        if cached:
            return Place(cached, row.sha256, row.key)
    if row.url and released(row).is_file():
        return Place(released(row), row.sha256, row.key)
    return None


def resolve(
    wanted: Checkpoint | str | Path,
    *,
    allow_network: bool = True,
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Return the verified file of a row, a row's name or an explicit path; download it if need be.

    ``force`` downloads a published file anew. A file whose pinned digest differs is refused, and
        removed if it has
    just been downloaded; no partial file is ever returned.

    Raises:
        WeightsError: absent and offline (in under a second), unreachable, gated, damaged or
            tampered with.
        UnknownNameError: no row has that name.
    """
    if isinstance(wanted, Path) or (isinstance(wanted, str) and is_path(wanted)):
        path = Path(wanted).expanduser()
        if not path.exists():
            raise WeightsError(f"there is no file {path}")
        check_regular(path, "a file of weights", WeightsError)
        if path.with_suffix(".json").is_file() and path.suffix == ".safetensors":
            read_card(path)
        return path
    row = checkpoint(wanted) if isinstance(wanted, str) else wanted
    lock.check_pin(row)
    row = lock.with_pin(row)
    if force and row.path is None:
        _remove(row)
    place = local_place(row)
    if place is None:
        place = _download(row, allow_network, force, progress)
        try:
            return verify(row, place)
        except WeightsError:
            fetch.forget(place.path)
            raise
    return verify(row, place)


def verify(row: Checkpoint, place: Place) -> Path:
    """Return the place's path; raise WeightsError if its digest is not the one it must have."""
    if place.sha256 is not None:
        seen = digest(place.path)
        if seen != place.sha256:
            again = f"; `python -m explorer weights pull {row.name} --force` fetches it again"
            raise WeightsError(
                f"{place.path.name} of {row.name} has sha256 {seen}, but {place.sha256} was "
                "expected: it is damaged or "
                f"was tampered with, and is not used{again if row.path is None else ''}"
            )
    if row.origin == CONVERTED and row.key:
        pinned = next((lock.with_pin(r).sha256 for r in CHECKPOINTS if r.key == row.key), None)
        source = read_card(place.path, check=False)["source"]["sha256"]
        if pinned and pinned != source:
            raise WeightsError(
                f"{place.path.name} was converted from a file with sha256 {source}, but "
                f"{pinned} is pinned for {row.name}; convert the right file"
            )
    return place.path


def mirror_repo() -> tuple[str | None, str | None]:
    """Return (repo, revision) of EXPLORER_WEIGHTS_REPO: "owner/name" or "owner/name@revision"."""
    repo, _, revision = (os.environ.get("EXPLORER_WEIGHTS_REPO") or "").partition("@")
    return repo or None, revision or None


def released(row: Checkpoint) -> Path:
    """Where a release file is kept."""
    return cache_folder() / "weights" / row.name / row.file


def _mirrored(row: Checkpoint, mirror: str, weights: Path) -> Place:
    """The mirror's card vouches for the file's integrity; only a pin makes it verified."""
    key = f"hf://{mirror}/{row.name}.safetensors"
    pin = lock.pins().get(key)
    card = weights.parent / f"{row.name}.json"
    if card.is_file():
        claimed = read_card(weights)
        source = (claimed.get("source") or {}).get("sha256")
        if row.sha256 and source and source != row.sha256:
            raise WeightsError(
                f"the mirror {mirror} offers {row.name} made from a file with sha256 {source}, but "
                f"{row.sha256} is "
                "pinned; refill the mirror or unset EXPLORER_WEIGHTS_REPO"
            )
    return Place(weights, pin["sha256"] if pin else None, key)


def _download(
    row: Checkpoint, allow_network: bool, force: bool, progress: Progress | None
) -> Place:
    put = f"or put the file into {checkpoints_folder()} as {row.name}{Path(row.file).suffix}"
    pull = f"`python -m explorer weights pull {row.name}`"
    mirror, revision = mirror_repo()
    if not (row.repo or row.url or mirror):
        raise WeightsError(
            f"{row.path} is gone: {row.name} exists nowhere else; restore or train it"
        )
    if offline() or not allow_network:
        raise AbsentWeightsError(
            f"{row.name} is not on this machine and the network is switched off; run {pull} once "
            f"with a connection, {put}"
        )
    from huggingface_hub import constants

    hub = constants.ENDPOINT
    addresses = [*([hub] if mirror or row.repo else []), *([row.url] if row.url else [])]
    answering = reachable(addresses)
    if not answering:
        hosts = " and ".join(urlsplit(address).hostname or address for address in addresses)
        raise AbsentWeightsError(
            f"{row.name} is not on this machine and {hosts} cannot be reached; run {pull} once "
            f"with a connection, {put}"
        )
    mirror_says = ""
    if mirror and hub in answering:
        try:
            return _from_mirror(row, mirror, revision, force, progress)
        except WeightsError as error:
            mirror_says = f" (the mirror {mirror}: {error})"
            log.warning("the mirror %s was passed over: %s", mirror, error)
    try:
        if row.repo:
            path = fetch.hub_file(
                row.repo,
                row.file,
                revision=row.revision,
                what=row.name,
                alternative=row.alternative,
                force=force,
                progress=progress,
            )
        elif row.url:
            path = release_file(
                row.url, released(row), what=row.name, size=row.size, progress=progress
            )
        else:
            raise AbsentWeightsError(f"{row.name} is published nowhere else")
    except WeightsError as error:
        raise type(error)(f"{error}{mirror_says}") from None
    return Place(path, row.sha256, row.key)


def _from_mirror(
    row: Checkpoint, mirror: str, revision: str | None, force: bool, progress: Progress | None
) -> Place:
    options: dict[str, Any] = {"revision": revision, "what": row.name, "force": force}
    card = fetch.hub_file(mirror, f"{row.name}.json", **options)
    weights = fetch.hub_file(mirror, f"{row.name}.safetensors", progress=progress, **options)
    try:
        place = _mirrored(row, mirror, weights)
        verify(row, place)
    except WeightsError:
        fetch.forget(weights)
        fetch.forget(card)
        raise
    return place


def _remove(row: Checkpoint) -> None:
    """Forget the cached copies of a row, so that they are downloaded again."""
    mirror, revision = mirror_repo()
    sources = [(mirror, f"{row.name}.safetensors", revision), (row.repo, row.file, row.revision)]
    for repo, file, commit in sources:
        cached = fetch.cached_hub_file(repo, file, commit) if repo else None
        if cached:
            fetch.forget(cached)
    if row.url:
        released(row).unlink(missing_ok=True)


def is_path(text: str) -> bool:
    """Whether ``text`` means a file rather than a row's name."""
    return os.sep in text or "/" in text or Path(text).suffix in (".safetensors", *PICKLED)
