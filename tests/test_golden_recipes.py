"""Figures made at commit 97013fe restore to the same pixels: nothing that users hold may break.

The files in tests/golden were written by that commit from the photos in assets/examples; one of
them shows a panel with random weights that nobody had asked for by name.
"""

import base64
import io
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from explorer.__main__ import main
from explorer.figure import read_figure

GOLDEN = Path(__file__).parent / "golden"
EXAMPLES = Path(__file__).parents[1] / "assets" / "examples"
FIGURES = {
    "pca.png": "coffee",
    "attention.pdf": "coffee",
    "probe.svg": "astronaut",
    "insets.png": "china",
    "views.pdf": "cat",
    "untrained_pair.png": "coffee",
}


def pictures(path):
    """The figure's pixels: a PNG's own, a PDF's page, an SVG's embedded pictures."""
    if path.suffix == ".png":
        return [np.asarray(Image.open(path).convert("RGB"))]
    if path.suffix == ".pdf":
        if shutil.which("pdftoppm") is None:
            pytest.skip("no pdftoppm to look into a PDF")
        done = subprocess.run(["pdftoppm", "-r", "100", path], capture_output=True, check=True)
        return [np.asarray(Image.open(io.BytesIO(done.stdout)).convert("RGB"))]
    embedded = re.findall(r"data:image/png;base64,([^\"']+)", path.read_text())
    assert embedded
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(part))).convert("RGB"))
        for part in embedded
    ]


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_of_an_earlier_version_restores_to_the_same_pixels(name, tmp_path, capsys):
    old, new = GOLDEN / name, tmp_path / name
    photo = EXAMPLES / f"{FIGURES[name]}.jpg"
    second = ["--second", str(EXAMPLES / "flower.jpg")] if name == "views.pdf" else []
    made = ["figure", "--recipe", str(old), "--photo", str(photo), *second, "--out", str(new)]
    assert main(made) == 0
    said = capsys.readouterr().err
    assert "other weights" not in said and "no picture" not in said
    before, after = pictures(old), pictures(new)
    assert [p.shape for p in before] == [p.shape for p in after]
    for one, other in zip(before, after, strict=True):  # another processor may round differently
        differ = np.abs(one.astype(int) - other.astype(int))
        assert differ.mean() < 0.05 and np.percentile(differ, 99.9) <= 2
    kept = ("backbones", "upsamplers", "input_size", "output_size", "query", "photo", "views")
    was, now = read_figure(old)["recipe"], read_figure(new)["recipe"]
    assert {key: was[key] for key in kept} == {key: now[key] for key in kept}
    assert [w["sha256"] for w in was["weights"]] == [w["sha256"] for w in now["weights"]]
    assert read_figure(old)["style"] == read_figure(new)["style"]
