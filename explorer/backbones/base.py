"""What a backbone is: an image in, coarse features out."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from explorer.core import FeatureMap, Registry, SizeError
from explorer.image import normalise

BACKBONES: Registry[Backbone] = Registry("backbone")


class Backbone(nn.Module):
    """A frozen network read at one stage.

    ``dim`` channels on a grid ``stride`` times smaller than the image. ``origin`` says whose
    weights they are ("packaged", "published" or "untrained"), ``digest`` identifies weights and
    stage in cache keys and recipes. ``remark`` is what labels must mention ("" if nothing).

    An entry of ``BACKBONES`` is such a class, which takes ``pretrained`` and ``stage``, or a
    function that makes a backbone and has the same attributes: ``title``, ``order``, ``embedded``,
    ``stages``, ``menu_stages``, ``statistics`` and ``is_cached``.
    """

    order: ClassVar[int] = 1000  # place in menus, lowest first; equal ones by name
    embedded: ClassVar[bool] = False  # whether the weights come with a package: no network needed
    stages: ClassVar[tuple[str, ...]] = ()  # that can be named; () for numbers from 0
    menu_stages: ClassVar[tuple[tuple[str, int], ...]] = ()  # offered beside the default: channels
    name: str
    title: str
    dim: int
    stride: int
    stage: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    origin: str
    digest: str
    licence: str = ""
    paper: str = ""
    remark: str = ""

    @classmethod
    def statistics(cls) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return (mean, std) of the input without loading anything."""
        return cls.mean, cls.std

    @classmethod
    def is_cached(cls) -> bool:
        """Whether the weights are on this machine; no request is made."""
        return cls.embedded

    @torch.no_grad()
    def extract(self, image: Tensor) -> FeatureMap:
        """Return the coarse features of ``image`` (B, 3, H, W), RGB in [0, 1].

        Raises:
            SizeError: H or W is not a multiple of ``stride``.
        """
        if image.dim() != 4 or image.shape[1] != 3:
            raise SizeError(f"an image batch (B, 3, H, W) is expected, not {tuple(image.shape)}")
        height, width = image.shape[-2:]
        if height % self.stride or width % self.stride or min(height, width) < self.stride:
            raise SizeError(
                f"{self.title} takes sides that are multiples of {self.stride}, "
                f"not {height}x{width}"
            )
        data = self.encode(normalise(image, self.mean, self.std)).float()
        return FeatureMap(data, self.name, (height, width))

    def encode(self, image: Tensor) -> Tensor:
        """Return features (B, dim, h, w) of a normalised image."""
        raise NotImplementedError
