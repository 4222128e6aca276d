"""The difference view: cosine distance, whatever the bands."""

import numpy as np
import pytest
from tiny import TinySession
from torch.nn import functional as F

from explorer.core import ExplorerError
from explorer.views import VIEWS
from explorer.views.difference import distance
from explorer.views.rows import PairContext


def place(session, options, method):
    return PairContext(session, options(), "tiny", "Tiny", method)


@pytest.mark.parametrize("band", [2**27, 7 * 73 * 4 * 9])
def test_equals_the_cosine_distance(options, monkeypatch, band):
    monkeypatch.setattr("explorer.upsamplers.streaming.BAND_BYTES", band)
    session = TinySession()
    one, other = (place(session, options, method) for method in ("featup", "anyup"))
    found = distance(one, other)
    features = [p.resampler.features()[0] for p in (one, other)]
    assert np.abs(found - (1 - F.cosine_similarity(*features, dim=0)).numpy()).max() < 1e-5
    assert distance(one, one).max() < 1e-6


def test_panels_against_the_first_or_a_chosen_method(session, options):
    panels = VIEWS.create("difference").render(session, options(upsamplers=("bilinear", "anyup")))
    assert [p.column for p in panels] == ["Photo", "AnyUp vs Bilinear"]
    expected = distance(place(session, options, "anyup"), place(session, options, "bilinear"))
    assert dict(panels[1].metrics)["largest"] == f"{expected.max():.3f}"
    assert panels[1].colorbar.low == 0 and panels[1].image.shape == (61, 73, 3)
    chosen = options(upsamplers=("jbu", "bilinear", "anyup"), view={"reference": "anyup"})
    panels = VIEWS.create("difference").render(session, chosen)
    assert [p.column for p in panels[1:]] == ["Joint bilateral vs AnyUp", "Bilinear vs AnyUp"]
    assert panels[1].colorbar == panels[2].colorbar


def test_spaces_that_do_not_compare(session, options):
    panels = VIEWS.create("difference").render(session, options(upsamplers=("bilinear", "twisted")))
    assert "same space" in panels[1].error
    with pytest.raises(ExplorerError, match="two upsamplers"):
        VIEWS.create("difference").render(session, options(upsamplers=("bilinear",)))
