"""What menus offer: names, titles, origins, and why something cannot be had now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import constants

from explorer.backbones import BACKBONES, is_embedded, weights_cached
from explorer.files.bundled import EXAMPLES
from explorer.probes import PROBES, probe_rows
from explorer.ui.page import AUTOMATIC
from explorer.upsamplers import UPSAMPLERS
from explorer.views.base import method_title
from explorer.weights import checkpoints, local_file
from explorer.weights.network import offline, reachable


def example_photos() -> dict[str, Path]:
    """Return the example photos by name, the default first."""
    found = {p.stem: p for p in sorted(EXAMPLES.iterdir()) if p.suffix in (".jpg", ".png")}
    first = "coffee" if "coffee" in found else next(iter(found), None)
    return {name: found[name] for name in sorted(found, key=lambda n: (n != first, n))}


def backbone_choices() -> tuple[list[tuple[str, str]], list[str]]:
    """Return (label, name) pairs of the backbones that can be had now, and the titles of the
    others.
    """
    there, missing = [], []
    network = None
    for name in BACKBONES:
        title = BACKBONES.get(name).title
        if is_embedded(name):
            there.append((name, "packaged"))
            continue
        if weights_cached(name):
            there.append((name, "cached"))
            continue
        if network is None:
            network = not offline() and bool(reachable([constants.ENDPOINT]))
        if network:
            there.append((name, "downloads on first use"))
        else:
            missing.append(title)
    pairs = [(f"{BACKBONES.get(name).title} · {where}", name) for name, where in there]
    stages = [
        (f"{BACKBONES.get(name).title} {stage} ({channels} ch) · {where}", f"{name}:{stage}")
        for name, where in there
        for stage, channels in BACKBONES.get(name).menu_stages
    ]
    return pairs + stages, missing


def upsampler_choices() -> list[tuple[str, str]]:
    """Return (label, name) pairs; a trained method without any weights here says so."""
    here = {row.method for row in checkpoints() if local_file(row)}
    pairs = []
    for name in UPSAMPLERS:
        kind = UPSAMPLERS.get(name)
        missing = kind.trained and name not in here
        pairs.append((f"{kind.title} (no weights here)" if missing else kind.title, name))
    return pairs


def panel_choices(backbones: Sequence[str], upsamplers: Sequence[str]) -> list[tuple[str, str]]:
    """Return (label, "backbone/method") of the panels that methods have; see ``panel_names``."""
    alone = len(backbones) == 1
    return [
        (method_title(m) if alone else f"{method_title(m)} · {backbone}", f"{backbone}/{m}")
        for backbone in backbones
        for m in upsamplers
    ]


def panel_names(value: str) -> tuple[str, str]:
    """Return the backbone and the method of a value of ``panel_choices``."""
    backbone, _, method = value.rpartition("/")
    return backbone, method


def trained_methods() -> list[str]:
    """Return the upsamplers that have weights to choose from."""
    return [name for name in UPSAMPLERS if UPSAMPLERS.get(name).trained]


def checkpoint_choices(method: str) -> list[tuple[str, str]]:
    """Return (label, value) pairs for a method's weights; what is not on this machine says so."""
    pairs = [(AUTOMATIC, AUTOMATIC)]
    for row in checkpoints():
        if row.method == method:
            there = "" if local_file(row) else " · needs a download"
            pairs.append((f"{row.name} ({row.origin}){there}", row.name))
    return [*pairs, ("untrained (random weights)", "untrained")]


def probe_choices() -> list[tuple[str, str]]:
    """Return (label, value) pairs: the kinds of probe, then every single one."""
    kinds = [(PROBES.get(name).title, name) for name in PROBES]
    rows = [
        (f"{row.name} ({row.origin}){'' if local_file(row) else ' · needs a download'}", row.name)
        for row in probe_rows()
    ]
    return [*kinds, *rows]
