"""What ``Upsampler.prepare`` checks before any method sees its inputs, and the type it computes
in.
"""

from __future__ import annotations

import torch
from torch import Tensor

from explorer.core import ExplorerError, SizeError


def check_inputs(image: Tensor, features: Tensor, output_size: tuple[int, ...]) -> None:
    """Raise unless image (B, 3, H, W), features (B, C, h, w) and output size (H', W') can be used.

    Raises:
        SizeError: shapes that do not belong together, or an empty grid or output.
        ExplorerError: values that are not floating-point numbers, or not finite.
    """
    check_image(image, output_size)
    check_features(features, len(image))


def check_image(image: Tensor, output_size: tuple[int, ...]) -> None:
    """Raise unless image (B, 3, H, W) and output size (H', W') can be used."""
    if image.dim() != 4 or image.shape[1] != 3:
        raise SizeError(f"an image batch (B, 3, H, W) is expected, not {tuple(image.shape)}")
    if len(output_size) != 2 or min(output_size) < 1:
        raise SizeError(f"an output size (H, W) of at least 1x1 is expected, not {output_size}")
    _check_numbers("image", image)


def check_features(features: Tensor, batch: int) -> None:
    """Raise unless features (B, C, h, w) for ``batch`` images can be used."""
    if features.dim() != 4 or features.shape[0] != batch:
        raise SizeError(
            f"features (B, C, h, w) with the image's batch of {batch} are expected, "
            f"not {tuple(features.shape)}"
        )
    if min(features.shape[-2:]) < 1:
        raise SizeError("the features have an empty grid")
    _check_numbers("features", features)


def _check_numbers(what: str, values: Tensor) -> None:
    if not values.is_floating_point():
        raise ExplorerError(
            f"the {what} must hold floating-point numbers, not {_dtype_name(values.dtype)}"
        )
    check_finite(what, values)


def check_finite(what: str, values: Tensor) -> None:
    """Raise ExplorerError if ``values`` (B, C, h, w) hold NaN or infinity; it says how many and
    where the first one is. While a graph is traced there are no values to look at.
    """
    if torch.compiler.is_compiling():
        return
    # One reduction instead of a mask of the whole map: a sum of finite numbers is finite unless
    # it overflows, and then the mask decides.
    if values.detach().sum().isfinite():
        return
    bad = ~values.detach().isfinite()
    if not bad.any():
        return
    batch, channel, row, col = bad.nonzero()[0].tolist()
    cells = int(bad.any(dim=1).sum())
    raise ExplorerError(
        f"the {what} hold{'s' if what == 'image' else ''} {int(bad.sum())} values that are NaN or "
        f"infinite, at {cells} of {bad[:, 0].numel()} positions; the first is in batch entry "
        f"{batch}, channel {channel}, row {row}, column {col}"
    )


def compute_dtype(module: torch.nn.Module, features: Tensor) -> torch.dtype:
    """Return the type a method computes in: that of its parameters; without any, the features'
    type, but at least float32.
    """
    parameter = next(module.parameters(), None)
    if parameter is not None:
        return parameter.dtype
    return torch.promote_types(features.dtype, torch.float32)


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
