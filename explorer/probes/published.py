"""How the files of probes are laid out: ours, DINOv2's heads (BatchNorm folded), JAFAR's probes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from explorer.core import ExplorerError, WeightsError
from explorer.imaging import normalise

BATCHNORM_EPS = 1e-5
LAST_BLOCK = "11"  # of ViT-S and ViT-B: the last block before the final norm

Arrays = dict[str, Tensor]


def read_layout(layout: str, state: Mapping[str, Tensor], file: str) -> Arrays:
    """Return "weight" (K, C), "bias" (K,) and perhaps "class_weight" (K, C) of a state dict.

    ``layout``: "probe" (ours), "conv1x1" (JAFAR), "dinov2_segmentation" or "dinov2_depth"; names
    without the ``decode_head.`` prefix.

    Raises:
        WeightsError: a tensor is missing, unexpected or of another shape than the layout has.
    """
    if layout not in LAYOUTS:
        raise WeightsError(f"{file} has the layout {layout!r}; known are: {', '.join(LAYOUTS)}")
    return LAYOUTS[layout](state, file)


def wanted_stage(layout: str) -> str | None:
    """Return the backbone stage whose features a layout reads, None for the default."""
    return LAST_BLOCK if layout == "dinov2_depth" else None


def class_token(backbone, image: Tensor) -> Tensor:
    """Return the class token (B, C) of a timm ViT at its stage, before the final norm.

    Args:
        backbone: a loaded timm backbone at a numbered stage.
        image: (B, 3, H, W) in [0, 1].

    Raises:
        ExplorerError: the backbone has no class token.
    """
    model = getattr(backbone, "model", None)
    if not getattr(model, "num_prefix_tokens", 0):
        raise ExplorerError(f"{backbone.title} has no class token; this head reads one")
    with torch.no_grad():
        found = model.forward_intermediates(
            normalise(image, backbone.mean, backbone.std),
            indices=[backbone.index],
            norm=False,
            return_prefix_tokens=True,
            output_fmt="NCHW",
            intermediates_only=True,
        )
    return found[0][1][:, 0]


def _ours(state: Mapping[str, Tensor], file: str) -> Arrays:
    _expect(state, {"weight": 2, "bias": 1}, file)
    return _matched({"weight": state["weight"], "bias": state["bias"]}, file)


def _conv1x1(state: Mapping[str, Tensor], file: str) -> Arrays:
    _expect(state, {"weight": 4, "bias": 1}, file)
    return _matched({"weight": _flat(state["weight"], file), "bias": state["bias"]}, file)


def _dinov2_segmentation(state: Mapping[str, Tensor], file: str) -> Arrays:
    norm = ("bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
    wanted = {"conv_seg.weight": 4, "conv_seg.bias": 1, **{key: 1 for key in norm}}
    _expect(state, wanted, file, optional=("bn.num_batches_tracked",))
    weight = _flat(state["conv_seg.weight"], file)
    _matched({"weight": weight, "bias": state["conv_seg.bias"]}, file)
    if any(state[key].shape != weight.shape[1:] for key in norm):
        raise WeightsError(f"{file}: its BatchNorm does not have the {weight.shape[1]} channels")
    gain, shift, mean, variance = (state[key].double() for key in norm)
    scale = gain / (variance + BATCHNORM_EPS).sqrt()
    bias = state["conv_seg.bias"].double() + weight.double() @ (shift - mean * scale)
    return {"weight": (weight.double() * scale).float(), "bias": bias.float()}


def _dinov2_depth(state: Mapping[str, Tensor], file: str) -> Arrays:
    _expect(state, {"conv_depth.weight": 4, "conv_depth.bias": 1}, file)
    weight = _flat(state["conv_depth.weight"], file)
    if weight.shape[1] % 2:
        raise WeightsError(
            f"{file} reads {weight.shape[1]} channels; patch and class token make an even number"
        )
    patch, token = weight.chunk(2, dim=1)
    bias = state["conv_depth.bias"]
    return _matched({"weight": patch, "bias": bias, "class_weight": token}, file)


def _expect(
    state: Mapping[str, Tensor], wanted: dict[str, int], file: str, optional: tuple[str, ...] = ()
) -> None:
    missing = [key for key in wanted if key not in state]
    strange = [key for key in state if key not in wanted and key not in optional]
    if missing or strange:
        parts = [f"lacks {', '.join(missing)}"] if missing else []
        parts += [f"has {', '.join(sorted(strange)[:4])} besides"] if strange else []
        raise WeightsError(f"{file} is not the expected head: it {' and '.join(parts)}")
    for key, dims in wanted.items():
        if state[key].dim() != dims:
            raise WeightsError(
                f"{file} is not the expected head: {key} is {tuple(state[key].shape)}, "
                f"{dims} dimensions are expected"
            )


def _flat(weight: Tensor, file: str) -> Tensor:
    if tuple(weight.shape[2:]) != (1, 1):
        raise WeightsError(f"{file} holds a {tuple(weight.shape[2:])} convolution, not a 1x1 one")
    return weight[:, :, 0, 0]


def _matched(arrays: Arrays, file: str) -> Arrays:
    if arrays["bias"].shape != arrays["weight"].shape[:1]:
        raise WeightsError(
            f"{file}: {len(arrays['bias'])} biases do not fit {len(arrays['weight'])} outputs"
        )
    return arrays


LAYOUTS = {
    "probe": _ours,
    "conv1x1": _conv1x1,
    "dinov2_segmentation": _dinov2_segmentation,
    "dinov2_depth": _dinov2_depth,
}
