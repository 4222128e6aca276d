"""Controls: what a table needs beside the methods, so that a gain can be told from a blur."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from explorer.upsamplers import Upsampler
from explorer.upsamplers.interpolation import SeparableResampler


class BlurredBilinear(Upsampler):
    """Bilinear interpolation of coarse features that were blurred first (binomial, 3x3 cells).

    Not a method anybody proposes: a score that rises with it rewards smoothness alone.
    """

    name = "blurred"
    title = "Blurred bilinear"
    origin = checkpoint = digest = "control"
    uses_image = False
    convex = True

    def _prepare(
        self, guidance: Tensor, values: Tensor, output_size: tuple[int, int]
    ) -> SeparableResampler:
        return SeparableResampler(blurred(values), output_size, "bilinear")


def blurred(values: Tensor) -> Tensor:
    """Return (B, C, h, w) values filtered with [1, 2, 1] / 4 along both axes, edges repeated."""
    kernel = values.new_tensor([0.25, 0.5, 0.25])
    channels = values.shape[1]
    for shape, pad in (((3, 1), (0, 0, 1, 1)), ((1, 3), (1, 1, 0, 0))):
        weight = kernel.view(1, 1, *shape).expand(channels, 1, *shape)
        values = F.conv2d(F.pad(values, pad, mode="replicate"), weight, groups=channels)
    return values
