"""One set of weights from several of the same method and backbone: their weighted mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from explorer.core import WeightsError
from explorer.files.outputs import check_file
from explorer.training.shipping import read_run, versions_here, write_run_card
from explorer.weights.paths import digest, write_weights
from explorer.weights.rows import check_checkpoint_name


def mix(parts: Sequence[tuple[Path, float]], out: Path) -> Path:
    """Write the weighted mean of runs' weights and a card that names the parts.

    Runs that began from the same weights stay near enough to each other for the mean to work, and
    it often does better than each of them (model soups, arXiv 2203.05482). `ship` scores it.

    Args:
        parts: weights that `train`, `ship` or this wrote, and their shares, which are made to sum
            to one. The options at use are the first one's.
        out: the ``.safetensors`` to write.

    Raises:
        ExplorerError: ``out`` cannot be written, or is one of the parts.
        WeightsError: fewer than two parts, a share that is not positive, parts of different methods
            or backbones or with other parameters, or one of which nothing is known.
    """
    if len(parts) < 2 or not all(0 < share < float("inf") for _, share in parts):
        raise WeightsError("a mixture takes two or more weights with shares above 0")
    check_checkpoint_name(out.stem)
    check_file(out, (".safetensors",), beside=(".json", ".md"), inputs=[path for path, _ in parts])
    total = sum(share for _, share in parts)
    found = [read_run(path) for path, _ in parts]
    first = found[0]["recipe"]
    for (path, _), run in zip(parts, found, strict=True):
        for key in ("method", "backbones"):
            if list(run["recipe"][key]) != list(first[key]):
                raise WeightsError(
                    f"{path.name} cannot be mixed with {parts[0][0].name}: {key} "
                    f"{run['recipe'][key]} and {first[key]}"
                )
    mean = _mean([path for path, _ in parts], [share / total for _, share in parts])
    mixture = [
        {"name": path.stem, "sha256": digest(path), "share": round(share / total, 4)}
        | {key: run[key] for key in ("step", "seconds", "best_step", "recipe")}
        for (path, share), run in zip(parts, found, strict=True)
    ]
    recipe: dict[str, Any] = {
        "method": first["method"],
        "backbones": list(first["backbones"]),
        "seed": first["seed"],
        "mixture": mixture,
    }
    labelled = sorted({name for run in found for name in run["recipe"].get("labelled") or ()})
    if labelled:
        recipe["labelled"] = labelled
    write_weights(out, mean)
    run = {
        "recipe": recipe,
        "options": found[0]["options"],
        "step": sum(each["step"] for each in found),
        "best_step": sum(each["best_step"] for each in found),
        "seconds": sum(each["seconds"] for each in found),
    }
    write_run_card(out, run, {}, None, {"data": "", "versions": versions_here()})
    return out


def _mean(paths: Sequence[Path], shares: Sequence[float]) -> dict[str, Tensor]:
    """Return the weighted mean of files of weights, summed in double precision."""
    mean: dict[str, Tensor] = {}
    kinds: dict[str, torch.dtype] = {}
    for path, share in zip(paths, shares, strict=True):
        try:
            state = load_file(path)
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
        shapes = {key: value.shape for key, value in state.items()}
        if mean and shapes != {key: value.shape for key, value in mean.items()}:
            raise WeightsError(f"{path.name} has other parameters than {paths[0].name}")
        kinds = kinds or {key: value.dtype for key, value in state.items()}
        for key, value in state.items():
            mean[key] = mean.get(key, 0) + value.double() * share
    return {key: value.to(kinds[key]) for key, value in mean.items()}
