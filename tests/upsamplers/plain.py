"""Methods as their papers write them: plain modules, whole maps, no tricks. For tests and benches.

Each function takes (method, image (B, 3, H, W) in [0, 1], features (B, C, h, w), (H', W')) and
returns (B, C, H', W').
"""

import torch
from torch.nn import functional as F

from explorer.imaging import normalise
from explorer.upsamplers.neighbourhood import window_starts
from explorer.upsamplers.windows import window_bounds


def interpolation(mode):
    return lambda method, image, features, size: F.interpolate(features, size, mode=mode)


def guided(method, image, features, size):
    """AnyUp and JAFAR: every pixel attends to every cell, with a mask where there is a window."""
    with torch.enable_grad():  # the plain modules
        x = method.rope(method.image_encoder(normalise(image, method.mean, method.std)))
        queries = F.adaptive_avg_pool2d(method.query_encoder(x), size)
        keys = F.adaptive_avg_pool2d(method.key_encoder(x), features.shape[-2:])
    del x
    queries, keys = queries.detach(), keys.detach()
    described = method.key_features_encoder(F.normalize(features, dim=1))
    if method.name == "jafar":
        keys = method.sft_key(keys, described)
        queries = method.norm_query(queries)
    else:
        keys = method.aggregation(torch.cat([keys, described], dim=1))
    attention = method.cross_decode.cross_attn
    queries = method.cross_decode.conv2d(queries).flatten(2).transpose(1, 2)
    queries = attention.query(queries).unflatten(2, (attention.heads, -1)).transpose(1, 2)
    keys = attention.key(keys.flatten(2).transpose(1, 2))
    keys = keys.unflatten(2, (attention.heads, -1)).transpose(1, 2)
    scores = queries @ keys.transpose(2, 3)  # (B, heads, P, L)
    if method.window_ratio > 0:
        scores = scores.masked_fill(~_windows(method, features.shape[-2:], size), -torch.inf)
    weights = scores.softmax(dim=-1).mean(dim=1)
    values = features.flatten(2).transpose(1, 2)
    return (weights @ values).transpose(1, 2).unflatten(2, size)


def _windows(method, grid, size):
    inside = []
    for cells, outputs in zip(grid, size, strict=True):
        bounds = window_bounds(cells, outputs, method.half_width(cells))
        cell = torch.arange(cells)
        inside.append((cell >= bounds[:, :1]) & (cell < bounds[:, 1:]))
    rows, cols = inside
    return (rows[:, None, :, None] & cols[None, :, None, :]).flatten(2).flatten(0, 1)


def naf(method, image, features, size):
    """NAF: keys and values enlarged and gathered position by position."""
    guidance = normalise(image, method.mean, method.std)
    queries = method.image_encoder(guidance, size)
    keys = F.adaptive_avg_pool2d(queries, features.shape[-2:])
    heads, kernel = method.heads, method.kernel_size
    queries = queries.unflatten(1, (heads, -1)) * (queries.shape[1] // heads) ** -0.5
    keys, values = (
        F.interpolate(t, size, mode="nearest-exact").unflatten(1, (heads, -1))
        for t in (keys, features)
    )
    rows, cols = (
        torch.tensor(window_starts(n, kernel, method.dilation(c, n)))[:, None]
        + method.dilation(c, n) * torch.arange(kernel)
        for n, c in zip(size, features.shape[-2:], strict=True)
    )
    places = [(rows[:, i], cols[:, j]) for i in range(kernel) for j in range(kernel)]
    scores = torch.stack(
        [(queries * keys[:, :, :, row][..., col]).sum(dim=2) for row, col in places], dim=-1
    )
    weights = scores.softmax(dim=-1)
    out = sum(
        weights[:, :, None, :, :, n] * values[:, :, :, row][..., col]
        for n, (row, col) in enumerate(places)
    )
    return out.flatten(1, 2)


PLAIN = {
    "nearest": interpolation("nearest-exact"),
    "bilinear": interpolation("bilinear"),
    "bicubic": interpolation("bicubic"),
    "jafar": guided,
    "anyup": guided,
    "naf": naf,
    "diveup": naf,
}
