"""The zip that torch.save writes: what it holds, and its tensors when they are asked for."""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from explorer.core import WeightsError
from explorer.hub.pickles import InertReader, StoredTensor

# What zipfile raises for damaged bytes; UnicodeDecodeError and the like are ValueErrors.
DAMAGE = (
    zipfile.BadZipFile,
    OSError,
    KeyError,
    ValueError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    OverflowError,
    struct.error,
)
MAX_PICKLE = 16 * 2**20


class Archive:
    """A ``.pth`` zip: ``content`` is what its pickle describes, tensors being `StoredTensor`s.

    Raises:
        WeightsError: not such a zip, the pickle names something that is not allowed, or it is
            damaged.
    """

    def __init__(self, path: Path):
        self.path = path
        if not zipfile.is_zipfile(path):
            raise WeightsError(
                f"{path.name} is not in PyTorch's zip format (torch >= 1.6), or was cut off: older "
                "pickles cannot be "
                "read without executing them, so convert it to safetensors where you trust it"
            )
        try:
            with zipfile.ZipFile(path) as archive:
                self.prefix = _check_members(archive, path)
                data = archive.read(f"{self.prefix}data.pkl")
        except WeightsError:
            raise
        except DAMAGE as error:
            raise WeightsError(f"{path.name} is a damaged archive: {error}") from None
        try:
            self.content = InertReader(data, path.name).load()
        except WeightsError:
            raise
        except Exception as error:  # a malformed pickle can raise nearly anything
            raise WeightsError(
                f"{path.name} holds a pickle that cannot be followed "
                f"({type(error).__name__}: {str(error)[:120]})"
            ) from None

    def tensors(self, wanted: Mapping[str, StoredTensor]) -> dict[str, Tensor]:
        """Read the wanted tensors, contiguous and on the CPU."""
        found = {}
        try:
            with zipfile.ZipFile(self.path) as archive:
                for name, stored in wanted.items():
                    raw = archive.read(f"{self.prefix}data/{stored.storage.key}")
                    found[name] = _view(stored, raw, f"{name} of {self.path.name}")
        except WeightsError:
            raise
        except DAMAGE as error:
            raise WeightsError(f"{self.path.name} is a damaged archive: {error}") from None
        return found


def _check_members(archive: zipfile.ZipFile, path: Path) -> str:
    names = archive.namelist()
    pickles = [name for name in names if name.endswith("/data.pkl")]
    if len(pickles) != 1 or any(name.endswith("/constants.pkl") for name in names):
        raise WeightsError(f"{path.name} is no checkpoint saved with torch.save")
    # torch.save never compresses: a compressed member could only be there to swell when read.
    if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
        raise WeightsError(f"{path.name} has compressed members, which torch.save never writes")
    if archive.getinfo(pickles[0]).file_size > MAX_PICKLE:
        raise WeightsError(f"the pickle in {path.name} is over {MAX_PICKLE >> 20} MiB")
    prefix = pickles[0][: -len("data.pkl")]
    order = f"{prefix}byteorder"
    if order in names and archive.read(order).strip() != b"little":
        raise WeightsError(f"{path.name} was saved on a big-endian machine, which is not read here")
    return prefix


def _view(stored: StoredTensor, raw: bytes, what: str) -> Tensor:
    count = math.prod(stored.shape)
    if count == 0:
        return torch.empty(stored.shape, dtype=stored.dtype)
    size = torch.empty((), dtype=stored.dtype).element_size()
    reach = sum((n - 1) * s for n, s in zip(stored.shape, stored.stride, strict=True))
    # A stride of 0 could make a few bytes look like terabytes; no state dict needs it.
    if count * size > len(raw) or (stored.offset + reach + 1) * size > len(raw):
        raise WeightsError(f"{what} reaches beyond its data: the archive is damaged")
    flat = torch.frombuffer(bytearray(raw), dtype=stored.dtype, count=len(raw) // size)
    view = flat.as_strided(stored.shape, stored.stride, stored.offset)
    return view.clone(memory_format=torch.contiguous_format)
