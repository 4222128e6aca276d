"""The columns that read the backbone again: on screen, in Numbers, in an evaluation, in recipes."""

import numpy as np
import pytest
import torch
from PIL import Image

from explorer.__main__ import main
from explorer.access_policy import AccessPolicy
from explorer.backbones import read
from explorer.core import ONCE, ExplorerError
from explorer.evaluation.comparing import CompareRun
from explorer.evaluation.comparisons import COMPARISONS
from explorer.evaluation.methods import load_methods
from explorer.imaging import open_photo
from explorer.session import Options, Session
from explorer.ui.choices import example_photos
from explorer.upsamplers import UPSAMPLERS
from explorer.views import VIEWS
from explorer.views.measures import cost, reconstruction

BACKBONE = "efficientnet_lite0"
NAMES = [name for name in UPSAMPLERS if UPSAMPLERS.get(name).reading != ONCE]


@pytest.fixture(scope="module")
def session():
    return Session("cpu", allow_network=False)


@pytest.fixture(scope="module")
def options():
    return Options(open_photo(example_photos()["cat"]), (BACKBONE,), ("bilinear", *NAMES), 96, 96)


def test_they_are_bilinear_on_features_read_as_they_say(session, options):
    assert len(NAMES) == 4
    plain = session.resampler(options, BACKBONE, "bilinear").resampler.grid
    model = session.backbone(BACKBONE)
    for name in NAMES:
        made = session.resampler(options, BACKBONE, name)
        reading = made.upsampler.reading
        size = tuple(side * model.stride for side in plain)
        expected = read(model, options.photo.tensor, size, reading, options.align).data
        assert torch.equal(made.resampler.values, expected)
        finer = reading.factor * (2 if reading.interleaved else 1)
        assert made.resampler.grid == tuple(side * finer for side in plain)
        preview = session.preview(options, BACKBONE, name, 2)
        assert preview.grid == made.resampler.grid


def test_views_draw_them_and_keep_one_basis(session, options):
    panels = {panel.method: panel for panel in VIEWS.create("pca").render(session, options)}
    for name in NAMES:
        assert panels[name].error is None
        assert panels[name].recipe["pca"] == panels["bilinear"].recipe["pca"]


def test_numbers_count_the_backbones_time_and_reconstruct_nothing(session, options, monkeypatch):
    passes = []
    model = session.backbone(BACKBONE)
    real = model.extract
    monkeypatch.setattr(model, "extract", lambda *given: passes.append(1) or real(*given))
    for name in ("bilinear", *NAMES):
        passes.clear()
        method = session.upsampler(name, BACKBONE, options)
        cost(session, options, BACKBONE, method)
        reading = method.reading
        expected = (2 if reading.flipped else 1) * (4 if reading.interleaved else 1)
        assert len(passes) == (0 if reading == ONCE else expected)
        found = reconstruction(session, options, BACKBONE, method)
        assert all(isinstance(value, str) for value in found.values()) == (reading != ONCE)


def test_evaluations_leave_them_out_where_they_would_see_the_target(session):
    model = session.backbone(BACKBONE)
    methods = load_methods(["bilinear", *NAMES], model, BACKBONE, controls=())
    for name, kept in (("reconstruction", 1), ("edges", 1 + len(NAMES))):

        class OneProcess:
            is_main_process = True

        run = CompareRun(COMPARISONS.create(name), None, [], methods, None, None, OneProcess())
        assert len(run.methods) == kept


def test_a_figure_with_them_restores(options, tmp_path):
    first, again = tmp_path / "figure.png", tmp_path / "again.png"
    photo = str(example_photos()["cat"])
    sizes = ["--input-size", "96", "--output-size", "96"]
    drawn = [
        "figure",
        "--photo",
        photo,
        "--upsamplers",
        ",".join(NAMES),
        *sizes,
        "--out",
        str(first),
    ]
    assert main(drawn) == 0
    assert main(["figure", "--photo", photo, "--recipe", str(first), "--out", str(again)]) == 0
    assert (np.array(Image.open(first)) == np.array(Image.open(again))).all()


def test_a_photo_too_large_for_them_is_refused_in_one_sentence(options):
    limited = Session("cpu", allow_network=False, limits=AccessPolicy())
    big = Options(options.photo, (BACKBONE,), ("bilinear_x4",), 4096, 96)
    with pytest.raises(ExplorerError) as caught:
        limited.resampler(big, BACKBONE, "bilinear_x4")
    assert "\n" not in str(caught.value)
