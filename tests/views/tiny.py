"""A session over a tiny backbone and random-weight upsamplers: every view in milliseconds."""

import numpy as np
import torch
from torch.nn import functional as F

from explorer.backbones.base import Backbone
from explorer.core import UnknownNameError
from explorer.imaging import open_photo
from explorer.session import Session
from explorer.upsamplers import UPSAMPLERS, Resampler, Upsampler

METHODS = tuple(UPSAMPLERS.names())
CHANNELS = 7


class TinyBackbone(Backbone):
    """Seven channels of local colour on a stride-8 grid."""

    name, title, stage, origin, digest = "tiny", "Tiny", "last", "untrained", "0"
    dim, stride = CHANNELS, 8
    mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)

    def __init__(self):
        super().__init__()
        mixing = torch.randn(CHANNELS, 6, generator=torch.Generator().manual_seed(3))
        self.register_buffer("mixing", mixing)

    def encode(self, image):
        small = F.avg_pool2d(image, self.stride)
        return torch.einsum("kc,bchw->bkhw", self.mixing, torch.cat([small, small**2], dim=1))


class Twisted(Upsampler):
    """Bilinear, then squared: not linear, no attention."""

    name, title = "twisted", "Twisted"
    linear = False
    space = "normalised"

    def _prepare(self, guidance, values, output_size):
        return TwistedResampler(values, output_size)


class TwistedResampler(Resampler):
    def __init__(self, values, output_size):
        self.values, self.output_size = values, output_size

    def features(self, rows=None):
        start, stop = self.check_rows(rows)
        return F.interpolate(self.values, self.output_size, mode="bilinear")[:, :, start:stop] ** 2

    def project(self, weight, bias=None):
        return F.conv2d(self.features(), weight[:, :, None, None], bias)


class TinySession(Session):
    """Every registered upsampler with random weights, and one that is not linear."""

    def __init__(self, **options):
        super().__init__("cpu", allow_network=False, **options)
        self.tiny, self.made = TinyBackbone().eval(), {}

    def backbone(self, name):
        if name != "tiny":
            raise UnknownNameError(f"there is no backbone called {name!r}")
        return self.tiny

    def upsampler(self, name, backbone, options):
        if name not in self.made:
            kind = Twisted if name == "twisted" else UPSAMPLERS.get(name)
            torch.manual_seed(1)
            method = kind(**(kind.options_for(CHANNELS) | dict(kind.small_options))).eval()
            for parameter in method.parameters():  # zero-initialised parts would hide mistakes
                if parameter.dim() > 0:
                    parameter.data.add_(torch.randn_like(parameter) * 0.1)
            method.origin, method.checkpoint, method.digest = "untrained", "random", "1"
            self.made[name] = method.requires_grad_(False)
        return self.made[name]


def squares(seed, name):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (9, 11, 3), dtype=np.uint8)
    return open_photo(small.repeat(8, 0).repeat(8, 1)[:67, :80], name)
