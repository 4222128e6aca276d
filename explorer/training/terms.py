"""The terms of the losses, by name: what each compares and which paper it comes from."""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from explorer.core import ExplorerError, Registry
from explorer.core.messages import join_names
from explorer.datasets.maps import nearest
from explorer.imaging import resize
from explorer.training.augment import distort, soften
from explorer.training.downsampler import AttentionDownsampler
from explorer.training.losses import CRFLoss, feature_loss, lead_loss, uncertain_loss
from explorer.training.recipe import Recipe
from explorer.training.segments import clusters, interior, segments
from explorer.training.step import Step, jittered
from explorer.upsamplers import UPSAMPLERS, Upsampler

Term = Callable[["Objective", Step], Tensor]
TERMS: Registry[Term] = Registry("loss term")
PROJECTED = 30
PAD = 20
SEGMENTS = (16, 32, 64)  # of a whole grid
FEWEST_SEGMENTS = 8  # two or three would follow colours alone
CELLS_PER_CLUSTER = 64
NOISES = 8  # maps of noise per photo


class Objective(nn.Module):
    """An upsampler and what is learned beside it; ``forward(step)`` returns each term's loss.

    One module, so that wrappers which synchronise gradients see a single forward call.
    """

    def __init__(self, upsampler: Upsampler, recipe: Recipe, channels: int):
        super().__init__()
        self.upsampler, self.recipe = upsampler, recipe
        for name, _ in recipe.terms:
            TERMS.get(name)
        names = dict(recipe.terms)
        if "multiview" in names or "crf" in names:
            if not upsampler.native_factor:
                able = [name for name in UPSAMPLERS if UPSAMPLERS.get(name).native_factor]
                raise ExplorerError(
                    f"the terms multiview and crf carry few channels, which {upsampler.name} "
                    f"cannot; methods that can: {join_names(able)}"
                )
            self.downsampler = AttentionDownsampler(channels, kernel_size=16)
            self.uncertainty = nn.Conv2d(channels, 1, 1)
            with torch.no_grad():  # starts near 0, so that no pixel outweighs the others
                self.uncertainty.weight.mul_(0.1)
                self.uncertainty.bias.mul_(0.1)
            self.crf = CRFLoss()
        self.memo: dict[str, Tensor] = {}

    def forward(self, step: Step) -> dict[str, Tensor]:
        """Return {term: loss} of the terms that run at this step."""
        self.memo = {}
        turn = step.number // len(self.recipe.backbones)  # so that every backbone gets all terms
        runs = [
            name
            for place, (name, _) in enumerate(self.recipe.terms)
            if place == 0 or turn % self.recipe.every == 0
        ]
        found = {name: TERMS.get(name)(self, step) for name in runs}
        self.memo = {}
        return found

    def kept(self, key: str, compute: Callable[[], Tensor]) -> Tensor:
        """Compute once per step what several terms need."""
        if key not in self.memo:
            self.memo[key] = compute()
        return self.memo[key]


@TERMS.register("views")
def views(objective: Objective, step: Step) -> Tensor:
    """Features of the shrunken image, upsampled, against those of the full image (JAFAR,
    2506.11136).
    """
    target, low = step.target, step.features(step.low_side)
    size = tuple(target.shape[-2:])
    if objective.upsampler.native_factor:
        # Many pixels per cell: far cheaper on a projection, which commutes with the map.
        weight = random_projection(target.shape[1], 2 * PROJECTED, step.generator("views"))
        made = objective.upsampler.prepare(step.guidance, low, size).project(weight)
        return feature_loss(made, torch.einsum("kc,bchw->bkhw", weight.to(target), target))
    return feature_loss(objective.upsampler(step.guidance, low, size), target)


@TERMS.register("consistency")
def consistency(objective: Objective, step: Step) -> Tensor:
    """Full features upsampled under softened guidance against clean guidance (JAFAR,
    2506.11136).
    """
    return _stable(objective, step, step.target, soften, "consistency")


@TERMS.register("self_consistency")
def self_consistency(objective: Objective, step: Step) -> Tensor:
    """Input features upsampled under distorted guidance against clean guidance (AnyUp,
    2510.12764).
    """
    return _stable(objective, step, _half(step), distort, "self_consistency")


@TERMS.register("crops")
def crops(objective: Objective, step: Step) -> Tensor:
    """The prediction from the half-size image, crop by crop, against features of the crops (AnyUp,
    2510.12764).
    """
    made = objective.kept("crops", lambda: _crop_prediction(objective, step))
    stride, half = step.backbone.stride, made.shape[-1] // 2
    boxes = step.crops()
    total = []
    for k in range(step.recipe.crops):

        def image(b: int, k: int = k):
            row, col = boxes[b][k]
            rows = slice(row * stride, (row + half) * stride)
            cols = slice(col * stride, (col + half) * stride)
            return lambda: step.images[b : b + 1, :, rows, cols]

        target = step.collect(f"{step.recipe.image}:crop{k}", image)
        cut = [
            made[b : b + 1, :, box[k][0] : box[k][0] + half, box[k][1] : box[k][1] + half]
            for b, box in enumerate(boxes)
        ]
        total.append(feature_loss(torch.cat(cut), target))
    return torch.stack(total).mean()


@TERMS.register("input_consistency")
def input_consistency(objective: Objective, step: Step) -> Tensor:
    """The prediction pooled back to the grid against the input features (AnyUp, 2510.12764)."""
    made = objective.kept("crops", lambda: _crop_prediction(objective, step))
    given = _half(step)
    return feature_loss(F.adaptive_avg_pool2d(made, given.shape[-2:]), given)


@TERMS.register("grid_consistency")
def grid_consistency(objective: Objective, step: Step) -> Tensor:
    """Full-size features upsampled and pooled back to their grid against themselves: input
    consistency (2510.12764) at the grid and pixel density of use, not only at those of training.
    """
    made = _fine(objective, step)["features"]
    given = step.target[: len(made)]
    return feature_loss(F.adaptive_avg_pool2d(made, given.shape[-2:]), given)


@TERMS.register("image_consistency")
def image_consistency(objective: Objective, step: Step) -> Tensor:
    """The photo's colours, averaged to the grid and upsampled with the weights that carry features,
    against the photo: mean absolute difference. Keeps weights near and on the right side of edges,
    which far smaller factors in training do not ask for. The principle is 2511.16301's.
    """
    made = _fine(objective, step)
    return (made["colours"] - made["photo"]).abs().mean()


@TERMS.register("segment_consistency")
def segment_consistency(objective: Objective, step: Step) -> Tensor:
    """The share of each segment of the photo (by colour and place) in every cell, upsampled with
    the weights that carry features, against the segments: cross-entropy. Ours: what keeping labels
    asks for, without labels; the one term that faults reading far cells of a like colour.
    """
    made = _fine(objective, step)
    right = made["shares"].gather(1, made["segments"][:, None])
    return -right.clamp_min(1e-3).log().mean()


@TERMS.register("cluster_consistency")
def cluster_consistency(objective: Objective, step: Step) -> Tensor:
    """Clusters of the full-size features, upsampled with the weights that carry features, against
    the cluster of the cell a pixel lies in, where all cells around agree: cross-entropy. Ours: what
    lies inside a thing must not be read from outside it, however alike the colours.
    """
    made = _fine(objective, step)
    right = made["members"].gather(1, made["clusters"][:, None])[:, 0]
    inside = made["inside"]
    return -(right.clamp_min(1e-3).log() * inside).sum() / inside.sum().clamp_min(1)


@TERMS.register("label_consistency")
def label_consistency(objective: Objective, step: Step) -> Tensor:
    """The share of each label of a labelled photo in every cell, upsampled with the weights that
    carry features, against the labels: by how much the right one leads. Masks as teachers are
    LoftUp's idea (2504.14032); ours asks only where a pixel reads, not what features are there.
    Of FeatUp it asks the spatial map alone, before its channels are mixed.
    """
    total = []
    for case in step.labelled_boxes():
        resampler = objective.upsampler.prepare(case.guidance, case.features, case.size)
        total.append(lead_loss(resampler.apply(case.cells), case.shares))
    return torch.stack(total).mean()


@TERMS.register("constant_consistency")
def constant_consistency(objective: Objective, step: Step) -> Tensor:
    """A map of ones, upsampled at the density of use, against ones: mean squared error. Ours, for
    FeatUp, whose kernels need not sum to one: neither a cosine nor which label leads tells how
    large features are, and squared errors are least with small ones; a probe asks for their size.
    """
    return (_ones_and_noise(objective, step)[:, :1] - 1).square().mean()


@TERMS.register("noise_consistency")
def noise_consistency(objective: Objective, step: Step) -> Tensor:
    """Noise, independent in every cell and of unit variance, upsampled at the density of use,
    against none: mean squared error, on average a pixel's sum of squared weights. Ours, for FeatUp,
    whose kernels may be negative: to sharpen labels they learn to amplify what differs from cell to
    cell, and a probe sees noise for it.
    """
    return _ones_and_noise(objective, step)[:, 1:].square().mean()


@TERMS.register("multiview")
def multiview(objective: Objective, step: Step) -> Tensor:
    """Upsampled features, jittered and brought down again, against features of the jittered image
    (2403.10516).

    Without a channel norm features are as large as their backbone makes them, so all are compared
    in units of their root mean square.
    """
    side = 14 * step.backbone.stride
    weight, made, scale = _stack_output(objective, step, side)
    pixels = resize(step.images, (side, side))
    total = []
    for k in range(step.recipe.jitters):
        moves = [_jitter(key, k) for key in step.keys]

        def moved(image: Tensor, moves=moves) -> Tensor:
            parts = [jittered(image[b : b + 1], *move, PAD) for b, move in enumerate(moves)]
            return torch.cat(parts)

        def image(b: int, moves=moves):
            return lambda: jittered(pixels[b : b + 1], *moves[b], PAD)

        target = step.collect(f"{side}:jitter{k}", image)
        normed = _normed(objective, target)
        small = objective.downsampler(moved(made))
        aim = torch.einsum("kc,bchw->bkhw", weight, normed)
        total.append(uncertain_loss(small, aim, objective.uncertainty(normed / scale)))
    return torch.stack(total).mean()


@TERMS.register("crf")
def crf(objective: Objective, step: Step) -> Tensor:
    """Pairwise smoothness of the upsampled features where colours are alike (2403.10516)."""
    side = 14 * step.backbone.stride
    _, made, _ = _stack_output(objective, step, side)
    guidance = resize(step.images, (side, side))
    return objective.crf(guidance, made[:, :PROJECTED], step.generator("crf"))


def random_projection(channels: int, kept: int, generator: torch.Generator) -> Tensor:
    """Return a (kept, channels) Gaussian projection that keeps lengths on average."""
    return torch.randn(kept, channels, generator=generator) / kept**0.5


def _stable(objective: Objective, step: Step, features: Tensor, change, name: str) -> Tensor:
    size = (step.recipe.consistency_size,) * 2
    with torch.no_grad():
        clean = objective.upsampler(step.guidance, features, size)
    changed = change(step.guidance, step.rng, step.generator(name))
    return feature_loss(objective.upsampler(changed, features, size), clean)


def _half(step: Step) -> Tensor:
    return step.features(step.recipe.image // 2)


def _crop_prediction(objective: Objective, step: Step) -> Tensor:
    cells = step.recipe.image // step.backbone.stride
    return objective.upsampler(step.guidance, _half(step), (cells, cells))


def _fine(objective: Objective, step: Step) -> dict[str, Tensor]:
    return objective.kept("fine", lambda: carry(objective, step))


def carry(objective: Objective, step: Step) -> dict[str, Tensor]:
    """Upsample full-size features, and what the photo itself shows, with the same weights.

    Returns:
        ``features`` (B, C, S, T), ``colours`` (B, 3, S, T), ``shares`` and ``members`` (B, K, S,
        T), all upsampled from the grid; ``photo`` (B, 3, S, T), ``segments`` and ``clusters`` (B,
        S, T), the truth of the latter three; ``inside`` (B, S, T), where the clusters count.
    """
    _must_be_convex(objective)
    photo, features = _fine_views(step)
    found = {"photo": photo}
    parts = {"features": features, "colours": F.adaptive_avg_pool2d(photo, features.shape[-2:])}
    names, cells = dict(step.recipe.terms), features.shape[-2:].numel()
    if "segment_consistency" in names:
        seen = cells / step.target.shape[-2:].numel()
        count = max(FEWEST_SEGMENTS, round(step.rng.choice(SEGMENTS) * seen))
        found["segments"] = torch.stack([segments(p, count, step.number) for p in photo])
        each = F.one_hot(found["segments"], count).permute(0, 3, 1, 2).to(photo)
        parts["shares"] = F.adaptive_avg_pool2d(each, features.shape[-2:])
    if "cluster_consistency" in names:
        count = max(2, cells // CELLS_PER_CLUSTER)
        each = torch.stack([clusters(f, count, step.number) for f in features])
        parts["members"] = F.one_hot(each, count).permute(0, 3, 1, 2).to(photo)
        found["clusters"] = nearest(each, tuple(photo.shape[-2:]))
        found["inside"] = nearest(interior(parts["members"]), tuple(photo.shape[-2:]))
    resampler = objective.upsampler.prepare(photo, features, tuple(photo.shape[-2:]))
    made = resampler.apply(torch.cat(list(parts.values()), dim=1))
    widths = [part.shape[1] for part in parts.values()]
    return found | dict(zip(parts, made.split(widths, dim=1), strict=True))


def _ones_and_noise(objective: Objective, step: Step) -> Tensor:
    """Return a map of ones and ``NOISES`` maps of noise, upsampled: (B, 1 + NOISES, S, T)."""

    def make() -> Tensor:
        photo, features = _fine_views(step)
        resampler = objective.upsampler.prepare(photo, features, tuple(photo.shape[-2:]))
        shape = (len(features), NOISES, *features.shape[-2:])
        noise = torch.randn(shape, generator=step.generator("noise")).to(features)
        return resampler.apply(torch.cat([torch.ones_like(noise[:, :1]), noise], dim=1))

    return objective.kept("ones and noise", make)


def _fine_views(step: Step) -> tuple[Tensor, Tensor]:
    """Return the first photos (B, 3, S, T) and their features (B, C, h, w), cut to the step's box
    at its pixel density.
    """
    box = step.fine_box()
    stride = step.images.shape[-1] // step.target.shape[-1]
    photo = resize(box.of(step.images[: step.recipe.fine_photos], stride), box.size)
    return photo, box.of(step.target[: len(photo)])


def _must_be_convex(objective: Objective) -> None:
    if not objective.upsampler.convex:
        raise ExplorerError(
            "grid_, image_, segment_ and cluster_consistency need weights that every channel "
            "shares: jafar's or anyup's"
        )


def _normed(objective: Objective, features: Tensor) -> Tensor:
    return getattr(objective.upsampler, "channelnorm", nn.Identity())(features)


def _stack_output(objective: Objective, step: Step, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the random projection (K, C), the stack's output carried in K + 1 channels and the
    features' root mean square, in whose units both are.

    The projection is applied before the stack, which is exact; the last channel is the
    downsampler's logit.
    """
    features = step.features(side)
    scale = _normed(objective, features).square().mean().sqrt().detach()
    weight = random_projection(features.shape[1], PROJECTED, step.generator("projection"))
    weight = weight.to(features) / scale

    def carry() -> Tensor:
        logit_weight, logit_bias = objective.downsampler.logits(step.generator("dropout"))
        bias = torch.cat([weight.new_zeros(PROJECTED), logit_bias])
        image = resize(step.images, (side, side))
        resampler = objective.upsampler.prepare(image, features, (side, side))
        return resampler.project(torch.cat([weight, logit_weight / scale]), bias)

    return weight, objective.kept("stack", carry), scale


def _jitter(key: str, number: int) -> tuple[float, float, float, bool]:
    rng = random.Random(f"jitter:{key}:{number}")
    return rng.random(), rng.random(), rng.uniform(1.0, 2.0), rng.random() < 0.5
