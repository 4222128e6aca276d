"""The probe view: what it paints, what it says, and that it agrees with the probe itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from explorer.core import ExplorerError
from explorer.datasets import ClassSet
from explorer.imaging import open_photo
from explorer.probes import DepthProbe, NormalsProbe, SegmentationProbe, Stroke, save_probe
from explorer.session import Options, Session
from explorer.views import VIEWS
from explorer.views.predictions import at_query, label_map
from explorer.views.rows import PairContext

BACKBONE = "efficientnet_lite0"
COLOURS = ((200, 60, 50), (60, 170, 80), (60, 80, 200))
CARD = {
    "recipe": {"steps": 1},
    "data": "none",
    "steps": 1,
    "seconds": 0.1,
    "seed": 0,
    "versions": {"torch": "2"},
    "scores": {},
    "licence": "none",
}


@pytest.fixture(scope="module")
def photo():
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 255, (6, 8, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    return open_photo(pixels, "squares.png")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("EXPLORER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "checkpoints"


def draw(kind, outputs=3):
    generator = torch.Generator().manual_seed(3)
    about = {"backbone": BACKBONE, "stage": "blocks.5", "name": f"probe_{kind}"}
    weight = torch.randn(outputs, 192, generator=generator)
    bias = torch.zeros(outputs)
    if kind == "segmentation":
        classes = ClassSet(("sky", "ground", "ball"), COLOURS)
        return SegmentationProbe(weight, bias, classes, **about)
    return {"depth": DepthProbe, "normals": NormalsProbe}[kind](weight, bias, **about)


@pytest.fixture
def shipped(folder):
    """One probe of every kind for the packaged backbone."""
    for kind, outputs in (("segmentation", 3), ("depth", 256), ("normals", 3)):
        save_probe(draw(kind, outputs), folder / f"probe_{kind}.safetensors", CARD)
    return folder


@pytest.fixture(scope="module")
def session():
    return Session("cpu", allow_network=False)


def options(photo, methods=("bilinear", "nearest"), query=None, **view):
    return Options(photo, (BACKBONE,), methods, 128, 128, query=query, view=view)


def render(session, chosen):
    session.models.clear()
    session.results.clear()
    return {panel.column: panel for panel in VIEWS.create("probe").render(session, chosen)}


def place(session, chosen, method="bilinear"):
    return PairContext(session, chosen, BACKBONE, "row", method)


def test_classes_are_painted_in_their_colours_with_their_shares(shipped, session, photo):
    chosen = options(photo, opacity=1.0)
    panels = render(session, chosen)
    assert list(panels) == ["Photo", "Bilinear", "Nearest"]
    values, probe = label_map(place(session, chosen))
    image = panels["Bilinear"].image
    assert image.shape == (96, 128, 3)
    assert (image == np.array(COLOURS, np.uint8)[values.numpy()]).all()
    legend = panels["Bilinear"].legend
    shares = {name.split(" ")[0]: name.split(" ")[1] for name, _ in legend}
    for number, name in enumerate(("sky", "ground", "ball")):
        share = (values == number).float().mean().item()
        if share:
            assert shares[name] == (f"{100 * share:.1f}%" if share >= 0.001 else "<0.1%")
    assert [c for _, c in legend] == [
        COLOURS[k] for k in np.argsort(-np.bincount(values.flatten().numpy()), kind="stable")
    ][: len(legend)]
    assert "probe_segmentation (trained here)" in panels["Bilinear"].caption
    assert panels["Bilinear"].recipe["probe"]["sha256"] == probe.digest


def test_opacity_mixes_with_the_photo(shipped, session, photo):
    clear = render(session, options(photo, opacity=0.0))
    assert (clear["Bilinear"].image == clear["Photo"].image).all()
    with pytest.raises(ExplorerError, match="opacity must be a number from 0 to 1"):
        render(session, options(photo, opacity=2))


def test_a_legend_without_shares_is_the_same_for_all_methods(shipped, session, photo):
    panels = render(session, options(photo, shares=False))
    assert {name for name, _ in panels["Bilinear"].legend} <= {"sky", "ground", "ball"}


def test_the_crosshair_says_what_the_panel_shows(shipped, session, photo):
    chosen = options(photo, query=(40, 77), opacity=1.0)
    panels = render(session, chosen)
    bars = at_query(place(session, chosen))
    assert sum(value for _, value in bars) == pytest.approx(1, abs=1e-5)
    name = bars[0][0]
    colour = dict(zip(("sky", "ground", "ball"), COLOURS, strict=True))[name]
    assert tuple(panels["Bilinear"].image[40, 77]) == colour


def test_confidence_has_a_scale_of_its_own(shipped, session, photo):
    panel = render(session, options(photo, show="confidence"))["Bilinear"]
    assert (panel.colorbar.low, panel.colorbar.high) == (0, 1)
    assert panel.metrics[0][0] == "mean confidence"
    panel = render(session, options(photo, probe="depth", show="confidence"))["Bilinear"]
    assert "cannot tell how sure it is" in panel.error


def test_disagreement_marks_the_pixels_that_differ(shipped, session, photo):
    chosen = options(photo, show="disagreement")
    panels = render(session, chosen)
    assert list(panels) == ["Photo", "Nearest vs Bilinear"]
    one, other = (label_map(place(session, chosen, m))[0] for m in ("bilinear", "nearest"))
    differs = (one != other).numpy()
    image = panels["Nearest vs Bilinear"].image
    red = (image == (226, 70, 60)).all(axis=2)
    assert (red == differs).all() and differs.any()
    assert panels["Nearest vs Bilinear"].metrics[0][1] == f"{100 * differs.mean():.1f}%"
    for kind, unit in (("depth", "m"), ("normals", "°")):
        panels = render(session, options(photo, probe=kind, show="disagreement"))
        assert panels["Nearest vs Bilinear"].colorbar.label == f"difference ({unit})"
    alone = options(photo, ("bilinear",), show="disagreement")
    with pytest.raises(ExplorerError, match="two upsamplers"):
        render(session, alone)
    with pytest.raises(ExplorerError, match="not among the upsamplers"):
        render(session, options(photo, show="disagreement", reference="x"))


def test_depths_share_one_scale_in_metres(shipped, session, photo):
    panels = render(session, options(photo, probe="depth"))
    bars = [panels[name].colorbar for name in ("Bilinear", "Nearest")]
    assert bars[0].label == "distance (m)" and bars[0] == bars[1]
    assert 0 < bars[0].low < bars[0].high < 10
    assert at_query(place(session, options(photo, probe="depth")))[0][0] == "metres"


def test_normals_have_the_usual_colours(folder, session, photo):
    for number, (vector, colour) in enumerate(
        (((0, 0, -1), (128, 128, 255)), ((1, 0, 0), (255, 128, 128)), ((0, -1, 0), (128, 255, 128)))
    ):
        probe = NormalsProbe(
            torch.zeros(3, 192), torch.tensor(vector).float(), backbone=BACKBONE, stage="blocks.5"
        )
        save_probe(probe, folder / f"n{number}.safetensors", CARD)
        panel = render(session, options(photo, probe=f"n{number}", opacity=1.0))["Bilinear"]
        assert np.abs(panel.image[5, 5].astype(int) - colour).max() <= 1
    assert panel.legend[0][0] == "faces you"


def test_a_photo_from_elsewhere_is_said_to_be_so(folder, session, photo):
    for usual, doubts in ((0.999, True), (0.01, False)):
        probe = draw("segmentation")
        probe.weight *= 0.05
        probe.usual_confidence = usual
        save_probe(probe, folder / "probe_segmentation.safetensors", CARD)
        panel = render(session, options(photo))["Bilinear"]
        assert ("low confidence" in panel.caption) == doubts


def test_without_a_probe_one_sentence_says_what_to_do(folder, session, photo):
    panel = render(session, options(photo))["Bilinear"]
    assert panel.error.startswith("there is no segmentation probe for efficientnet_lite0 here")
    assert "--save-probe" in panel.error
    panel = render(session, options(photo, probe="../../secret"))["Bilinear"]
    assert "there is no probe called" in panel.error
    wrong = draw("segmentation")
    wrong.backbone = "efficientnet_lite1"
    save_probe(wrong, folder / "other.safetensors", CARD)
    panel = render(session, options(photo, probe="other"))["Bilinear"]
    assert "reads efficientnet_lite1:blocks.5, not efficientnet_lite0" in panel.error


def test_scribbles_label_every_method(folder, session, photo):
    strokes = [
        Stroke("left", COLOURS[0], ((0.1, 0.1), (0.9, 0.1)), 0.03).to_json(),
        Stroke("right", COLOURS[1], ((0.1, 0.9), (0.9, 0.9)), 0.03).to_json(),
    ]
    chosen = options(photo, probe="scribble", strokes=strokes, opacity=1.0, query=(50, 12))
    panels = render(session, chosen)
    for name in ("Bilinear", "Nearest"):
        assert not panels[name].error
        assert tuple(panels[name].image[48, 12]) == COLOURS[0]
        assert tuple(panels[name].image[48, 115]) == COLOURS[1]
    assert at_query(place(session, chosen))[0][0] == "left"
    assert panels["Bilinear"].recipe["strokes"] == strokes
    panel = render(session, options(photo, probe="scribble"))["Bilinear"]
    assert panel.error == "paint a stroke for each of at least two classes"
    panel = render(session, options(photo, probe="scribble", strokes=[{"a": 1}]))["Bilinear"]
    assert "this is not one" in panel.error
