"""From a file of weights to a state dict: which reader, which keys, which names.

Safetensors are taken as they are. A ``.pth``, ``.ckpt`` or ``.bin`` is read by its row's transform:

    state_dict  the file is the state dict
    loftup      the same; the training variant's ``upsampler.*`` and ``model.1.norm.*`` are renamed
    jafar, anyup  a training checkpoint, the state dict under that key
    featup      a Lightning checkpoint: ``upsampler.*`` without the prefix, ``model.1.norm.*`` as
                ``channelnorm.norm.*``
    head        a probe: ``state_dict`` (``decode_head.*`` without the prefix) or
                ``model_state_dict``
    auto        whatever of these the file looks like

All of them go through `explorer.weights.pickles`, which executes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from explorer.core import UnknownNameError, WeightsError
from explorer.weights.pickles import Archive, StoredTensor
from explorer.weights.rows import TRANSFORMS

PICKLED = (".pth", ".pt", ".ckpt", ".bin")


def read_state(path: Path, transform: str = "auto") -> dict[str, Tensor]:
    """Return the state dict in ``path``, on the CPU.

    Raises:
        WeightsError: the file is damaged, unsafe, of an unknown kind, or holds something else than
            the transform says.
    """
    if transform not in TRANSFORMS:
        raise UnknownNameError(
            f"there is no transform called {transform[:80]!r}; choose one of: "
            f"{', '.join(TRANSFORMS)}"
        )
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"{path.name} is no readable safetensors file: {error}") from None
    if path.suffix not in PICKLED:
        raise WeightsError(
            f"{path.name} is no file of weights: .safetensors is expected, or {', '.join(PICKLED)}"
        )
    archive = Archive(path)
    stored = _named(archive.content, transform, path)
    return archive.tensors(stored)


def _named(content: Any, transform: str, path: Path) -> dict[str, Any]:
    """Pick the tensors of ``content`` and give them the names that the method's module uses."""
    if not isinstance(content, Mapping):
        raise WeightsError(
            f"{path.name} holds {type(content).__name__}, not a dictionary of tensors"
        )
    if transform == "auto":
        transform = _guess(content)
    if transform in ("jafar", "anyup"):
        state = _under(content, transform, path)
    elif transform == "featup":
        state = _renamed(_under(content, "state_dict", path))
    elif transform == "loftup":
        state = {str(k): v for k, v in content.items()}
        if "state_dict" in content:
            kept = _under(content, "state_dict", path)
            state = {
                name if name.startswith("channelnorm.") else f"upsampler.{name}": value
                for name, value in _renamed(kept).items()
            }
    elif transform == "head":
        key = "model_state_dict" if "model_state_dict" in content else "state_dict"
        state = {k.removeprefix("decode_head."): v for k, v in _under(content, key, path).items()}
    else:
        state = {str(k): v for k, v in content.items()}
    strange = [k for k, v in state.items() if not isinstance(v, StoredTensor)]
    if not state or strange:
        raise WeightsError(
            f"{path.name}, read as {transform!r}, "
            + (
                f"holds something else than tensors ({strange[0]!r})"
                if strange
                else "holds no tensors"
            )
        )
    return state


def _guess(content: Mapping[str, Any]) -> str:
    for key in ("jafar", "anyup"):
        if isinstance(content.get(key), Mapping):
            return key
    if "model_state_dict" in content:
        return "head"
    inner = content.get("state_dict")
    if isinstance(inner, Mapping):
        if any(str(k).startswith("decode_head.") for k in inner):
            return "head"
        return "loftup" if any("ca_transformer" in str(k) for k in inner) else "featup"
    return "state_dict"


def _under(content: Mapping[str, Any], key: str, path: Path) -> dict[str, Any]:
    inner = content.get(key)
    if not isinstance(inner, Mapping):
        found = ", ".join(sorted(str(k)[:40] for k in content)[:6])
        raise WeightsError(f"{path.name} has no {key!r} dictionary; it holds: {found}")
    return {str(k): v for k, v in inner.items()}


def _renamed(state: Mapping[str, Any]) -> dict[str, Any]:
    kept = {}
    for name, value in state.items():
        if "scale_net" in name or "downsampler" in name:
            continue
        if name.startswith("upsampler."):
            kept[name.removeprefix("upsampler.")] = value
        elif name.startswith("model.1.norm."):
            kept["channelnorm.norm." + name.removeprefix("model.1.norm.")] = value
    return kept
