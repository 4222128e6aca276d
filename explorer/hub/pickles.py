"""Read the pickle inside a PyTorch checkpoint without executing anything in it.

A training script's checkpoint is a zip with ``data.pkl`` and one raw file per storage. Its pickle
may name any function to call, which is how a file of weights can run a program. Here nothing it
names is ever imported or called: tensors become descriptions of where their values lie, ordered
dictionaries come out empty to be filled, configuration classes (omegaconf, Lightning, numpy scalars
...) become shells that swallow what they are given, and every other name is refused.
`explorer.hub.archives` then reads the tensors that are asked for.
"""

from __future__ import annotations

import _compat_pickle
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
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": None,
}
SHELL_PACKAGES = (
    "addict",
    "easydict",
    "mmcv",
    "mmengine",
    "yacs",
    "omegaconf",
    "pytorch_lightning",
    "lightning",
    "lightning_fabric",
    "lightning_utilities",
    "numpy",
)
# Plain values and classes of the standard library, PyTorch's own values: what describes a run.
SHELL_NAMES = {
    "torch": ("Size", "Tensor", "device"),
    "torch.nn.parameter": ("Buffer", "Parameter"),
    "torch.serialization": ("_get_layout",),
    "torch.torch_version": ("TorchVersion",),
    "collections": ("ChainMap", "Counter", "UserDict", "UserList", "deque"),
    "typing": ("Any", "Optional", "Union"),
    "types": ("GenericAlias", "SimpleNamespace"),
    "_operator": ("getitem",),  # typing writes Optional[int] with it
    "argparse": ("Namespace",),
    "copyreg": ("_reconstructor", "__newobj__", "__newobj_ex__"),
    "datetime": ("date", "datetime", "time", "timedelta", "timezone"),
    "decimal": ("Decimal",),
    "fractions": ("Fraction",),
    "uuid": ("UUID",),
    "pathlib": (
        "Path",
        "PosixPath",
        "PurePath",
        "PurePosixPath",
        "PureWindowsPath",
        "WindowsPath",
    ),
    "_codecs": ("encode",),
    "builtins": (
        "Ellipsis",
        "NotImplemented",
        "bool",
        "bytearray",
        "bytes",
        "complex",
        "float",
        "frozenset",
        "int",
        "list",
        "object",
        "range",
        "set",
        "slice",
        "str",
        "tuple",
        "type",
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
        module, name = self._current_name(module, name)
        if module in ("torch", "torch.storage") and name in STORAGES:
            return _StorageType(STORAGES[name])
        if module == "torch" and isinstance(vars(torch).get(name), torch.dtype):
            return vars(torch)[name]
        if module in ("torch._utils", "torch._tensor") and name in TENSOR_FUNCTIONS:
            return _Callable(TENSOR_FUNCTIONS[name])
        if (module, name) == ("collections", "OrderedDict"):
            return _Callable(OrderedDict)
        if (module, name) in (("builtins", "dict"), ("collections", "defaultdict")):
            return _Callable(lambda *_, **__: {})
        if module.split(".")[0] in SHELL_PACKAGES or name in SHELL_NAMES.get(module, ()):
            return _Callable(lambda *_, **__: _Shell())
        raise WeightsError(
            f"{self.file} wants to use {module}.{name}"[:200]
            + ", which is not on the list of harmless types: the "
            "file was refused and nothing in it was executed; ask its author for a plain state "
            "dict or safetensors"
        )

    def _current_name(self, module: str, name: str) -> tuple[str, str]:
        """Return today's name of what protocols 0 to 2 write by its Python 2 name.

        torch.save writes protocol 2, and so ``int`` as ``__builtin__.long``, ``str`` as
        ``__builtin__.unicode``, ``range`` as ``__builtin__.xrange``. The table is the standard
        library's own.
        """
        if self.proto >= 3:
            return module, name
        if (module, name) in _compat_pickle.NAME_MAPPING:
            return _compat_pickle.NAME_MAPPING[module, name]
        return _compat_pickle.IMPORT_MAPPING.get(module, module), name

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


def _with_attributes(rebuild: Any, _type: Any, arguments: Any, *_: Any) -> Any:
    """Rebuild a tensor that carries attributes of its own, without them."""
    if not isinstance(rebuild, _Callable) or not isinstance(arguments, tuple):
        raise WeightsError("a tensor of the file is made in an unknown way")
    return rebuild.make(*arguments)


TENSOR_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "_rebuild_tensor_v2": _tensor_v2,
    "_rebuild_tensor_v3": _tensor_v3,
    "_rebuild_from_type_v2": _with_attributes,
    "_rebuild_parameter": _parameter,
    "_rebuild_parameter_with_state": _parameter,
}
