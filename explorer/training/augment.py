"""Guidance augmentations of the consistency terms, drawn from a seeded generator."""

from __future__ import annotations

import random

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as V


def soften(image: Tensor, rng: random.Random, generator: torch.Generator) -> Tensor:
    """JAFAR's: a 5-pixel blur (sigma 1) with p .5, noise of .02 with p .3, clamped (2506.11136)."""
    if rng.random() < 0.5:
        image = V.gaussian_blur(image, [5, 5], [1.0, 1.0])
    if rng.random() < 0.3:
        noise = torch.randn(image.shape, generator=generator) * 0.02
        image = image + noise.to(image)
    return image.clamp(0, 1)


def distort(image: Tensor, rng: random.Random, generator: torch.Generator) -> Tensor:
    """AnyUp's: one or two of colour jitter, grey, blur, JPEG, equalise, ..., noise (2510.12764)."""
    for change in rng.sample(CHANGES, rng.choice((1, 2))):
        image = change(image, rng, generator)
    return image.clamp(0, 1)


def _jitter(image, rng, generator):
    image = V.adjust_brightness(image, rng.uniform(0.6, 1.4))
    image = V.adjust_contrast(image, rng.uniform(0.6, 1.4))
    image = V.adjust_saturation(image, rng.uniform(0.6, 1.4))
    return V.adjust_hue(image, rng.uniform(-0.1, 0.1))


def _grey(image, rng, generator):
    return V.rgb_to_grayscale(image, num_output_channels=3)


def _blur(image, rng, generator):
    return V.gaussian_blur(image, [5, 5], [rng.uniform(0.3, 1.5)] * 2)


def _jpeg(image, rng, generator):
    quality = rng.randint(30, 90)
    frames = [V.jpeg(frame, quality) for frame in (image * 255).byte().cpu()]
    return torch.stack(frames).to(image) / 255


def _noise(image, rng, generator):
    return image + (torch.randn(image.shape, generator=generator) * 0.03).to(image)


def _of_bytes(change):
    def apply(image, rng, generator):
        return change((image * 255).byte(), rng).to(image) / 255

    return apply


CHANGES = (
    _jitter,
    _grey,
    _blur,
    _jpeg,
    _noise,
    _of_bytes(lambda image, rng: V.equalize(image)),
    _of_bytes(lambda image, rng: V.posterize(image, rng.randint(3, 6))),
    lambda image, rng, generator: v2.functional.solarize(image, rng.uniform(0.5, 1.0)),
    lambda image, rng, generator: 1 - image,
    lambda image, rng, generator: V.adjust_sharpness(image, rng.uniform(0.2, 3.0)),
)
