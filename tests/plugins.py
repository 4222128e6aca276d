"""A plug-in for the length of a test, found as one that lies in the package's folder."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from explorer.core import Registry


@contextmanager
def plugged_in(
    registry: Registry, package: ModuleType, folder: Path, name: str, code: str
) -> Iterator[ModuleType]:
    """Write ``code`` to ``folder``/NAME.py, let the registry find it as a module of ``package`` and
    forget it afterwards.
    """
    (folder / f"{name}.py").write_text(code, "utf-8")
    entries, path, module = registry._entries, package.__path__, f"{package.__name__}.{name}"
    registry._entries, package.__path__ = dict(entries), [*path, str(folder)]
    try:
        registry.discover(package.__name__, package.__path__)
        yield sys.modules[module]
    finally:
        registry._entries, package.__path__ = entries, path
        sys.modules.pop(module, None)
        vars(package).pop(name, None)


def contract_tests(path: Path, name: str) -> Iterator[tuple[Callable, Mapping[str, Any]]]:
    """Yield the tests of a contract file, read again now, that it runs for the entry ``name``, and
    the arguments of each: the last values of further parameters.
    """
    spec = importlib.util.spec_from_file_location(f"{path.stem}_of_{name}", path)
    contract = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(contract)
    for test in [value for key, value in vars(contract).items() if key.startswith("test_")]:
        given = [{}]
        for mark in getattr(test, "pytestmark", ()):
            if mark.name == "parametrize":
                given = [old | new for old in given for new in _values(mark, name)]
        if given and any(case.get("name") == name for case in given):
            assert set(given[-1]) == set(inspect.signature(test).parameters), test.__name__
            yield test, given[-1]


def _values(mark: Any, name: str) -> list[dict[str, Any]]:
    """Return the cases of one ``parametrize``: those of ``name`` alone if it tells names."""
    keys = mark.args[0]
    keys = [key.strip() for key in keys.split(",")] if isinstance(keys, str) else keys
    plain = [value for value in mark.args[1] if not hasattr(value, "marks")]
    cases = [dict(zip(keys, v if len(keys) > 1 else (v,), strict=True)) for v in plain]
    return [case for case in cases if case.get("name", name) == name]
