"""The registry: names and what they make."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Generic, TypeVar

from explorer.core.errors import ExplorerError, PluginError, unknown_name

T = TypeVar("T")


class Registry(Mapping[str, Callable[..., T]], Generic[T]):
    """Names and what they make; a duplicate name raises, an unknown one lists the choices.

    Names come by their entries' attribute ``order``, lowest first, equal ones by name; entries
    without one come last, as they were registered.
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._entries: dict[str, Callable[..., T]] = {}

    def discover(self, package: str, path: Iterable[str]) -> None:
        """Import every module of ``package``, so that each registers what it defines.

        Args:
            package: the package's dotted name.
            path: the folders of its modules, its ``__path__``.

        Raises:
            PluginError: a module that cannot be imported, named.
        """
        for module in pkgutil.iter_modules(path, f"{package}."):
            try:
                importlib.import_module(module.name)
            except PluginError:
                raise
            except Exception as error:
                what = f"{type(error).__name__}: {error}"
                raise PluginError(f"the module {module.name} cannot be imported: {what}") from error

    def register(self, name: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
        """Return a decorator that files a class or factory under ``name``."""
        if name in self._entries:
            raise ExplorerError(f"the {self.kind} {name!r} is registered twice")

        def file(entry: Callable[..., T]) -> Callable[..., T]:
            self._entries[name] = entry
            return entry

        return file

    def get(self, name: str) -> Callable[..., T]:
        """Return the entry called ``name``, or raise UnknownNameError naming the choices."""
        with suppress(KeyError, TypeError):  # what cannot be hashed is no name either
            return self._entries[self.resolve(name)]
        raise unknown_name(self.kind, name, self.names())

    def resolve(self, name: str) -> str:
        """Return ``name``, or the present name for one of the old ones in ``aliases``."""
        return self._renamed(name) or name

    def _renamed(self, name: object) -> str | None:
        """Return the name of the entry that declares ``name`` among its old ones."""
        known = (key for key, e in self._entries.items() if name in getattr(e, "aliases", ()))
        return None if name in self._entries else next(known, None)

    __getitem__ = get

    def create(self, name: str, **options: Any) -> T:
        """Make the entry called ``name`` with its own constructor's arguments."""
        return self.get(name)(**options)

    def names(self) -> list[str]:
        """Every registered name, in the order of menus."""

        def place(name: str) -> tuple[float, str]:
            order = getattr(self._entries[name], "order", None)
            return (float("inf"), "") if order is None else (order, name)

        return sorted(self._entries, key=place)

    def describe(self, name: str) -> str:
        """The first sentence of the entry's docstring: what menus and tables show."""
        text = (self.get(name).__doc__ or "").strip()
        return " ".join(text.split("\n\n")[0].split())

    def __contains__(self, name: object) -> bool:
        """Whether ``name`` is registered."""
        return name in self._entries or self._renamed(name) is not None

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self.names())

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self._entries)
