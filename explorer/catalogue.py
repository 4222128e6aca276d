"""What there is: every registry as a table with origin and whether it can be used now, without
loading anything.
"""

from __future__ import annotations

import json

from explorer.backbones import BACKBONES, is_embedded, weights_cached
from explorer.core.validation import described
from explorer.probes import PROBES
from explorer.upsamplers import UPSAMPLERS
from explorer.views import VIEWS
from explorer.weights import Checkpoint, checkpoints, local_file, mark_built

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]


def tables() -> dict[str, Table]:
    """Return {kind: (head, rows)} of backbones, upsamplers, checkpoints, views, their options."""
    return {
        "backbones": backbone_table(),
        "upsamplers": upsampler_table(),
        "checkpoints": checkpoint_table(),
        "views": (("name", "what"), [(name, VIEWS.describe(name)) for name in VIEWS]),
        "options": option_table(),
    }


def option_table() -> Table:
    """Return the options of every view, as ``figure --view-option`` and recipes take them."""
    rows = [
        (name, one.name, json.dumps(one.default), described(one.kind), one.control.help)
        for name in VIEWS
        for one in VIEWS.get(name).options()
    ]
    return ("view", "option", "default", "values", "what"), rows


def backbone_usable(name: str) -> str:
    """Return "yes", "cached", or why the backbone needs the network first."""
    if is_embedded(name):
        return "yes, packaged"
    return "yes, cached" if weights_cached(name) else "needs a download"


def backbone_table() -> Table:
    """Return the registered backbones."""
    rows = [
        (name, BACKBONES.get(name).title, backbone_usable(name), BACKBONES.describe(name))
        for name in BACKBONES
    ]
    return ("name", "title", "usable now", "what"), rows


def upsampler_table() -> Table:
    """Return the registered upsamplers with the weights that are on this machine."""
    here = [row for row in checkpoints() if local_file(row)]
    rows = []
    for name in UPSAMPLERS:
        kind = UPSAMPLERS.get(name)
        if not kind.trained:
            usable = "yes, training-free"
        else:
            found = [row for row in here if row.method == name]
            origins = sorted({f"{row.origin}: {row.backbone}" for row in found})
            usable = "yes, " + "; ".join(origins) if found else "no weights here"
        rows.append((name, kind.title, kind.paper or "-", usable, UPSAMPLERS.describe(name)))
    return ("name", "title", "arXiv", "usable now", "what"), rows


def checkpoint_rows() -> list[Checkpoint]:
    """Return every known checkpoint, ``built`` telling whether an upsampler or a kind of probe can
    use it.
    """
    return mark_built(checkpoints(), (*UPSAMPLERS.names(), *PROBES.names()))


def checkpoint_table() -> Table:
    """Return every known file of weights."""
    rows = []
    for row in checkpoint_rows():
        here = "yes" if local_file(row) else "needs a download"
        if not row.built:
            here = "method not built yet"
        rows.append((row.name, row.method, row.backbone, row.origin, row.licence, here))
    return ("name", "method", "backbone", "origin", "licence", "usable now"), rows
