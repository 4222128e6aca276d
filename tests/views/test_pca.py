"""PCA view: one basis, one scale, fixed signs, the right projections."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.utils.extmath import svd_flip

from explorer.core import ExplorerError
from explorer.imaging import open_photo
from explorer.session import Options, Session
from explorer.views import VIEWS
from explorer.views.basis import Scale, fit
from explorer.views.pca import PCAView

METHODS = ("nearest", "bilinear", "jbu", "anyup")


@pytest.fixture(scope="module")
def photo():
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (6, 9, 3), dtype=np.uint8)
    return open_photo(small.repeat(20, 0).repeat(20, 1), "squares.png")


@pytest.fixture(scope="module")
def session():
    return Session("cpu", allow_network=False)


def options(photo, **changes):
    defaults = {"upsamplers": METHODS, "input_size": 96, "output_size": 75}
    return Options(photo, **(defaults | changes))


def test_basis_equals_scikit_learns():
    maps = [torch.randn(1, 10, 7, 5) * torch.arange(1, 11)[:, None, None] for _ in range(2)]
    basis = fit(maps, 6)
    cells = torch.cat([m.flatten(2)[0].T for m in maps]).double().numpy()
    oracle = PCA(6, svd_solver="full").fit(cells)
    _, components = svd_flip(None, oracle.components_.copy(), u_based_decision=False)
    assert np.abs(basis.weight.numpy() - components).max() < 1e-4
    assert np.abs(basis.mean.numpy() - oracle.mean_).max() < 1e-5
    assert np.abs(basis.explained.numpy() - oracle.explained_variance_ratio_).max() < 1e-6


def test_signs_do_not_depend_on_the_order_of_cells_or_on_luck():
    features = torch.randn(1, 12, 6, 8)
    basis = fit([features])
    again = fit([features.flip(-1)])
    assert torch.allclose(basis.weight, again.weight, atol=1e-5)
    largest = basis.weight.gather(1, basis.weight.abs().argmax(1, keepdim=True))
    assert (largest > 0).all()


def test_a_map_without_variance_is_grey():
    basis = fit([torch.ones(1, 4, 3, 3)])
    assert basis.explained.sum() == 0
    flat = torch.zeros(1, 3, 3, 3)
    assert (Scale.robust(flat, 1).paint(flat[0]) == 128).all()
    with pytest.raises(ExplorerError, match="two coarse cells"):
        fit([torch.ones(1, 4, 1, 1)])


def test_rows_and_columns_of_the_grid(session, photo):
    panels = VIEWS.create("pca").render(session, options(photo))
    assert [p.column for p in panels] == [
        "Photo",
        "Coarse",
        "Nearest",
        "Bilinear",
        "Joint bilateral",
        "AnyUp",
    ]
    assert {p.row for p in panels} == {"EfficientNet-Lite0"}
    assert all(p.error is None and p.image.dtype == np.uint8 for p in panels)
    assert panels[1].image.shape == (4, 6, 3)
    assert all(p.image.shape == (50, 75, 3) for p in panels if p.column != "Coarse")
    anyup = panels[-1]
    assert anyup.origin and anyup.recipe["upsampler"]["name"] == "anyup"
    assert panels[1].origin == "packaged" and "components 1, 2, 3" in panels[1].recipe["pca"]


def test_one_scale_for_all_methods(session, photo):
    """Nearest shows exactly the coarse colours: same basis, same scale."""
    panels = {p.column: p for p in VIEWS.create("pca").render(session, options(photo))}
    coarse, nearest = panels["Coarse"].image, panels["Nearest"].image
    rows = (np.arange(50) * 4) // 50
    cols = (np.arange(75) * 6) // 75
    assert (nearest == coarse[rows][:, cols]).all()


def test_colours_are_the_projected_features(session, photo):
    chosen = options(photo, view={"components": [2, 0, 5], "percentile": 3})
    setting = PCAView.params(chosen)
    colours, scale, basis = PCAView().projected(
        session, chosen, "efficientnet_lite0", "bilinear", setting
    )
    features = session.features(chosen, "efficientnet_lite0").data
    large = torch.nn.functional.interpolate(features, (50, 75), mode="bilinear")
    literal = torch.einsum(
        "kc,bchw->bkhw", basis.weight[[2, 0, 5]], large - basis.mean[:, None, None]
    )
    assert (colours - literal).abs().max() < 1e-3
    panel = PCAView().render(session, chosen)[3]
    assert np.array_equal(panel.image, scale.paint(colours[0]))


@pytest.mark.slow
def test_previews_come_first_and_are_replaced(session, photo):
    chosen = options(photo, upsamplers=("anyup",), output_size=256, input_size=128)
    stream = [p for p in PCAView().stream(session, chosen) if p.column == "AnyUp"]
    assert len(stream) == 2 and stream[0].caption.startswith("preview")
    assert [panel.preview for panel in stream] == [True, False]
    assert stream[0].seconds is None and stream[1].seconds > 0
    assert stream[0].image.shape[0] * 4 <= stream[1].image.shape[0] + 4
    assert len(PCAView().render(session, chosen)) == 3
    again = [p for p in PCAView().stream(session, chosen) if p.column == "AnyUp"]
    assert len(again) == 1 and np.array_equal(again[0].image, stream[1].image)


def test_what_fails_is_said_in_its_place(session, photo):
    chosen = options(
        photo, backbones=("efficientnet_lite0", "no_such_net"), upsamplers=("bilinear",)
    )
    panels = PCAView().render(session, chosen)
    failed = [p for p in panels if p.error]
    assert len(failed) == 1 and "no_such_net" in failed[0].error
    assert sum(p.error is None for p in panels) == 3
    panels = PCAView().render(session, options(photo, upsamplers=("bilinear", "no_such_method")))
    assert [p.column for p in panels if p.error] == ["no_such_method"]


@pytest.mark.parametrize(
    "view", [{"components": [0, 1]}, {"components": [0, 1, 99]}, {"percentile": 60}]
)
def test_settings_nobody_can_paint(session, photo, view):
    with pytest.raises(ExplorerError):
        VIEWS.create("pca").render(session, options(photo, view=view))


@pytest.mark.slow
def test_cheap_panels_come_first_then_all_previews_then_the_maps(photo):
    session = Session("cpu", allow_network=False)
    rows = ("efficientnet_lite0", "efficientnet_lite0:blocks.4")
    chosen = options(
        photo, backbones=rows, upsamplers=("anyup", "bilinear", "jafar"), output_size=256
    )
    chosen.checkpoints["jafar:efficientnet_lite0:blocks.4"] = "untrained"
    order = [
        (rows.index(panel.backbone), panel.method or panel.role, panel.preview)
        for panel in PCAView().stream(session, chosen)
    ]
    lead = [(row, role, False) for row in (0, 1) for role in ("photo", "coarse")]
    cheap = [(row, "bilinear", False) for row in (0, 1)]
    trained = [(row, method) for row in (0, 1) for method in ("anyup", "jafar")]
    previews = [(*pair, True) for pair in trained]
    assert order == lead + cheap + previews + [(*pair, False) for pair in trained]
    placed = [(rows.index(p.backbone), p.method) for p in PCAView().render(session, chosen)]
    methods = ("", "", "anyup", "bilinear", "jafar")
    assert placed == [(row, method) for row in (0, 1) for method in methods]
    # what is kept comes at once
    again = [p.method for p in PCAView().stream(session, chosen) if p.method]
    assert again == ["bilinear", "anyup", "jafar"] * 2


@pytest.mark.slow
def test_a_method_whose_preview_is_too_small_is_drawn_all_the_same(photo, session):
    """NAF refuses an output smaller than the grid, which only the preview is here."""
    asked = options(
        photo,
        upsamplers=("naf",),
        checkpoints={"naf": "untrained"},
        input_size=800,
        output_size=192,
    )
    rows, cols = (side // 4 for side in asked.output)
    height, width = session.features(asked, "efficientnet_lite0").grid
    assert rows < height and cols < width
    (made,) = [p for p in PCAView().stream(session, asked) if p.role == "method"]
    assert made.error is None and not made.preview
