"""A kind of probe is one file: menus, files, readings and pictures follow from its class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from plugins import plugged_in

from explorer import probes
from explorer.core import Panel
from explorer.imaging import open_photo
from explorer.probes import PROBES, load_probe, save_probe
from explorer.probes.base import CLASS, DIRECTION, SCALAR
from explorer.session import Options, Session
from explorer.ui.choices import probe_choices
from explorer.views import VIEWS
from explorer.weights import checkpoints

KIND = '''
from explorer.probes.base import PROBES, SCALAR, Prediction, Probe


@PROBES.register("height")
class HeightProbe(Probe):
    """Height above the ground, the first output times a scale."""

    kind, title, maps = "height", "Height", "depth"
    reading, quantity, unit, numbers = SCALAR, "height", "km", ("kilometres",)
    order = 15

    def __init__(self, weight, bias, scale=1.0, **about):
        super().__init__(weight, bias, **about)
        self.scale = scale

    @classmethod
    def arguments(cls, options, outputs):
        return {"scale": options["scale"]} if "scale" in options else {}

    def options(self):
        return {"scale": self.scale}

    def decode(self, logits):
        return Prediction(self.scale * logits[0])
'''
CARD = {"recipe": {"steps": 1}, "data": "none", "steps": 1, "seconds": 0.1, "seed": 0}
CARD |= {"versions": {"torch": "2"}, "scores": {"rmse": 0.5}, "licence": "research only"}
BACKBONE = "efficientnet_lite0"


@pytest.fixture
def height(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("EXPLORER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "checkpoints").mkdir()
    with plugged_in(PROBES, probes, tmp_path, "height", KIND) as module:
        made = module.HeightProbe(torch.randn(1, 192), torch.ones(1), 2.5, backbone=BACKBONE)
        save_probe(made, tmp_path / "checkpoints" / "our_height.safetensors", CARD)
        yield made


@pytest.mark.parametrize("kind", PROBES.names())
def test_every_kind_says_how_it_is_read(kind):
    entry = PROBES.get(kind)
    assert entry.kind == kind and entry.title and entry.maps and PROBES.describe(kind)
    assert entry.reading in (CLASS, SCALAR, DIRECTION)
    assert bool(entry.numbers) != (entry.reading == CLASS)
    assert len(entry.numbers) in (0, {SCALAR: 1, DIRECTION: 3}.get(entry.reading, 0))


def test_a_file_is_found_in_menus_and_in_files(height):
    assert PROBES.names()[:2] == ["segmentation", "height"]
    assert ("Height", "height") in probe_choices()
    (row,) = [row for row in checkpoints() if row.method == "height"]
    found = load_probe(row)
    assert type(found) is type(height) and found.scale == 2.5 and found.unit == "km"


def test_a_file_is_drawn_and_read_at_a_pixel(height, examples):
    photo = open_photo(examples / "cat.jpg")
    view = {"probe": "height", "opacity": 1.0}
    options = Options(photo, (BACKBONE,), ("nearest", "bilinear"), 128, 96)
    options = replace(options, query=(20, 30), view=view)
    session = Session("cpu", allow_network=False)
    panels = VIEWS.create("probe").render(session, options)
    drawn = [panel for panel in panels if panel.column in ("Nearest", "Bilinear")]
    assert len(drawn) == 2 and all(isinstance(p, Panel) and p.error is None for p in drawn)
    assert all(p.colorbar.label == "height (km)" for p in drawn)
    assert all(dict(p.metrics)["here"].endswith(" km") for p in drawn)
    assert not np.array_equal(drawn[0].image, drawn[1].image)
