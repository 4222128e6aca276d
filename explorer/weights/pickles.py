"""Read a PyTorch checkpoint's zip without executing anything in it.

A training script's checkpoint is a zip with ``data.pkl`` and one raw file per storage. Its pickle
may name any function to call, which is how a file of weights can run a program. Here nothing it
names is ever imported or called: tensors become descriptions of where their values lie, ordered
dictionaries come out empty to be filled, configuration classes (omegaconf, Lightning, numpy scalars
...) become shells that swallow what they are given, and every other name is refused.

``torch.load(weights_only=True)`` is no substitute: the list of names it lets through belongs to the
whole process, it makes every tensor of the file, and before torch 2.10 a crafted file could corrupt
memory (CVE-2026-24747).
"""

from __future__ import annotations

import _compat_pickle
import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from explorer.core import WeightsError

MAX_PICKLE = 16 * 2**20
# What zipfile raises for damaged bytes; UnicodeDecodeError and the like are ValueErrors.
DAMAGE = (
    *(zipfile.BadZipFile, OSError, KeyError, ValueError, EOFError, RuntimeError),
    *(NotImplementedError, OverflowError, struct.error),
)
STORAGES = {
    f"{kind}Storage": getattr(torch, dtype)
    for kind, dtype in (
        pair.split(":")
        for pair in "Float:float32 Double:float64 Half:float16 BFloat16:bfloat16 Long:int64 "
        "Int:int32 Short:int16 Char:int8 Byte:uint8 Bool:bool ComplexFloat:complex64 "
        "ComplexDouble:complex128 Untyped:uint8".split()
    )
}
SHELL_PACKAGES = frozenset(
    "addict easydict mmcv mmengine yacs omegaconf pytorch_lightning lightning lightning_fabric "
    "lightning_utilities numpy".split()
)
# Plain values and classes of the standard library, PyTorch's own values: what describes a run.
SHELL_NAMES = frozenset(
    f"{module}.{name}"
    for module, names in {
        "torch": "Size Tensor device",
        "torch.nn.parameter": "Buffer Parameter",
        "torch.serialization": "_get_layout",
        "torch.torch_version": "TorchVersion",
        "collections": "ChainMap Counter UserDict UserList deque",
        "typing": "Any Optional Union",
        "types": "GenericAlias SimpleNamespace",
        "_operator": "getitem",  # typing writes Optional[int] with it
        "argparse": "Namespace",
        "copyreg": "_reconstructor __newobj__ __newobj_ex__",
        "datetime": "date datetime time timedelta timezone",
        "decimal": "Decimal",
        "fractions": "Fraction",
        "uuid": "UUID",
        "pathlib": "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath",
        "_codecs": "encode",
        "builtins": "Ellipsis NotImplemented bool bytearray bytes complex float frozenset int list "
        "object range set slice str tuple type",
    }.items()
    for name in names.split()
)


class StoredTensor(NamedTuple):
    """A tensor that has not been read yet: where its values lie in which raw file."""

    storage: str
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype


class _Storage(NamedTuple):
    """A raw file of the archive: its key and element type."""

    key: str
    dtype: torch.dtype


class _Shell:
    """Swallows whatever a pickle does to it."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __new__(cls, *_: Any, **__: Any) -> _Shell:
        return super().__new__(cls)

    def append(self, _: Any) -> None: ...

    def extend(self, _: Any) -> None: ...

    def add(self, _: Any) -> None: ...

    def __setitem__(self, _: Any, __: Any) -> None: ...


# The pure Python unpickler: its BUILD can be replaced, and the C one lets a file of ten bytes
# allocate gigabytes through a memo index.
class _Reader(pickle._Unpickler):  # type: ignore[name-defined, misc]
    """An unpickler that imports nothing: what it can call are the stand-ins of `find_class`."""

    dispatch = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]
    for opcode in (pickle.INST, pickle.OBJ, pickle.EXT1, pickle.EXT2, pickle.EXT4):
        del dispatch[opcode[0]]

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a name, or refuse it."""
        if self.proto < 3:  # torch.save writes protocol 2, and so ``int`` as ``__builtin__.long``
            module, name = _compat_pickle.NAME_MAPPING.get(
                (module, name), (_compat_pickle.IMPORT_MAPPING.get(module, module), name)
            )
        if module in ("torch", "torch.storage") and name in STORAGES:
            return STORAGES[name]
        if module == "torch" and isinstance(vars(torch).get(name), torch.dtype):
            return vars(torch)[name]
        if module in ("torch._utils", "torch._tensor") and name in TENSOR_FUNCTIONS:
            return TENSOR_FUNCTIONS[name]
        if (module, name) == ("collections", "OrderedDict"):
            return _ordered
        if (module, name) in (("builtins", "dict"), ("collections", "defaultdict")):
            return _dictionary
        if module.split(".")[0] in SHELL_PACKAGES or f"{module}.{name}" in SHELL_NAMES:
            return _Shell
        raise WeightsError(
            f"the file wants to use {module}.{name}"[:200]
            + ", which is not on the list of harmless types: the "
            "file was refused and nothing in it was executed; ask its author for a plain state "
            "dict or safetensors"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        """Return the storage that a persistent id describes."""
        match pid:
            case ("storage", torch.dtype() as dtype, str(key), *_):
                return _Storage(key, dtype)
        raise WeightsError("the file holds an unknown kind of reference")

    def load_build(self) -> None:
        """Drop attributes: only tensors leave this module, and no stand-in can be changed."""
        self.stack.pop()

    dispatch[pickle.BUILD[0]] = load_build


def _ordered() -> OrderedDict[Any, Any]:
    return OrderedDict()


def _dictionary(*_: Any, **__: Any) -> dict[Any, Any]:
    return {}


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, dtype: Any) -> StoredTensor:
    if not (
        isinstance(storage, _Storage)
        and isinstance(dtype, torch.dtype)
        and isinstance(shape, tuple)
        and isinstance(stride, tuple)
        and len(shape) == len(stride)
        and all(type(n) is int and 0 <= n < 2**48 for n in (offset, *shape, *stride))
    ):
        raise WeightsError("a tensor of the file is described by impossible numbers")
    return StoredTensor(storage.key, offset, shape, stride, dtype)


def _tensor_v2(storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> StoredTensor:
    return _tensor(storage, offset, shape, stride, getattr(storage, "dtype", None))


def _tensor_v3(
    storage: Any, offset: Any, shape: Any, stride: Any, _grad: Any, _hooks: Any, dtype: Any, *_: Any
) -> StoredTensor:
    return _tensor(storage, offset, shape, stride, dtype)


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _with_attributes(rebuild: Any, _type: Any, arguments: Any, *_: Any) -> Any:
    """Rebuild a tensor that carries attributes of its own, without them."""
    if rebuild not in (_tensor_v2, _tensor_v3, _parameter) or not isinstance(arguments, tuple):
        raise WeightsError("a tensor of the file is made in an unknown way")
    return rebuild(*arguments)


TENSOR_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "_rebuild_tensor_v2": _tensor_v2,
    "_rebuild_tensor_v3": _tensor_v3,
    "_rebuild_from_type_v2": _with_attributes,
    "_rebuild_parameter": _parameter,
    "_rebuild_parameter_with_state": _parameter,
}


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
                "pickles cannot be read without executing them, so convert it to safetensors where "
                "you trust it"
            )
        try:
            with zipfile.ZipFile(path) as archive:
                self.prefix = _check_members(archive)
                data = archive.read(f"{self.prefix}data.pkl")
        except WeightsError as error:
            raise WeightsError(f"{path.name}: {error}") from None
        except DAMAGE as error:
            raise WeightsError(f"{path.name} is a damaged archive: {error}") from None
        try:
            self.content = _Reader(io.BytesIO(data)).load()
        except WeightsError as error:
            raise WeightsError(f"{path.name}: {error}") from None
        except Exception as error:  # a malformed pickle can raise nearly anything
            raise WeightsError(
                f"{path.name} holds a pickle that cannot be followed "
                f"({type(error).__name__}: {str(error)[:120]})"
            ) from None

    def tensors(self, wanted: Mapping[str, StoredTensor]) -> dict[str, Tensor]:
        """Read the wanted tensors, contiguous and on the CPU."""
        state = {}
        try:
            with zipfile.ZipFile(self.path) as archive:
                for name, stored in wanted.items():
                    raw = archive.read(f"{self.prefix}data/{stored.storage}")
                    state[name] = _view(stored, raw, f"{name} of {self.path.name}")
        except WeightsError:
            raise
        except DAMAGE as error:
            raise WeightsError(f"{self.path.name} is a damaged archive: {error}") from None
        return state


def _check_members(archive: zipfile.ZipFile) -> str:
    names = archive.namelist()
    pickles = [name for name in names if name.endswith("/data.pkl")]
    if len(pickles) != 1 or any(name.endswith("/constants.pkl") for name in names):
        raise WeightsError("the file is no checkpoint saved with torch.save")
    # torch.save never compresses: a compressed member could only be there to swell when read.
    if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
        raise WeightsError("the file has compressed members, which torch.save never writes")
    if archive.getinfo(pickles[0]).file_size > MAX_PICKLE:
        raise WeightsError(f"the file's pickle is over {MAX_PICKLE >> 20} MiB")
    prefix = pickles[0].removesuffix("data.pkl")
    order = f"{prefix}byteorder"
    if order in names and archive.read(order).strip() != b"little":
        raise WeightsError("the file was saved on a big-endian machine, which is not read here")
    return prefix


def _view(stored: StoredTensor, raw: bytes, what: str) -> Tensor:
    count = math.prod(stored.shape)
    if count == 0:
        return torch.empty(stored.shape, dtype=stored.dtype)
    last = sum((n - 1) * s for n, s in zip(stored.shape, stored.stride, strict=True))
    # A stride of 0 could make a few bytes look like terabytes; no state dict needs it.
    if max(count, stored.offset + last + 1) * stored.dtype.itemsize > len(raw):
        raise WeightsError(f"{what} reaches beyond its data: the archive is damaged")
    flat = torch.frombuffer(
        bytearray(raw), dtype=stored.dtype, count=len(raw) // stored.dtype.itemsize
    )
    view = flat.as_strided(stored.shape, stored.stride, stored.offset)
    return view.clone(memory_format=torch.contiguous_format)
