"""A wheel, installed elsewhere, holds all that the program needs: weights, examples, tables."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOAD_AND_DRAW = """
import explorer
from explorer import load_backbone, load_upsampler, open_photo
from explorer.bundled import EXAMPLES
from explorer.findings.results import results_folder

made = load_upsampler("anyup", backbone="efficientnet_lite0", device="cpu", allow_network=False)
print(explorer.__file__, made.checkpoint, EXAMPLES, len(list(results_folder().glob("*.json"))))
"""


def run(*words, folder, **more):
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH",)}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        **more,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir")
    run(sys.executable, "-m", "pip", "wheel", *options, folder, ROOT, folder=folder)
    (made,) = folder.glob("feature_upsampling_explorer-*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The bin folder of a fresh environment that borrows the dependencies installed here."""
    place = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", place, folder=place)
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = place / "bin" / "python"
    options = ("--quiet", "--no-deps", "--ignore-installed")
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, wheel, folder=place)
    return place / "bin"


@pytest.mark.slow
def test_the_wheel_holds_what_is_needed_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tracked = run("git", "ls-files", "checkpoints", "assets/examples", folder=ROOT).split()
    assert {f"explorer/_bundled/{name}" for name in tracked} <= set(names)
    assert "explorer/findings/published.json" in names
    assert all(name.startswith(("explorer/", "feature_upsampling_explorer-")) for name in names)
    assert wheel.stat().st_size < 25 * 2**20


@pytest.mark.slow
def test_an_installed_wheel_works_from_another_folder(installed, tmp_path):
    said = run(installed / "python", "-c", LOAD_AND_DRAW, folder=tmp_path).split()
    assert str(installed.parent) in said[0] and str(installed.parent) in said[2]
    assert said[1] == "anyup_efficientnet_lite" and int(said[3]) > 5
    program = installed / "feature-explorer"
    photo = Path(said[2]) / "cat.jpg"
    small = ["--input-size", "96", "--output-size", "72", "--upsamplers", "bilinear,anyup"]
    run(program, "figure", photo, *small, "--out", "cat.png", folder=tmp_path)
    assert (tmp_path / "cat.png").stat().st_size > 10_000
    assert "anyup_efficientnet_lite" in run(program, "list", "checkpoints", folder=tmp_path)
    assert "--port" in run(program, "app", "--help", folder=tmp_path)
