"""Every upsampler: importing this package imports its modules, and each registers its methods."""

from explorer.upsamplers.base import UPSAMPLERS, LinearResampler, Resampler, Upsampler

__all__ = ["UPSAMPLERS", "LinearResampler", "Resampler", "Upsampler"]

UPSAMPLERS.discover(__name__, __path__)
