"""Every known checkpoint, and which of them fit given features."""

from __future__ import annotations

import logging
from dataclasses import replace

from explorer.core import UnknownNameError
from explorer.core.messages import quoted, suggestion
from explorer.weights import lock
from explorer.weights.cards import discover
from explorer.weights.paths import checkpoints_folder, converted_folder
from explorer.weights.published import CHECKPOINTS
from explorer.weights.rows import CONVERTED, ORIGINS, PUBLISHED, Checkpoint

log = logging.getLogger(__name__)


def checkpoints() -> list[Checkpoint]:
    """Return every row: published (converted copies in their place), then those trained here."""
    rows = {row.name: lock.with_pin(row) for row in CHECKPOINTS}
    for row in (*discover(converted_folder()), *discover(checkpoints_folder())):
        known = rows.get(row.name)
        if known and row.origin == CONVERTED and known.origin != row.origin:
            row = replace(row, repo=known.repo, url=known.url, revision=known.revision)
            row = replace(row, file=known.file, aliases=known.aliases, transform=known.transform)
        elif known and known.origin == PUBLISHED:
            log.warning("skipped: %s carries the name of a published checkpoint", row.path)
            continue
        rows[row.name] = row
    return list(rows.values())


def checkpoint(name: str) -> Checkpoint:
    """Return the row called ``name``.

    Raises:
        UnknownNameError: there is none; the choices are listed.
    """
    rows = {row.name: row for row in checkpoints()}
    if name not in rows:
        everything = suggestion(name, rows, longest=10_000)
        raise UnknownNameError(f"there is no checkpoint called {quoted(name, 60)}; {everything}")
    return rows[name]


def find(
    method: str,
    backbone: str | None = None,
    stage: str | None = None,
    channels: int | None = None,
) -> list[Checkpoint]:
    """Return the rows that fit, best first.

    First those made for exactly this backbone, then those for any backbone that saw it in training,
        then the other
    ones for any; among equals trained here, converted, published.
    """

    def rank(row: Checkpoint) -> tuple[int, int, int]:
        exact = backbone is not None and row.fits(backbone)
        level = 0 if exact else 1 if backbone in row.trained_on else 2
        unstaged = int(stage is not None and row.stage != stage)
        return level, unstaged, ORIGINS.index(row.origin)

    fitting = [
        r for r in checkpoints() if r.method == method and r.matches(backbone, stage, channels)
    ]
    return sorted(fitting, key=rank)
