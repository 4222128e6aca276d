"""Every upsampler: importing this package fills the registry (one file per method)."""

from explorer.upsamplers import interpolation, jbu, featup, jafar, anyup  # noqa: F401, I001  (menu order)
from explorer.upsamplers.base import UPSAMPLERS, LinearResampler, Resampler, Upsampler

__all__ = ["UPSAMPLERS", "LinearResampler", "Resampler", "Upsampler"]
