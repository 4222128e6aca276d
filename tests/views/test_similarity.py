"""Similarity equals the cosine computed from all features, by every route."""

import json

import numpy as np
import pytest
import torch
from tiny import METHODS, TinySession
from torch.nn import functional as F

from explorer.session import Session
from explorer.views import VIEWS, palette
from explorer.views.similarity import SimilarityView

ALL = (*METHODS, "twisted")


def literal(session, asked, seen, method):
    """Cosine of every pixel of ``seen`` with the query pixel of ``asked``, from all features."""
    row, col = asked.query
    query = session.resampler(asked, "tiny", method).resampler.features()[0, :, row, col]
    pixels = session.resampler(seen, "tiny", method).resampler.features()[0]
    return F.cosine_similarity(pixels, query[:, None, None], dim=0).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("budget", [2**31, 2**20])
def test_equals_the_cosine_of_all_features(options, budget):
    session = TinySession(budget_bytes=budget)  # the small one keeps no features
    chosen = options(upsamplers=ALL)
    seen = {}
    view = SimilarityView()
    original = view.paint
    view.paint = lambda place, measured, scale: (
        seen.update({place.method: measured}) or original(place, measured, scale)
    )
    panels = view.render(session, chosen)
    assert not any(panel.error for panel in panels) and len(panels) == 1 + len(ALL)
    for method in ALL:
        expected = literal(session, chosen, chosen, method)
        assert np.abs(seen[method].cosine - expected).max() < 1e-5
        assert seen[method].cosine[20, 50] == pytest.approx(1, abs=1e-5)


def test_a_click_reads_no_features_again(options, monkeypatch):
    session = TinySession()
    view = VIEWS.create("similarity")
    view.render(session, options(upsamplers=("jafar", "anyup", "jbu", "featup", "bicubic")))

    def fail(*_):
        raise AssertionError("all channels were upsampled again")

    for method in ("jafar", "anyup", "jbu", "featup", "bicubic"):
        resampler = session.resampler(options(), "tiny", method).resampler
        monkeypatch.setattr(resampler, "features", fail)
        if resampler.projection_costs_all_channels:
            monkeypatch.setattr(resampler, "apply", fail)
    chosen = options(upsamplers=("jafar", "anyup", "jbu", "featup", "bicubic"), query=(3, 9))
    assert not any(panel.error for panel in view.render(session, chosen))


def test_features_of_length_zero_are_like_nothing(session, options):
    chosen = options(upsamplers=("bilinear",))
    assert not session.similar(chosen, "tiny", "bilinear", torch.zeros(7)).any()


def test_colours_threshold_and_numbers(session, options):
    chosen = options(upsamplers=("bilinear",), view={"threshold": 0.8, "low": 0.1})
    photo, panel = VIEWS.create("similarity").render(session, chosen)
    cosine = literal(session, chosen, chosen, "bilinear")
    below = cosine < 0.8 - 1e-5
    above = cosine > 0.8 + 1e-5
    assert (panel.image[below] == palette.backdrop(photo.image)[below]).all()
    colours = palette.look_up(palette.SEQUENTIAL, cosine, 0.1, 1)
    assert np.abs(panel.image[above].astype(int) - colours[above]).max() <= 4
    assert dict(panel.metrics)["above"] == f"{100 * (cosine >= 0.8).mean():.1f}%"
    assert (panel.colorbar.low, panel.colorbar.high) == (0.1, 1)
    assert panel.marker == photo.marker == (20.5 / 61, 50.5 / 73)


def test_one_scale_for_the_row(session, options):
    panels = VIEWS.create("similarity").render(session, options())[1:]
    assert len({panel.colorbar for panel in panels}) == 1
    own = VIEWS.create("similarity").render(session, options(view={"scale": "own"}))[1:]
    assert len({panel.colorbar for panel in own}) > 1


def test_a_second_photo_has_its_own_row_and_best_match(session, options, other_photo):
    chosen = options(upsamplers=("bilinear", "anyup"))
    panels = VIEWS.create("similarity", second=other_photo).render(session, chosen)
    assert [(p.row, p.column) for p in panels] == [
        ("Tiny", "Photo"),
        ("Tiny → others.png", "Photo"),
        ("Tiny", "Bilinear"),
        ("Tiny", "AnyUp"),
        ("Tiny → others.png", "Bilinear"),
        ("Tiny → others.png", "AnyUp"),
    ]
    assert panels[0].marker and not panels[1].marker
    assert [panel.queried for panel in panels] == [True, False, True, True, False, False]
    for method, panel in (("bilinear", panels[4]), ("anyup", panels[5])):
        cosine = literal(session, chosen, chosen.with_photo(other_photo), method)
        best = np.unravel_index(cosine.argmax(), cosine.shape)
        assert panel.marker == ((best[0] + 0.5) / 61, (best[1] + 0.5) / 73)
        assert dict(panel.metrics)["best"].startswith(f"{cosine.max():.3f} at ")
        recipe = json.loads(json.dumps(panel.recipe))
        assert recipe["query_photo"]["sha256"] == chosen.photo.digest
        assert recipe["photo"]["sha256"] == other_photo.digest and recipe["query"] == [20, 50]


def test_a_photo_matches_itself(session, options, photo):
    panels = VIEWS.create("similarity", second=photo).render(
        session, options(upsamplers=("anyup",))
    )
    assert panels[-1].marker == (20.5 / 61, 50.5 / 73)


def test_norms_are_streamed_in_bands(options, monkeypatch):
    monkeypatch.setattr("explorer.upsamplers.streaming.BAND_BYTES", 7 * 73 * 4 * 5)
    session = TinySession(budget_bytes=2**20)
    assert isinstance(session, Session)
    for method in ("featup", "anyup"):
        norms = session.norms(options(), "tiny", method)
        whole = session.resampler(options(), "tiny", method).resampler.features()
        assert norms.shape == (1, 61, 73) and (norms - whole.norm(dim=1)).abs().max() < 1e-5
