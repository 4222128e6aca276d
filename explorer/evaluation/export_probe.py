"""From an evaluation to a probe that can be shipped: weights, card, and how sure it usually is."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import torch

from explorer.core import ExplorerError
from explorer.evaluation.environment import versions
from explorer.evaluation.methods import BASELINE, Method
from explorer.evaluation.probing import OWN, ProbeRun
from explorer.evaluation.samples import EvalContext
from explorer.evaluation.tables import Table
from explorer.probes import save_probe

CONFIDENCE_PHOTOS = 40
CONFIDENCE_PERCENTILE = 5


def keep_probe(made: ProbeRun, tables: list[Table], request: Any, stage: EvalContext) -> None:
    """Write the first seed's probe of a method (bilinear's by default) to ``request.save_probe``.

    Raises:
        ExplorerError: the method has no probe of its own here, or the file cannot be written.
    """
    method = _method(made, request.probe_method)
    weights = made.trained()
    weight, bias = weights[method.key][0]
    model = stage.backbone
    usual = usual_confidence(made, method, weight, bias)
    probe = made.task.probe(
        weight,
        bias,
        name=request.save_probe.stem,
        backbone=model.name,
        stage=model.stage,
        usual_confidence=usual,
        notes=request.notes,
        aligned=bool(model.alignment(stage.align)),
    )
    aligned = model.alignment_note(stage.align)
    scores = {}
    for table in tables:
        for row in table.rows:
            for column in table.columns:
                if column.main:
                    kind = "own" if "own" in table.title else "shared"
                    value = row.cells[column.key].mean
                    scores[f"{column.key} {row.key} ({kind} probe)"] = round(value, 4)
    entry = {
        "recipe": {
            "features": f"{method.key} at {stage.sizes.output or 'the maps own'} px, input "
            f"{stage.sizes.input} px{aligned and f', {aligned}'}",
            "pixels per photo": made.plan.pixels,
            "steps": made.plan.schedule.steps,
            "lr": made.plan.schedule.lr,
            "weight decay": made.plan.schedule.weight_decay,
            "classes or unit": probe.unit or getattr(made.data.classes, "names", ""),
        },
        "data": f"{len(made.train)} photos of {made.data.root.name} ({made.data.split.how})",
        "steps": made.plan.schedule.steps,
        "seconds": round(made.training_seconds(method) / made.plan.seeds, 1),
        "seed": 0,
        "versions": versions(),
        "scores": scores,
        "licence": request.licence,
        "trained_on": [model.name],
        "date": datetime.date.today().isoformat(),
    }
    save_probe(probe, request.save_probe, entry)


@torch.no_grad()
def usual_confidence(
    made: ProbeRun, method: Method, weight: torch.Tensor, bias: torch.Tensor
) -> float | None:
    """Return the 5th percentile of tested photos' mean confidences; None if the kind has none."""
    probe = made.task.probe(weight, bias)
    step = max(1, len(made.test) // CONFIDENCE_PHOTOS)
    found = []
    for example in made.test[::step]:
        scene = made.stage.scene(example)
        ready = method.upsampler.prepare(scene.guidance, scene.features_for(method), scene.size)
        confidence = probe.predict(ready).confidence
        if confidence is None:
            return None
        found.append(confidence.mean().item())
    return round(float(np.percentile(found, CONFIDENCE_PERCENTILE)), 4)


def _method(made: ProbeRun, key: str | None) -> Method:
    wanted = key or BASELINE
    for method in made.methods:
        if method.key == wanted:
            if wanted != BASELINE and OWN not in made.plan.variants:
                raise ExplorerError(f"no probe of {wanted}'s own is trained; add own to --probes")
            return method
    raise ExplorerError(
        f"{wanted!r} is not among the methods: {', '.join(m.key for m in made.methods)}"
    )
