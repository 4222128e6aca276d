"""The published checkpoints, as their authors' loaders and read-me files describe them.

The rows are in ``published.json``; an absent field has `Checkpoint`'s default. None of the files
could be downloaded where the list was written: ``digest_known_from`` says where a row's sha256 and
size come from. Other digests, and all Hub revisions, are unknown until ``weights lock`` has
measured them. URLs of the DINOv2 heads follow dinov2's ``hub/depthers.py`` and read-me, whose
"1 layer" links for ViT-B and larger point at classification heads by mistake.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from explorer.weights.rows import Checkpoint


def _row(fields: dict[str, Any]) -> Checkpoint:
    fields.pop("digest_known_from", None)
    return Checkpoint(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})


CHECKPOINTS: tuple[Checkpoint, ...] = tuple(
    map(_row, json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8")))
)
