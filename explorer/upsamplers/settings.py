"""What of an upsampler changes its results beside its weights: constructor arguments and
attributes, for cache keys and for files of weights.
"""

from __future__ import annotations

import hashlib
import inspect
import operator
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

# They name the weights; they do not change a result.
PROVENANCE = ("origin", "checkpoint", "digest", "fallback_for", "settings_assumed")
_PLAIN = (bool, int, float, str, type(None), tuple, list, dict)
_DIGESTS: WeakKeyDictionary[nn.Module, tuple[list[Any], str]] = WeakKeyDictionary()
# They describe a method's class where an instance overrules it.
_IGNORED = frozenset((*PROVENANCE, "fallback_since", "constructor_arguments"))


def constructor_arguments(kind: type, args: tuple, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return every argument of ``kind(*args, **options)`` by name, defaults included; {} if they do
    not fit, which the constructor itself will say.
    """
    signature = inspect.signature(kind.__init__)
    try:
        bound = signature.bind(None, *args, **options)
    except TypeError:
        return {}
    bound.apply_defaults()
    (_, *arguments) = bound.arguments.items()
    found: dict[str, Any] = {}
    for name, value in arguments:
        variadic = signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
        found |= value if variadic else {name: value}
    return found


def public_attributes(module: nn.Module) -> dict[str, Any]:
    """Return what was set on a module itself, without parameters, buffers, submodules and
    provenance; ``training`` is among them, as dropout depends on it.
    """
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and name not in _IGNORED
    }


def current_settings(module: nn.Module, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the constructor's arguments as they are now, and all other public attributes: an
    attribute of an argument's name tells its present value.
    """
    return dict(arguments) | public_attributes(module)


def settings_digest(module: nn.Module, arguments: Mapping[str, Any]) -> str:
    """Return 16 hex digits of all settings, those of submodules included.

    Every cache key asks for them, so they are remembered until any attribute is another object;
    only where all of them are immutable, so that none can change and stay the same object.
    """
    seen = _attributes_of_all(module, arguments)
    before = _DIGESTS.get(module)
    if before and len(seen) == len(before[0]) and all(map(operator.is_, seen, before[0])):
        return before[1]
    now = current_settings(module, arguments)
    parts = [[("", name, freeze(now[name])) for name in sorted(now)]]
    for path, part in module.named_modules():
        attributes = public_attributes(part)
        parts.append([(path, name, freeze(attributes[name])) for name in sorted(attributes)])
    found = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    if all(map(_is_immutable, seen)):
        _DIGESTS[module] = seen, found
    else:
        _DIGESTS.pop(module, None)
    return found


def _attributes_of_all(module: nn.Module, arguments: Mapping[str, Any]) -> list[Any]:
    """Return the submodules, names and values that ``settings_digest`` reads, in order; written
    for speed.
    """
    found = [*arguments.keys(), *arguments.values()]
    for part in module.modules():
        if part is not module:
            found.append(part)
        for item in vars(part).items():
            if item[0][0] != "_" and item[0] not in _IGNORED:
                found += item
    return found


def _is_immutable(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_immutable, value))
    return isinstance(value, bool | int | float | str | type(None) | nn.Module)


def changed_attributes(module: nn.Module, other: nn.Module) -> list[str]:
    """Return the names of the public attributes in which two modules of one kind differ, those of
    submodules included; ``training`` apart, and objects whose values cannot be compared.
    """
    parts = dict(other.named_modules())
    return [
        ".".join(filter(None, (path, name)))
        for path, part in module.named_modules()
        for name, value in public_attributes(part).items()
        if name != "training"
        and isinstance(value, _PLAIN)
        and freeze(value) != freeze(getattr(parts.get(path), name, None))
    ]


def freeze(value: Any) -> Any:
    """Return ``value`` as something hashable whose ``repr`` tells different values apart; tensors
    by their bytes.
    """
    if isinstance(value, bool | int | float | str | type(None)):
        return value
    if isinstance(value, Tensor):
        data = value.detach().cpu().contiguous()
        raw = data.reshape(-1).view(torch.uint8).numpy().tobytes() if data.numel() else b""
        return str(data.dtype), tuple(data.shape), hashlib.sha256(raw).hexdigest()
    if isinstance(value, Mapping):
        return tuple(sorted((str(key), freeze(item)) for key, item in value.items()))
    if isinstance(value, set | frozenset):
        return tuple(sorted(map(repr, map(freeze, value))))
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value)
    if inspect.isroutine(value) or inspect.isclass(value):
        return f"{value.__module__}.{value.__qualname__}"
    return repr(value)


class HasParameters:
    """``trained`` of an upsampler: whether it has parameters, on a class or on an instance.

    A class is built once, without memory for its weights, to find out; one that cannot be built so
    counts as trained, so that random weights are never called training-free.
    """

    def __init__(self) -> None:
        self.known: dict[type, bool] = {}

    def __get__(self, instance: nn.Module | None, kind: type) -> bool:
        """Return whether there is anything to learn."""
        if instance is not None and "_parameters" in vars(instance):
            return next(instance.parameters(), None) is not None
        if kind not in self.known:
            self.known[kind] = _has_parameters(kind)
        return self.known[kind]


def _has_parameters(kind: type) -> bool:
    try:
        with torch.device("meta"):
            return next(kind(**kind.options_for(64)).parameters(), None) is not None
    except Exception:
        return True
