"""What a backbone is: an image in, coarse features out."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from explorer.backbones.alignment import Shift, moved, shift_of
from explorer.core import ALIGN, FeatureMap, Registry, SizeError
from explorer.imaging import normalise

BACKBONES: Registry[Backbone] = Registry("backbone")


class Backbone(nn.Module):
    """A frozen network read at one stage.

    ``dim`` channels on a grid ``stride`` times smaller than the image. ``origin`` says whose
    weights they are ("packaged", "published" or "untrained"), ``digest`` identifies weights and
    stage in cache keys and recipes. ``remark`` is what labels must mention ("" if nothing).
    ``center_offset`` (dy, dx) is where cells look, in input pixels from their centres, as measured
    by ``python -m explorer measure alignment``.

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
    center_offset: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def statistics(cls) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return (mean, std) of the input without loading anything."""
        return cls.mean, cls.std

    @classmethod
    def is_cached(cls) -> bool:
        """Whether the weights are on this machine; no request is made."""
        return cls.embedded

    @property
    def shifts(self) -> tuple[Shift, ...]:
        """By how many pixels (dy, dx) the photo moves up and left when features are aligned, one
        for each stage that is read.
        """
        return (shift_of(self.center_offset),)

    def alignment(self, align: bool) -> tuple[Shift, ...]:
        """Return the moves that ``extract`` makes, () if it makes none: what cache keys hold."""
        moves = self.shifts if align else ()
        return moves if any(any(move) for move in moves) else ()

    def alignment_note(self, align: bool) -> str:
        """Return "aligned by (6, 6) px", all moves of several stages, or "" if none is made."""
        moves = self.alignment(align)
        return f"aligned by {', '.join(map(str, dict.fromkeys(moves)))} px" if moves else ""

    @torch.no_grad()
    def extract(self, image: Tensor, align: bool = ALIGN) -> FeatureMap:
        """Return the coarse features of ``image`` (B, 3, H, W), RGB in [0, 1].

        ``align`` moves the photo by ``shifts`` (reflected border) before the network, so that cell
        (i, j) describes the square of pixels under it; without it, it is the network's own reading.

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
        normal = normalise(image, self.mean, self.std)
        data = (self.encode_aligned(normal) if align else self.encode(normal)).float()
        return FeatureMap(data, self.name, (height, width))

    def encode(self, image: Tensor) -> Tensor:
        """Return features (B, dim, h, w) of a normalised image."""
        raise NotImplementedError

    def encode_aligned(self, image: Tensor) -> Tensor:
        """Return ``encode`` of the moved image; each stage of several is moved by its own shift."""
        return self.encode(moved(image, *self.shifts))
