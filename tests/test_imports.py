"""Imports run one way, only the screen knows gradio, and no file is called utils."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Lowest first; a unit may import from lower layers only, so members of one layer never meet.
# A new file or folder in explorer/ gets its place here.
LAYERS = (
    ("core",),
    ("files", "imaging"),
    ("cli", "datasets", "image", "options", "resources"),
    ("weights",),
    ("backbones", "probes", "upsamplers"),
    ("citations", "estimates", "loading"),
    ("access_policy",),
    ("evaluation", "session", "training"),
    ("figure", "views"),
    ("catalogue", "evidence", "reproduce"),
    ("ui",),
    ("server",),
    ("commands",),
    ("__main__", "app"),
)
HEIGHT = {unit: height for height, layer in enumerate(LAYERS) for unit in layer}
MAY_IMPORT_GRADIO = ("ui", "server", "app")
BANNED_NAMES = ("utils", "util", "helpers", "helper", "manager", "managers", "misc", "common")


def sources(root: Path) -> list[Path]:
    return sorted((root / "explorer").rglob("*.py")) + [root / "app.py"]


def unit_of(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return parts[1] if parts[0] == "explorer" else parts[0]


def imported_modules(path: Path, root: Path) -> list[tuple[int, str]]:
    """Every absolute module name a file imports, wherever in the file, with its line."""
    package = path.relative_to(root).parent.parts
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*start, *([node.module] if node.module else [])])
            # The names may be submodules: "from explorer import hub" imports explorer.weights.
            found += [(node.lineno, f"{base}.{alias.name}") for alias in node.names]
    return found


def violations(root: Path) -> list[str]:
    """Every broken rule under a project root, one sentence each."""
    found = []
    for path in sources(root):
        unit, place = unit_of(path, root), path.relative_to(root).as_posix()
        if path.stem in BANNED_NAMES:
            found.append(f"{place}: name the file after the one thing it does")
        if unit == "__init__":
            height = -1  # the package's front door imports nothing until it is used
        elif unit in HEIGHT:
            height = HEIGHT[unit]
        else:
            found.append(f"{place}: {unit} has no layer yet; give it one in {Path(__file__).name}")
            continue
        for line, module in imported_modules(path, root):
            names = module.split(".")
            if names[0] in ("gradio", "gradio_client") and unit not in MAY_IMPORT_GRADIO:
                found.append(f"{place}:{line}: only ui/, server/ and app.py import gradio")
            if names[0] == "app":
                found.append(f"{place}:{line}: nothing imports app.py")
            if names[0] != "explorer" or unit == "app" or names[1] == unit:
                continue
            if names[1] not in HEIGHT:
                if names[1] != "__version__":
                    found.append(f"{place}:{line}: import {names[1]} from its own module")
            elif HEIGHT[names[1]] >= height:
                found.append(f"{place}:{line}: {unit} must not import explorer.{names[1]}")
    return found


def test_the_project_keeps_the_rules() -> None:
    assert violations(ROOT) == []


def test_layers_have_no_strangers() -> None:
    present = {unit_of(path, ROOT) for path in sources(ROOT)}
    assert len(HEIGHT) == sum(len(layer) for layer in LAYERS), "a unit stands in two layers"
    assert set(HEIGHT) <= present, f"no such files: {sorted(set(HEIGHT) - present)}"


@pytest.mark.parametrize(
    ("place", "code", "complaint"),
    [
        ("explorer/core/types.py", "import explorer.session", "must not import explorer.session"),
        ("explorer/core/types.py", "from explorer import weights", "core must not import"),
        (
            "explorer/imaging/photo.py",
            "from ..weights import fetch",
            "imaging must not import explorer.weights",
        ),
        ("explorer/views/pca.py", "from ..ui import grid", "views must not import explorer.ui"),
        ("explorer/views/pca.py", "from explorer.figure import Grid", "views must not import"),
        ("explorer/training/loop.py", "import explorer.views.pca", "training must not import"),
        ("explorer/training/loop.py", "import explorer.evaluation", "training must not import"),
        ("explorer/backbones/vit.py", "from explorer.upsamplers import UPSAMPLERS", "must not"),
        ("explorer/probes/linear.py", "def f():\n    import explorer.session", "must not import"),
        ("explorer/__init__.py", "from explorer.weights import fetch", "must not import"),
        ("explorer/session.py", "from explorer import load_backbone", "from its own module"),
        (
            "explorer/figure/sheet.py",
            "import gradio as gr",
            "only ui/, server/ and app.py import gradio",
        ),
        ("explorer/commands/list.py", "from gradio import Blocks", "only ui/, server/ and app.py"),
        ("explorer/commands/list.py", "import app", "nothing imports app.py"),
        ("explorer/views/utils.py", "", "name the file after the one thing it does"),
        ("explorer/novelty.py", "", "has no layer yet"),
    ],
)
def test_a_planted_violation_is_found(
    tmp_path: Path, place: str, code: str, complaint: str
) -> None:
    (tmp_path / "app.py").touch()
    planted = tmp_path / place
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_text(code)
    found = violations(tmp_path)
    assert len(found) == 1, found
    assert found[0].startswith(place)
    assert complaint in found[0]


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("app.py", "import gradio\nfrom explorer import load_backbone\nfrom explorer.ui import x"),
        ("explorer/ui/grid.py", "import gradio\nfrom explorer.session import Session"),
        ("explorer/upsamplers/anyup.py", "from explorer.upsamplers.base import Upsampler"),
        (
            "explorer/upsamplers/anyup.py",
            "from .base import Upsampler\nfrom ..imaging import resize",
        ),
        ("explorer/weights/fetch.py", "from explorer import __version__, core\nimport torch, os"),
    ],
)
def test_what_is_allowed_passes(tmp_path: Path, place: str, code: str) -> None:
    (tmp_path / "app.py").touch()
    kept = tmp_path / place
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(code)
    assert violations(tmp_path) == []
