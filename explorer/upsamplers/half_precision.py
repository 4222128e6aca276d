"""Half precision for the upsamplers' encoders: where it helps, and what is left exact.

Only ``prepare`` runs in bfloat16, and only of methods that declare ``half_precision``; features,
attention and projections stay float32. ``python -m explorer bench precision`` prints the error this
costs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from explorer.core import ExplorerError, FeatureMap
from explorer.upsamplers import ImageHalf, Resampler, Upsampler

EXACT, HALF = "float32", "bfloat16"


def checked(encoders: str) -> str:
    """Return ``encoders`` if it is one of the two; raises ExplorerError if not."""
    if encoders not in (EXACT, HALF):
        raise ExplorerError(f"encoders run in {EXACT} or {HALF}, not in {str(encoders)[:40]!r}")
    return encoders


def prepare(
    method: Upsampler,
    image: Tensor,
    features: FeatureMap | Tensor,
    output_size: tuple[int, int],
    encoders: str = EXACT,
) -> Resampler:
    """Return ``method.prepare(...)``; with "bfloat16" its encoders run in half precision.

    Args:
        method: any upsampler; one without encoders is exact in any case.
        image: (B, 3, H, W) RGB in [0, 1].
        features: (B, C, h, w).
        output_size: (H', W').
        encoders: "float32" or "bfloat16".
    """
    if checked(encoders) == EXACT or not method.half_precision:
        return method.prepare(image, features, output_size)
    with torch.autocast(image.device.type, dtype=torch.bfloat16):
        made = method.prepare(image, features, output_size)
    return _in_float32(made)


def prepare_image(
    method: Upsampler,
    image: Tensor,
    output_size: tuple[int, int],
    grid: tuple[int, int],
    encoders: str = EXACT,
) -> ImageHalf:
    """Return ``method.prepare_image(...)``, in half precision as ``prepare`` would."""
    if checked(encoders) == EXACT or not method.half_precision:
        return method.prepare_image(image, output_size, grid)
    with torch.autocast(image.device.type, dtype=torch.bfloat16):
        half = method.prepare_image(image, output_size, grid)
    return ImageHalf(half.queries.float(), half.seen.float())


def prepare_features(
    method: Upsampler, half: ImageHalf, features: FeatureMap, encoders: str = EXACT
) -> Resampler:
    """Return ``method.prepare_features(...)``, in half precision as ``prepare`` would."""
    if checked(encoders) == EXACT or not method.half_precision:
        return method.prepare_features(half, features)
    with torch.autocast(half.queries.device.type, dtype=torch.bfloat16):
        return _in_float32(method.prepare_features(half, features))


def _in_float32(made: Resampler) -> Resampler:
    for name, value in vars(made).items():
        if isinstance(value, Tensor) and value.dtype == torch.bfloat16:
            setattr(made, name, value.float())
    return made
