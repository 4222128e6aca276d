"""Training a 1x1 probe on gathered pixels: a small matrix problem, the same for every method."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Schedule:
    """AdamW on standardised features, the learning rate falling to zero along a cosine.

    The defaults were chosen once, with bilinear features of NYUv2 photos held out of the training
    photos; with less decay a probe of 256 depth bins learns 150 photos by heart.
    """

    steps: int = 300
    batch: int = 4096
    lr: float = 3e-2
    weight_decay: float = 3.0


@dataclass(frozen=True, eq=False)
class Samples:
    """Gathered pixels: features (N, C) half, truth (N, ...), weights (N,) and seed numbers (N,)."""

    features: Tensor
    truth: Tensor
    weights: Tensor
    seeds: Tensor

    def of_seed(self, seed: int) -> Samples:
        """Return the pixels drawn for one seed."""
        kept = self.seeds == seed
        return Samples(self.features[kept], self.truth[kept], self.weights[kept], self.seeds[kept])


def fit(
    samples: Samples,
    outputs: int,
    loss: Loss,
    seed: int,
    schedule: Schedule = Schedule(),
    device: torch.device | str = "cpu",
) -> tuple[Tensor, Tensor]:
    """Return weight (outputs, C) and bias (outputs,) of a probe on raw features.

    Features are standardised per channel for the optimiser and the scaling is folded back, as
    DINOv2's heads do with their BatchNorm. ``seed`` draws the start and the order of the pixels;
    weights, like biases, decay towards zero in the standardised space.
    """
    mean, spread = moments(samples.features)
    draw = torch.Generator().manual_seed(seed)
    weight = 0.01 * torch.randn(outputs, len(mean), generator=draw)
    weight = weight.to(device).requires_grad_()
    bias = torch.zeros(outputs, device=device, requires_grad=True)
    optimiser = torch.optim.AdamW(
        [
            {"params": [weight], "weight_decay": schedule.weight_decay},
            {"params": [bias], "weight_decay": 0.0},
        ],
        lr=schedule.lr,
    )
    order = _order(len(samples.features), schedule, draw)
    for step in range(schedule.steps):
        for group in optimiser.param_groups:
            group["lr"] = schedule.lr * 0.5 * (1 + math.cos(math.pi * step / schedule.steps))
        chosen = next(order)
        inputs = ((samples.features[chosen].float() - mean) / spread).to(device)
        truth, weights = samples.truth[chosen].to(device), samples.weights[chosen].to(device)
        optimiser.zero_grad()
        loss(inputs @ weight.T + bias, truth, weights).backward()
        optimiser.step()
    folded = weight.detach().cpu() / spread
    return folded, bias.detach().cpu() - folded @ mean


def moments(features: Tensor, block: int = 65536) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation (C,) of (N, C) half-precision features."""
    total = torch.zeros(features.shape[1], dtype=torch.float64)
    squares = torch.zeros_like(total)
    for part in features.split(block):
        part = part.double()
        total += part.sum(dim=0)
        squares += part.square().sum(dim=0)
    mean = total / len(features)
    spread = (squares / len(features) - mean.square()).clamp(min=0).sqrt()
    return mean.float(), torch.where(spread > 1e-6, spread, torch.ones_like(spread)).float()


def digest_of(*tensors: Tensor) -> str:
    """Return a short identity of tensors."""
    total = hashlib.sha256()
    for tensor in tensors:
        total.update(tensor.contiguous().numpy().tobytes())
    return total.hexdigest()[:24]


def _order(count: int, schedule: Schedule, draw: torch.Generator):
    """Yield index batches: pass after pass over all pixels in a new order."""
    while True:
        shuffled = torch.randperm(count, generator=draw)
        for part in shuffled.split(schedule.batch):
            if len(part) == min(schedule.batch, count):
                yield part
