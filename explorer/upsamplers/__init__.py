"""Every upsampler: importing this package imports its modules, and each registers its methods."""

from explorer.upsamplers.base import UPSAMPLERS, ImageHalf, LinearResampler, Resampler, Upsampler

__all__ = ["UPSAMPLERS", "ImageHalf", "LinearResampler", "Resampler", "Upsampler"]

UPSAMPLERS.discover(__name__, __path__)
