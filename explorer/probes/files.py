"""Probes as checkpoints: which there are, loading them, writing one that can be shipped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from explorer.core import ExplorerError, WeightsError
from explorer.probes.base import PROBES, Probe
from explorer.probes.published import read_layout, wanted_stage
from explorer.weights import Checkpoint, checkpoints, load, write_card
from explorer.weights.paths import write_weights
from explorer.weights.rows import check_checkpoint_name


def probe_rows(
    kind: str | None = None,
    backbone: str | None = None,
    stage: str | None = None,
    channels: int | None = None,
) -> list[Checkpoint]:
    """Return the rows of probes that fit, shipped ones first (None: any)."""
    fitting = [
        row
        for row in checkpoints()
        if row.method in PROBES
        and kind in (None, row.method)
        and row.matches(backbone, None, channels)
        and (stage is None or stage_of(row) in (None, stage))
    ]
    return sorted(fitting, key=lambda row: row.path is None)


def stage_of(row: Checkpoint) -> str | None:
    """Return the backbone stage a probe reads, None for the default one."""
    return row.stage or wanted_stage(row.options.get("layout", "probe"))


def load_probe(
    wanted: Checkpoint | str | Path, *, kind: str | None = None, allow_network: bool = True
) -> Probe:
    """Load a probe by row, row name or path of its safetensors file.

    Args:
        wanted: what to load; a file nobody described needs ``kind``.
        kind: a name of the registry, such as "segmentation".
        allow_network: whether a published file may be downloaded.

    Raises:
        WeightsError: absent, damaged, or not the structure its row promises.
        UnknownNameError: no row has that name.
    """
    loaded = load(wanted, allow_network=allow_network)
    row = loaded.row
    method = row.method if row else kind
    if method not in PROBES:
        raise WeightsError(
            f"{loaded.path.name} is no probe"
            + (f" but weights of {row.method}" if row else "; say which kind it is")
        )
    options: Mapping[str, Any] = row.options if row else {}
    layout = options.get("layout", "probe")
    arrays = read_layout(layout, loaded.state, loaded.path.name)
    outputs, channels = arrays["weight"].shape
    if options.get("outputs") not in (None, outputs) or (
        row and row.channels not in (None, channels)
    ):
        raise WeightsError(
            f"{loaded.path.name} has {outputs} outputs on {channels} channels; its row says "
            f"{options.get('outputs', outputs)} on {row.channels or channels}"
        )
    about = {
        "name": row.name if row else loaded.path.stem,
        "origin": loaded.label,
        "digest": loaded.digest_seen,
        "backbone": row.backbone if row else "any",
        "stage": stage_of(row) if row else None,
        "licence": row.licence if row else "",
        "notes": row.notes if row else "",
        "usual_confidence": options.get("usual_confidence"),
        "aligned": options.get("aligned") is True,
    }
    kind = PROBES.get(method)
    return kind(**arrays, **about, **kind.arguments(options, outputs))


def save_probe(probe: Probe, path: Path | str, card: Mapping[str, Any]) -> Path:
    """Write a probe and its card so that `load_probe` and menus find it; return the file's path.

    ``card`` holds what a trained checkpoint's card must say (recipe, data, steps, seconds, seed,
    versions, scores, licence); kind, backbone, stage, channels and options are filled in.

    Raises:
        ExplorerError: the file cannot be written.
        WeightsError: the card lacks a field.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ExplorerError(f"a probe is written to a .safetensors file, not {path.name}")
    check_checkpoint_name(path.stem)  # of the card, which is written last
    options = {"layout": "probe", "outputs": probe.outputs} | probe.options()
    if probe.usual_confidence is not None:
        options["usual_confidence"] = probe.usual_confidence
    if probe.aligned:
        options["aligned"] = True
    write_weights(path, {"weight": probe.weight, "bias": probe.bias})
    filled = {
        "method": probe.kind,
        "backbone": probe.backbone,
        "stage": probe.stage,
        "channels": probe.channels,
        "options": options,
        "statistics": "backbone",
        "origin": "trained here",
        "notes": probe.notes,
        **card,
    }
    write_card(path, filled)
    return path
