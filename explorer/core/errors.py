"""The errors and warnings that users read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from explorer.core.messages import one_line, quoted, suggestion


class ExplorerError(ValueError):
    """Something a user can read and act on: what was wrong, what was expected, what to do."""

    def __str__(self) -> str:
        """Return the sentence on one line, whatever a file or a visitor put into it."""
        return one_line(str(self.args[0])) if self.args else ""


class ImageError(ExplorerError):
    """A file or array that cannot be used as a photo."""


class SizeError(ExplorerError):
    """A combination of sizes that a method cannot compute."""


class WeightsError(ExplorerError):
    """Weights that are missing, unreachable, damaged or do not fit."""


class WeightsWarning(UserWarning):
    """Weights that are used and are not what a user would expect: others are known to fit better,
    or their settings are assumed.
    """


class NoAttentionError(ExplorerError, NotImplementedError):
    """Attention was asked of a method that has none; its ``stencil`` still answers."""


class PluginError(ExplorerError, ImportError):
    """A module of plug-ins that cannot be imported."""


class UnknownNameError(ExplorerError, KeyError):
    """A name that no registry entry carries."""


def unknown_name(kind: str, name: Any, choices: Iterable[str]) -> UnknownNameError:
    """Return the error for a name that is none of ``choices``; it suggests the nearest one."""
    return UnknownNameError(
        f"there is no {kind} called {quoted(name, 60)}; {suggestion(name, choices)}"
    )
