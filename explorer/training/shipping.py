"""From a finished run to a shipped checkpoint: scored on every held-out photo, with its card."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from explorer.core import WeightsError
from explorer.files.atomic import part_file
from explorer.files.outputs import same_file
from explorer.resources.feature_cache import FeatureCache
from explorer.training.loop import Places
from explorer.training.photos import SPLIT_SEED
from explorer.training.validation import FACTORS, SIDE, cases, ceiling, score, summary
from explorer.upsamplers import UPSAMPLERS
from explorer.weights import write_card
from explorer.weights.cards import read_card

LICENCE = "non-commercial research use only: trained on research-only photos"
LIBRARIES = ("torch", "torchvision", "timm", "accelerate", "numpy")
CEILING_PHOTOS = 20


def read_run(out: Path) -> dict[str, Any]:
    """Return what is known of a run: recipe, options at use, step, seconds, the best validation's
    step, and what its card must say of how it was made. Read from the resume file, or, for
    weights that were shipped before, from their card.

    Raises:
        WeightsError: the run has no weights, or neither a resume file nor a card.
    """
    places = Places(out, None)
    if not places.out.is_file():
        raise WeightsError(f"{places.out} is missing: the run has not been trained here")
    if places.resume.is_file():
        state = torch.load(places.resume, map_location="cpu", weights_only=True)
        found = {key: state[key] for key in ("recipe", "step", "seconds")}
        found["options"] = dict(state["recipe"]["options"])
        made = {"versions": versions_here()}
        return found | {"best_step": state["best"]["step"] + 1, "made": made}
    if not places.out.with_suffix(".json").is_file():
        raise WeightsError(
            f"{places.resume} is missing, and so is a card: the run has not been trained here"
        )
    card = read_card(places.out)
    kept = {key: card[key] for key in ("versions", "data", "notes") if card.get(key)}
    return {
        "recipe": card["recipe"],
        "options": card["options"],
        "step": card["steps"],
        "seconds": card["seconds"],
        "best_step": card["best_step"],
        "made": kept,
    }


def versions_here() -> dict[str, str]:
    """Return the versions of Python and of the libraries a training depends on."""
    found = {library: version(library) for library in LIBRARIES}
    return {"python": platform.python_version()} | found


def scores(
    upsampler,
    backbone,
    photos: list[Path],
    cache: FeatureCache,
    progress: Callable[[int, int], None] = lambda done, total: None,
    guidance: int = SIDE,
) -> dict[str, float]:
    """Return means, gains, wins and the share of the gap to the 5x5 ceiling, over held-out
    photos; ``guidance`` is the side of the guidance image in pixels.
    """
    device = next(upsampler.parameters()).device
    bilinear, jbu = UPSAMPLERS.create("bilinear"), UPSAMPLERS.create("jbu")
    mine, base, guided = [], [], []
    tops: dict[int, list[float]] = {factor: [] for factor in FACTORS}
    for number, case in enumerate(cases(photos, backbone, cache, device, guidance)):
        mine.append(score(upsampler, case))
        base.append(score(bilinear, case))
        guided.append(score(jbu, case))
        if number < CEILING_PHOTOS:
            for factor in FACTORS:
                tops[factor].append(ceiling(case, factor))
        progress(number + 1, len(photos))
    found = summary(mine, base)
    for factor in FACTORS:
        top = sum(tops[factor]) / len(tops[factor])
        low = sum(row[factor] for row in base[: len(tops[factor])]) / len(tops[factor])
        reached = sum(row[factor] for row in mine[: len(tops[factor])]) / len(tops[factor])
        found[f"jbu_x{factor}"] = sum(row[factor] for row in guided) / len(guided)
        found[f"ceiling_x{factor}"] = top
        found[f"share_of_gap_x{factor}"] = (reached - low) / max(top - low, 1e-9)
    given = {"photos": len(photos), "guidance": guidance}
    return given | {key: round(value, 4) for key, value in found.items()}


def ship(
    out: Path,
    folder: Path,
    name: str,
    run: dict[str, Any],
    scored: dict[str, dict[str, float]],
    channels: int | None,
    data: str,
    notes: str = "",
) -> Path:
    """Copy the weights to ``folder/name.safetensors`` and write the card beside them; ``data`` says
    which photos, and how many, were trained on.
    """
    target = folder / f"{name}.safetensors"
    if not same_file(target, out):
        with part_file(target) as part:
            shutil.copyfile(out, part)
    data = f"{data}, {SPLIT_SEED=}{_labels_of(run['recipe'])}"
    noted = {"notes": notes} if notes else {}
    write_run_card(target, run, scored, channels, {"data": data} | run["made"] | noted)
    return target


def write_run_card(
    weights: Path,
    run: dict[str, Any],
    scored: dict[str, dict[str, float]],
    channels: int | None,
    more: dict[str, Any],
) -> None:
    """Write the card of a run's weights; ``more`` are its data, versions and what else there is."""
    recipe = run["recipe"]
    kind = UPSAMPLERS.get(recipe["method"])
    names = [backbone.partition(":") for backbone in recipe["backbones"]]
    card = {
        "method": recipe["method"],
        "backbone": "any" if kind.agnostic else names[0][0],
        "stage": None if kind.agnostic or not names[0][2] else names[0][2],
        "trained_on": sorted({base for base, _, _ in names}),
        "channels": None if kind.agnostic else channels,
        "options": run["options"],
        "statistics": "imagenet",
        "licence": LICENCE,
        "paper": kind.paper,
        "origin": "trained here",
        "recipe": recipe,
        "steps": run["step"],
        "best_step": run["best_step"],
        "seconds": round(run["seconds"]),
        "seed": recipe["seed"],
        "scores": scored,
    }
    write_card(weights, card | more)


def _labels_of(recipe: dict[str, Any]) -> str:
    """Return what a card must add about drawn labels that were learned from."""
    named = recipe.get("labelled")
    return f"; labels of the training photos of {' and '.join(named)}" if named else ""
