"""The lock file: digests, sizes and Hub revisions of published files that somebody measured.

``explorer_weights.lock.json`` holds ``pinned`` and ``seen``, both keyed by where a file lies
(`Checkpoint.key`). A pin made with ``weights lock`` is enforced from then on; ``seen`` only notes
what was loaded unverified. A digest that `explorer.weights.published` lists is enforced without a
pin, and a pin that contradicts it makes that row unusable, no other. The pins of ``checkpoints/``
(shipped with a project or Space) win over those of the cache folder. EXPLORER_WEIGHTS_LOCK names
another file instead of both.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from explorer.core import WeightsError
from explorer.core.validation import read_json
from explorer.files.inputs import read_text
from explorer.weights.paths import cache_folder, checkpoints_folder, write_json
from explorer.weights.rows import PUBLISHED, Checkpoint

LOCK_NAME = "explorer_weights.lock.json"
SCHEMA = 1
log = logging.getLogger(__name__)


def lock_path() -> Path:
    """Where ``weights lock`` writes: EXPLORER_WEIGHTS_LOCK, else the cache folder."""
    named = os.environ.get("EXPLORER_WEIGHTS_LOCK")
    return Path(named).expanduser() if named else cache_folder() / LOCK_NAME


def pins(path: Path | None = None) -> dict[str, dict[str, Any]]:
    """Return every pinned file: key -> sha256, size, revision, name."""
    if path is None and not os.environ.get("EXPLORER_WEIGHTS_LOCK"):
        shipped = _read(checkpoints_folder() / LOCK_NAME)["pinned"]
        return {**_read(lock_path())["pinned"], **shipped}
    return _read(path or lock_path())["pinned"]


def seen(path: Path | None = None) -> dict[str, dict[str, Any]]:
    """Return the digests that were loaded unverified: key -> sha256, size, name."""
    return _read(path or lock_path())["seen"]


def with_pin(row: Checkpoint) -> Checkpoint:
    """Return the row with the digest, size and revision that the lock pins for it, if any.

    A pin that contradicts the row's own digest changes nothing here; `check_pin` refuses it.
    """
    pin = _pin(row)
    if not pin or (row.sha256 and row.sha256 != pin["sha256"]):
        return row
    return replace(
        row,
        sha256=pin["sha256"],
        size=pin.get("size") or row.size,
        revision=pin.get("revision") or row.revision,
    )


def check_pin(row: Checkpoint) -> None:
    """Raise WeightsError if the lock pins another digest than the one the row is listed with."""
    pin = _pin(row)
    if pin and row.sha256 and row.sha256 != pin["sha256"]:
        raise WeightsError(
            f"{row.name} is listed with sha256 {row.sha256}, but {LOCK_NAME} pins {pin['sha256']}; "
            "remove the pin that is wrong"
        )


def _pin(row: Checkpoint) -> dict[str, Any] | None:
    return pins().get(row.key) if row.key and row.origin == PUBLISHED else None


def add_pins(entries: dict[str, dict[str, Any]], path: Path | None = None) -> Path:
    """Pin ``entries`` in the lock file and return its path; other pins stay."""
    path = path or lock_path()
    content = _read(path)
    content["pinned"].update(entries)
    for key in entries:
        content["seen"].pop(key, None)
    write_json(path, content)
    return path


def note_seen(key: str, name: str, sha256: str, size: int) -> None:
    """Note the digest of a file that was loaded unverified; an unwritable folder is no failure."""
    try:
        content = _read(lock_path())
        before = content["seen"].get(key, {}).get("sha256")
        if before == sha256:
            return
        if before:
            log.warning(
                "%s changed since it was last seen: sha256 %s, now %s", name, before, sha256
            )
        content["seen"][key] = {"sha256": sha256, "size": size, "name": name}
        write_json(lock_path(), content)
    except OSError as error:
        log.debug("the digest of %s could not be noted: %s", name, error)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_json(read_text(path), "its content")
    except FileNotFoundError:
        return {"schema": SCHEMA, "pinned": {}, "seen": {}}
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"the lock file {path.name} cannot be read ({error}); repair or delete it"
        ) from None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise WeightsError(f"{path.name} is no lock file of schema {SCHEMA}; repair or delete it")
    for part in ("pinned", "seen"):
        if not isinstance(content.setdefault(part, {}), dict):
            raise WeightsError(f"{path.name}: {part!r} must be an object; repair or delete it")
    return content
