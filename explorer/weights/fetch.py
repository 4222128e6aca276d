"""Files of the Hugging Face Hub: the cache first, then the network, every failure one sentence.

The Hub's own client retries a dead server for some 20 seconds, so a short metadata request without
retries decides first. A cached file never causes a request.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path
from typing import Any

from explorer.core import WeightsError
from explorer.weights.background_download import awaited
from explorer.weights.network import Progress, no_disk, offline, reachable
from explorer.weights.paths import digest
from explorer.weights.rows import AbsentWeightsError
from explorer.weights.stall_detector import TrickleError, watch_client

METADATA_SECONDS = 5.0
PAUSES = (0.5, 1.5)  # before each further try when the server says 429 or 5xx


def hub_file(
    repo: str,
    file: str,
    *,
    revision: str | None = None,
    what: str = "",
    alternative: str = "",
    allow_network: bool = True,
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Return a file of a Hub repository: from the Hub's cache without any request, else downloaded.

    ``what`` is what the user asked for, ``alternative`` what an error about a gated repository
        suggests instead.
    ``revision`` is 40 hex, or None for the default branch.

    Raises:
        WeightsError: not cached and offline, unreachable, gated, absent, damaged on the way, or a
            full disk.
    """
    what = what or f"{file} of {repo}"
    if not force:
        cached = cached_hub_file(repo, file, revision)
        if cached:
            _check_etag(cached, _blob_name(cached), what)
            return cached
    from huggingface_hub import constants

    if not allow_network or offline() or constants.is_offline_mode():
        raise AbsentWeightsError(
            f"{what} is not cached and the network is switched off; fetch {repo}/{file} once with "
            "HF_HUB_OFFLINE unset"
        )
    if not reachable([constants.ENDPOINT]):
        raise AbsentWeightsError(
            f"{what} ({repo}/{file}) is not cached and {constants.ENDPOINT} cannot be reached; try "
            "again once it can be"
        )

    def fetch(progress: Progress | None) -> Path:
        for pause in (*PAUSES, None):
            try:
                path, etag = _download(repo, file, revision, force, progress)
                break
            except Exception as error:  # the client's network errors differ between its versions
                if pause is None or not _passing(error):
                    raise _sentence(error, repo, file, what, alternative) from None
                time.sleep(pause)
        _check_etag(path, etag, what)
        return path

    return awaited((repo, file, revision), what, fetch, progress)


def cached_hub_file(repo: str, file: str, revision: str | None = None) -> Path | None:
    """Return the cached file of that revision (None: the branch as last seen); no request."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, file, revision=revision)
    return Path(found) if isinstance(found, str) else None


def cached_revision(path: Path) -> str | None:
    """Return the commit a cached Hub file belongs to."""
    parts = path.parts
    if "snapshots" in parts:
        commit = parts[len(parts) - parts[::-1].index("snapshots")]
        if re.fullmatch("[0-9a-f]{40}", commit):
            return commit
    return None


def forget(path: Path) -> None:
    """Remove a cached Hub file, its content included, so that it is never used again."""
    if path.is_symlink():
        blob = path.parent / os.readlink(path)
        blob.unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _download(
    repo: str, file: str, revision: str | None, force: bool, progress: Progress | None
) -> tuple[Path, str | None]:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    watch_client()
    url = hf_hub_url(repo, file, revision=revision)
    metadata = get_hf_file_metadata(url, timeout=METADATA_SECONDS)
    path = hf_hub_download(
        repo,
        file,
        revision=revision,
        etag_timeout=METADATA_SECONDS,
        force_download=force,
        tqdm_class=_bar(progress),
    )
    return Path(path), metadata.etag


def _bar(progress: Progress | None) -> Any:
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):
        """Draws nothing; tells ``progress`` how far the download is."""

        def __init__(self, *args: Any, **options: Any):
            super().__init__(*args, **{**options, "disable": True})
            self.done = options.get("initial") or 0
            self.all = options.get("total")

        def update(self, n: float | None = 1) -> None:
            self.done += int(n or 0)
            if progress:
                progress(self.done, self.all)

    return Bar


def _passing(error: Exception) -> bool:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status in (408, 429, 500, 502, 503, 504)


def _sentence(error: Exception, repo: str, file: str, what: str, alternative: str) -> WeightsError:
    from huggingface_hub import constants, errors

    page = f"{constants.ENDPOINT}/{repo}"
    if isinstance(error, errors.GatedRepoError):  # a subclass of RepositoryNotFoundError
        instead = f"; or use {alternative}, which is not gated" if alternative else ""
        return AbsentWeightsError(
            f"{what} is gated: accept its licence at {page} and log in with `hf auth login` (or "
            f"set HF_TOKEN){instead}"
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return AbsentWeightsError(
            f"{what}: there is no repository {repo} at {page}, or it is private; log in with `hf "
            "auth login` if it is yours"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return AbsentWeightsError(
            f"{what}: {repo} no longer has the pinned revision; see {page}/commits/main"
        )
    if isinstance(error, errors.EntryNotFoundError):
        return AbsentWeightsError(f"{what}: {repo} has no file {file}; see {page}/tree/main")
    full = no_disk(error, constants.HF_HUB_CACHE)
    if full:
        return full
    status = getattr(getattr(error, "response", None), "status_code", None)
    why = f"HTTP {status}" if status else type(error).__name__
    if isinstance(error, TrickleError):
        why = f"it trickled in: {error}"
    return AbsentWeightsError(
        f"{what} could not be downloaded from {page} ({why}); nothing of it is used, "
        "try again later"
    )


def _blob_name(path: Path) -> str | None:
    # One step only: a blob can itself be a link into a store that names files differently.
    return Path(os.readlink(path)).name if path.is_symlink() else None


def _check_etag(path: Path, etag: str | None, what: str) -> None:
    """Hold the content against the Hub's etag: its sha256 (large files) or git hash."""
    if etag is None or not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", etag):
        return
    if len(etag) == 64:
        seen = digest(path)
    else:
        content = path.read_bytes()
        seen = hashlib.sha1(
            b"blob %d\0" % len(content) + content, usedforsecurity=False
        ).hexdigest()
    if seen != etag:
        forget(path)
        raise WeightsError(
            f"{what} was damaged or tampered with: its content has digest {seen}, the Hub "
            f"announced {etag}; the copy was removed, try again"
        )
