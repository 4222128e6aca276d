"""Baselines that ask more of the backbone instead of upsampling better: bilinear from a larger
input, from the mean with the mirrored photo, from four moved photos.

What they cost is backbone time, which `Session` and the evaluation count as theirs.
"""

from __future__ import annotations

from explorer.core import Reading
from explorer.upsamplers.base import UPSAMPLERS
from explorer.upsamplers.interpolation import Bilinear


@UPSAMPLERS.register("bilinear_x2")
class LargerInput2(Bilinear):
    """Bilinear from the features of the photo at twice the input size."""

    name = "bilinear_x2"
    title = "Bilinear, ×2 input"
    order = 2000
    reading = Reading(factor=2)


@UPSAMPLERS.register("bilinear_x4")
class LargerInput4(Bilinear):
    """Bilinear from the features of the photo at four times the input size."""

    name = "bilinear_x4"
    title = "Bilinear, ×4 input"
    order = 2010
    reading = Reading(factor=4)


@UPSAMPLERS.register("bilinear_flip")
class FlipAveraged(Bilinear):
    """Bilinear from the mean of the features and those of the mirrored photo, mirrored back."""

    name = "bilinear_flip"
    title = "Bilinear, flip mean"
    order = 2020
    reading = Reading(flipped=True)


@UPSAMPLERS.register("bilinear_interleaved")
class Interleaved(Bilinear):
    """Bilinear from a grid twice as fine: four passes over the photo moved by half a cell."""

    name = "bilinear_interleaved"
    title = "Bilinear, 4 half-cell moves"
    order = 2030
    reading = Reading(interleaved=True)
