"""Read the pickle inside a PyTorch checkpoint without executing anything in it.

A training script's checkpoint is a zip with ``data.pkl`` and one raw file per storage. Its pickle
may name any function to call, which is how a file of weights can run a program. Here nothing it
names is ever imported or called: tensors become descriptions of where their values lie, ordered
dictionaries come out empty to be filled, configuration classes (omegaconf, Lightning, numpy scalars
...) become shells that swallow what they are given, and every other name is refused.
`explorer.hub.archives` then reads the tensors that are asked for.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch

from explorer.core import WeightsError

STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "UntypedStorage": None,
}
SHELL_PACKAGES = (
    "omegaconf",
    "pytorch_lightning",
    "lightning",
    "lightning_fabric",
    "lightning_utilities",
    "numpy",
)
SHELL_NAMES = {
    "torch": ("Size", "device"),
    "collections": ("defaultdict",),
    "typing": ("Any",),
    "argparse": ("Namespace",),
    "pathlib": ("Path", "PosixPath", "WindowsPath"),
    "_codecs": ("encode",),
    "builtins": (
        "dict",
        "list",
        "tuple",
        "set",
        "frozenset",
        "int",
        "float",
        "bool",
        "str",
        "bytes",
    ),
}


class Storage(NamedTuple):
    """A raw file of the archive: its key and element type."""

    key: str
    dtype: torch.dtype | None


class StoredTensor(NamedTuple):
    """A tensor that has not been read yet: where its values lie in which storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype


class _Shell:
    """Swallows whatever a pickle does to it."""

    def append(self, _: Any) -> None: ...

    def extend(self, _: Any) -> None: ...

    def add(self, _: Any) -> None: ...

    def __setitem__(self, _: Any, __: Any) -> None: ...


class _Callable(NamedTuple):
    """Stands for a class or function that the pickle names; ``make`` is ours."""

    make: Callable[..., Any]


class _StorageType(NamedTuple):
    """Stands for torch.FloatStorage and its like."""

    dtype: torch.dtype | None


# The pure Python unpickler, because its opcodes can be replaced one by one (and the C one lets a
# file of ten bytes allocate gigabytes through a memo index).
class InertReader(pickle._Unpickler):  # type: ignore[name-defined, misc]
    """An unpickler that imports nothing and calls nothing but `_Callable.make`."""

    dispatch = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]
    for opcode in (pickle.INST, pickle.OBJ, pickle.EXT1, pickle.EXT2, pickle.EXT4):
        del dispatch[opcode[0]]

    def __init__(self, data: bytes, file: str):
        super().__init__(io.BytesIO(data))
        self.file = file

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a name, or refuse it."""
        module = "builtins" if module == "__builtin__" else module
        if module in ("torch", "torch.storage") and name in STORAGES:
            return _StorageType(STORAGES[name])
        if module == "torch" and isinstance(vars(torch).get(name), torch.dtype):
            return vars(torch)[name]
        if module in ("torch._utils", "torch._tensor") and name in TENSOR_FUNCTIONS:
            return _Callable(TENSOR_FUNCTIONS[name])
        if (module, name) == ("collections", "OrderedDict"):
            return _Callable(OrderedDict)
        if module.split(".")[0] in SHELL_PACKAGES or name in SHELL_NAMES.get(module, ()):
            return _Callable(lambda *_, **__: _Shell())
        raise WeightsError(
            f"{self.file} wants to use {module}.{name}"[:200]
            + ", which is not on the list of harmless types: the "
            "file was refused and nothing in it was executed; ask its author for a plain state "
            "dict or safetensors"
        )

    def persistent_load(self, pid: Any) -> Storage:
        """Return the storage that a persistent id describes."""
        match pid:
            case ("storage", _StorageType(dtype=dtype), str(key), *_):
                return Storage(key, dtype)
        raise WeightsError(f"{self.file} holds an unknown kind of reference")

    def _call(self, function: Any, arguments: Any, options: Mapping[str, Any] | None = None) -> Any:
        if not isinstance(function, _Callable) or (function.make is OrderedDict and arguments):
            raise WeightsError(f"{self.file} wants to call something that is not callable here")
        return function.make(*arguments, **(options or {}))

    def load_reduce(self) -> None:
        """Call what may be called."""
        arguments = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], arguments)

    def load_newobj(self) -> None:
        """Make an instance: here, a call as well."""
        arguments = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], arguments)

    def load_newobj_ex(self) -> None:
        """Make an instance with keyword arguments."""
        options, arguments = self.stack.pop(), self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], arguments, options)

    def load_build(self) -> None:
        """Drop attributes: only tensors leave this module."""
        self.stack.pop()

    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.NEWOBJ[0]] = load_newobj
    dispatch[pickle.NEWOBJ_EX[0]] = load_newobj_ex
    dispatch[pickle.BUILD[0]] = load_build


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, dtype: Any) -> StoredTensor:
    dtype = storage.dtype if dtype is None and isinstance(storage, Storage) else dtype
    sound = (
        isinstance(storage, Storage)
        and isinstance(dtype, torch.dtype)
        and isinstance(shape, tuple)
        and isinstance(stride, tuple)
        and len(shape) == len(stride)
        and all(type(n) is int and 0 <= n < 2**48 for n in (offset, *shape, *stride))
    )
    if not sound:
        raise WeightsError("a tensor of the file is described by impossible numbers")
    return StoredTensor(storage, offset, shape, stride, dtype)


def _tensor_v2(storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> StoredTensor:
    return _tensor(storage, offset, shape, stride, None)


def _tensor_v3(
    storage: Any, offset: Any, shape: Any, stride: Any, _grad: Any, _hooks: Any, dtype: Any, *_: Any
) -> StoredTensor:
    return _tensor(storage, offset, shape, stride, dtype)


def _parameter(data: Any, *_: Any) -> Any:
    return data


TENSOR_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "_rebuild_tensor_v2": _tensor_v2,
    "_rebuild_tensor_v3": _tensor_v3,
    "_rebuild_parameter": _parameter,
    "_rebuild_parameter_with_state": _parameter,
}
