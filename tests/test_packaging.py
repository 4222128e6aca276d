"""The wheel: what is in it, and that an installed explorer needs nothing of the checkout."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from explorer import __version__
from explorer.files.bundled import CHECKPOINTS, EXAMPLES

ROOT = Path(__file__).parent.parent
BUNDLED = "explorer/_bundled"
MOST_MIB = 20
LIBRARIES = [path for path in sys.path if path.endswith("site-packages")]

pytestmark = pytest.mark.slow


def run(words, folder, **more):
    """Run a program away from the checkout; return what it printed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("EXPLORER", "PYTHON"))}
    environment |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"} | more
    done = subprocess.run(
        list(map(str, words)), cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(source, out, *kinds):
    words = [word for kind in kinds for word in ("-t", kind)]
    run([sys.executable, "-m", "hatchling", "build", "-d", out, *words], source)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the sdist of the checkout."""
    out = tmp_path_factory.mktemp("built")
    build(ROOT, out, "sdist", "wheel")
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The scripts' folder of a new environment with the wheel; libraries are this one's."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index"]
    run([*pip, built[0]], folder)
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = run([python, "-c", code], folder).strip()
    Path(own, "libraries.pth").write_text("\n".join(LIBRARIES))
    return scripts


def names(wheel):
    with zipfile.ZipFile(wheel) as file:
        return {name for name in file.namelist() if not name.endswith("/")}


def relative(folder, *patterns):
    return {p.relative_to(ROOT).as_posix() for pattern in patterns for p in folder.glob(pattern)}


def test_a_wheel_holds_the_program_its_data_and_nothing_else(built):
    code = {name for name in relative(ROOT / "explorer", "**/*.*") if not name.endswith(".pyc")}
    data = relative(ROOT / "checkpoints", "*") | relative(ROOT / "assets" / "examples", "*")
    data |= relative(ROOT / "docs" / "results", "**/*.json")
    assert len(code) > 100 and len(data) > 60
    found = {name for name in names(built[0]) if ".dist-info/" not in name}
    assert found == code | {f"{BUNDLED}/{name}" for name in data}
    assert built[0].stat().st_size < MOST_MIB * 2**20


def test_a_wheel_states_version_dependencies_and_licences(built):
    folder = f"feature_upsampling_explorer-{__version__}.dist-info"
    with zipfile.ZipFile(built[0]) as file:
        stated = file.read(f"{folder}/METADATA").decode().splitlines()
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    needed = [line.partition("#")[0].strip() for line in lines]
    head = "Requires-Dist: "
    found = {Requirement(line[len(head) :]) for line in stated if line.startswith(head)}
    assert found == {Requirement(line) for line in needed if line}
    licences = {f"{folder}/licenses/{name}" for name in ("LICENSE", "NOTICE", "assets/README.md")}
    assert licences <= names(built[0])


def test_a_wheel_from_the_sdist_is_the_same(built, tmp_path):
    with tarfile.open(built[1]) as file:
        file.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    build(source, tmp_path / "again", "wheel")
    (again,) = (tmp_path / "again").glob("*.whl")
    with zipfile.ZipFile(built[0]) as first, zipfile.ZipFile(again) as second:
        assert {f.filename: f.CRC for f in first.infolist()} == {
            f.filename: f.CRC for f in second.infolist()
        }


def test_an_installed_explorer_draws_a_figure_with_anyup(installed, tmp_path):
    code = """
import sys
from explorer import load_upsampler
from explorer.files import bundled
assert bundled.CHECKPOINTS.is_relative_to(sys.prefix)
print(load_upsampler("anyup", backbone="efficientnet_lite0", device="cpu").origin)
print(bundled.EXAMPLES / "coffee.jpg")
"""
    origin, photo = run([installed / "python", "-c", code], tmp_path).splitlines()
    assert origin == "trained here"
    figure = ["figure", photo, "--backbones", "efficientnet_lite0", "--upsamplers", "anyup"]
    small = ["--input-size", "64", "--output-size", "64", "--device", "cpu"]
    run([installed / "feature-explorer", *figure, *small, "--out", "figure.png"], tmp_path)
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_the_installed_commands_find_weights_and_results(installed, tmp_path):
    program = installed / "feature-explorer"
    listed = run([program, "list"], tmp_path)
    for card in CHECKPOINTS.glob("*.json"):
        assert card.stem in listed
    assert run([program, "claims"], tmp_path) == (ROOT / "docs" / "claims.md").read_text("utf-8")
    said = run([program, "app", "--help"], tmp_path)
    assert said.startswith("usage: feature-explorer app ") and "--trust-names" in said


def test_the_installed_page_offers_and_shows_the_examples(installed, tmp_path):
    code = """
from explorer.session import Session
from explorer.ui import choices, layout
from explorer.ui.photo_input import read_photo
layout.build(Session("cpu", allow_network=False))
for path in choices.example_photos().values():
    assert read_photo(str(path)).size
    print(path.name)
"""
    found = run([installed / "python", "-c", code], tmp_path).split()
    assert sorted(found) == sorted(path.name for path in EXAMPLES.iterdir())
