"""Which probe reads a place and what it predicts there."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import field
from typing import Annotated, Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from explorer.core import ExplorerError, unknown_name
from explorer.core.validation import Name, Share
from explorer.imaging import fit_size
from explorer.probes import (
    PROBES,
    Prediction,
    Probe,
    SegmentationProbe,
    Stroke,
    class_token,
    fit_scribble,
    load_probe,
    probe_rows,
)
from explorer.probes.base import CLASS
from explorer.probes.files import stage_of
from explorer.probes.strokes import read_strokes
from explorer.session import Options, Session
from explorer.views.basis import fit
from explorer.views.params import PROBES as PROBE_MENU
from explorer.views.params import REFERENCE, Control
from explorer.views.rows import PairContext, SharedScale
from explorer.weights import AbsentWeightsError

SCRIBBLE = "scribble"
SCRIBBLE_COMPONENTS = 32
PREDICTION, CONFIDENCE, DISAGREEMENT = "prediction", "confidence", "disagreement"
SHOWN = (PREDICTION, CONFIDENCE, DISAGREEMENT)


@dataclass(frozen=True)
class ProbeParams(SharedScale):
    """Which probe is asked, and how its answer is drawn."""

    probe: Annotated[
        Name,
        Control(
            "Probe",
            'A kind of probe, "scribble", or the name of a checkpoint.',
            choices=PROBE_MENU,
            key="probe",
        ),
    ] = "segmentation"
    show: Annotated[
        Literal[SHOWN],
        Control(
            "Show",
            "The prediction, its confidence, or where it disagrees with the reference method's.",
            key="show",
        ),
    ] = PREDICTION
    opacity: Annotated[
        Share,
        Control("Opacity", "Opacity of the colours over the photo.", step=0.05, key="opacity"),
    ] = 0.65
    reference: Annotated[Name | None, REFERENCE] = None
    shares: Annotated[
        bool,
        Control(
            "Shares in the legend",
            "Whether the legend has each class's share of the pixels; figures with one legend for "
            "all panels leave them out.",
            on_page=False,
        ),
    ] = True
    strokes: Annotated[
        list,
        Control(
            "Strokes",
            "Painted strokes that the scribble probe learns from, as `explorer.probes.Stroke`.",
            on_page=False,
        ),
    ] = field(default_factory=list)


def predict(place: PairContext) -> tuple[Probe, Prediction]:
    """Return the probe of a place and its prediction there, kept by the session.

    Raises:
        ExplorerError: there is no such probe for the backbone, or it cannot read this method.
    """
    if ProbeParams.read(place.options.view).probe == SCRIBBLE:
        return _scribbled(place)
    probe = find_probe(place.session, place.options, place.backbone)
    if place.upsampler.space != "backbone":
        raise ExplorerError(
            f"{place.column}'s features live in a space of their own, which {probe.name} was not "
            "trained for; the scribble probe can read them"
        )
    found = place.session.memoize(
        place.options,
        place.backbone,
        place.method,
        ("prediction", probe.digest, probe.name),
        probe.predict,
    )
    return probe, found


def find_probe(session: Session, options: Options, backbone: str) -> Probe:
    """Return the probe that the option "probe" names, or the first of that kind for the backbone,
    one that learnt from features aligned as these are if there is one.

    Raises:
        ExplorerError: there is none, or it was made for another backbone or stage.
    """
    wanted = ProbeParams.read(options.view).probe
    aligned = bool(session.backbone(backbone).alignment(options.align))
    probe = session.with_weights(
        ("probe", wanted, backbone, aligned), lambda: _load(session, wanted, backbone, aligned)
    )
    if getattr(probe, "class_weight", None) is None:
        return probe
    model = session.backbone(backbone)
    size = fit_size(options.photo.size, options.input_size, model.stride)
    image = options.photo.tensor(size, session.device)
    told = probe.with_class_token(class_token(model, image)[0].cpu())
    told.digest = f"{probe.digest}:{options.photo.digest}:{size}"  # the token is the photo's
    return told


def at_query(place: PairContext) -> list[tuple[str, float]]:
    """Return what the probe says at the query pixel, for bars beside the crosshair.

    Class probabilities (largest first), metres, or the normal's three parts.
    """
    row, col = place.query
    if ProbeParams.read(place.options.view).probe == SCRIBBLE:
        probe, values = _scribble_features(place)
        logits = probe.weight @ values[:, row, col].cpu() + probe.bias
    else:
        probe = find_probe(place.session, place.options, place.backbone)
        with torch.no_grad():
            logits = probe.at(place.resampler, row, col).cpu()
    if probe.reading == CLASS:
        shares = probe.probabilities(logits).tolist()
        return sorted(zip(probe.classes.names, shares, strict=True), key=lambda pair: -pair[1])
    values = probe.decode(logits[:, None]).values.flatten().tolist()
    return list(zip(probe.numbers, values, strict=True))


def label_map(place: PairContext) -> tuple[Tensor, SegmentationProbe]:
    """Return the predicted class numbers (H, W) and their probe, for exports.

    Raises:
        ExplorerError: the probe does not predict classes.
    """
    probe, found = predict(place)
    if not isinstance(probe, SegmentationProbe):
        raise ExplorerError(f"a probe of {probe.title.lower()} predicts no classes to export")
    return found.values.cpu(), probe


def _load(session: Session, wanted: str, backbone: str, aligned: bool) -> Probe:
    model = session.backbone(backbone)
    if wanted not in PROBES:  # a row's name and never a path: options may come from anybody
        named = {row.name: row for row in probe_rows()}
        if wanted not in named:
            raise unknown_name("probe", wanted, (*PROBES, SCRIBBLE, *named))
        probe = load_probe(named[wanted], allow_network=session.allow_network)
        if probe.backbone not in ("any", model.name) or probe.stage not in (None, model.stage):
            stage = f":{probe.stage}" if probe.stage else ""
            raise ExplorerError(
                f"the probe {probe.name} reads {probe.backbone}{stage}, not {backbone}; choose "
                "that backbone"
            )
        return probe
    rows = probe_rows(wanted, model.name, model.stage, model.dim)
    if ":" in backbone:  # heads that name no stage read the default one
        rows = [row for row in rows if stage_of(row) is not None]
    rows.sort(key=lambda row: (row.path is None, (row.options.get("aligned") is True) != aligned))
    reason = better = ""
    for row in rows:
        try:
            probe = load_probe(row, allow_network=session.allow_network)
        except AbsentWeightsError as error:  # a damaged or tampered file is refused, not skipped
            reason, better = reason or f" ({error})", better or row.name
            continue
        if better:
            probe.fallback_for, probe.fallback_since = better, time.monotonic()
        return probe
    raise ExplorerError(
        f"there is no {wanted} probe for {backbone} here{reason}; train one with: python -m "
        f"explorer evaluate {wanted} --data FOLDER --backbone {backbone} --out OUT --save-probe "
        "checkpoints/NAME.safetensors"
    )


# --- scribbles ---


def strokes_of(options: Options) -> list[Stroke]:
    """Return the strokes of the option "strokes"; raises ExplorerError for anything else."""
    return read_strokes(ProbeParams.read(options.view).strokes)


def _scribble_features(place: PairContext) -> tuple[SegmentationProbe, Tensor]:
    """Return a probe fitted to the strokes and the components (C, H, W) it reads."""
    session, options = place.session, place.options
    strokes = strokes_of(options)
    data = session.features(options, place.backbone).data
    if place.upsampler.space != "backbone":
        data = place.resampler.values
    tag = f"scribble {SCRIBBLE_COMPONENTS}"
    basis = session.memoize(
        options,
        place.backbone,
        place.method,
        ("basis", SCRIBBLE_COMPONENTS),
        lambda _: fit([data], SCRIBBLE_COMPONENTS),
    )
    values = session.projected(
        options, place.backbone, place.method, basis.weight, basis.bias, tag
    )[0]
    text = json.dumps([stroke.to_json() for stroke in strokes])
    digest = hashlib.sha256(text.encode()).hexdigest()
    made = session.memoize(
        options,
        place.backbone,
        place.method,
        ("scribble", digest),
        lambda _: fit_scribble(strokes, values),
    )
    made.probe.digest = digest
    return made.probe, values


def _scribbled(place: PairContext) -> tuple[Probe, Prediction]:
    probe, values = _scribble_features(place)
    logits = probe.weight.to(values) @ values.flatten(1) + probe.bias.to(values)[:, None]
    return probe, probe.decode(logits.unflatten(1, values.shape[1:]))
