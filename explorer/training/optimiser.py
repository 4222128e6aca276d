"""Which parameters step how fast, and when."""

from __future__ import annotations

import math

import torch

from explorer.core import ExplorerError
from explorer.training.recipe import Recipe
from explorer.upsamplers.anyup import FeatureAgnostic
from explorer.upsamplers.layers import RoPE


def filters(module: torch.nn.Module) -> list[torch.nn.Parameter]:
    """Return the filters of every feature-agnostic layer."""
    return [part.basis for part in module.modules() if isinstance(part, FeatureAgnostic)]


def enlarge(upsampler: torch.nn.Module, basis_scale: float, rope_scale: float = 1.0) -> None:
    """Multiply fresh filters and position frequencies by the recipe's scales."""
    with torch.no_grad():
        for basis in filters(upsampler):
            basis.mul_(basis_scale)
        for part in upsampler.modules():
            if isinstance(part, RoPE):
                part.freqs.mul_(rope_scale)


def make_optimiser(recipe: Recipe, objective: torch.nn.Module) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over all learned parameters, each group with the ``times`` its
    learning rate is multiplied by.
    """
    kinds = {"adamw": torch.optim.AdamW, "nadam": torch.optim.NAdam}
    if recipe.optimiser not in kinds:
        raise ExplorerError(f"there is no optimiser {recipe.optimiser!r}; choose adamw or nadam")
    decay = 0.0 if recipe.optimiser == "nadam" else recipe.weight_decay
    large = filters(objective)
    known = {id(basis) for basis in large}
    groups = [
        {"params": [p for p in objective.parameters() if id(p) not in known], "times": 1.0},
        {"params": large, "times": recipe.basis_scale},
    ]
    return kinds[recipe.optimiser](
        [group for group in groups if group["params"]],
        lr=recipe.lr,
        betas=recipe.betas,
        weight_decay=decay,
    )


def lr_factor(recipe: Recipe, step: int) -> float:
    """Return the share of the learning rate at ``step``: warm-up, then constant or a cosine to
    zero.
    """
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    if not recipe.decay:
        return 1.0
    done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return 0.5 * (1 + math.cos(math.pi * done))
