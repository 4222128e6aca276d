"""Files that come with the program but are no code: shipped weights, example photos, result tables.

In a checkout they lie beside the package; in an installed one they lie in ``explorer/_bundled``,
where the wheel puts them (see ``pyproject.toml``).
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent
_INSTALLED = _PACKAGE / "_bundled"


def bundled(name: str) -> Path:
    """Return the folder "checkpoints", "assets/examples" or "docs/results"."""
    return (_INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent) / name


CHECKPOINTS = bundled("checkpoints")
EXAMPLES = bundled("assets/examples")
RESULTS = bundled("docs/results")
