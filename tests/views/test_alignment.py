"""The alignment view: what is seen when a network looks beside its cells, and when it does not."""

import re

import numpy as np
import pytest

from explorer.imaging import open_photo
from explorer.session import Options, Session
from explorer.ui.choices import example_photos
from explorer.ui.settings import Settings
from explorer.ui.tabs.compare import compared, sides
from explorer.views import VIEWS
from explorer.views.alignment import CENTRED, UNKNOWN, alignment_sentence, mirror_distance


@pytest.fixture(scope="module")
def session():
    return Session("cpu", allow_network=False)


def options(**given):
    photo = open_photo(example_photos()["astronaut"])
    return Options(photo, **({"backbones": ("efficientnet_lite0",), "output_size": 96} | given))


def test_alignment_takes_away_a_part_of_what_a_mirror_changes(session):
    panels = VIEWS.create("alignment").render(session, options())
    assert [panel.column for panel in panels] == ["Photo", "Not aligned", "Aligned"]
    plain, aligned = panels[1:]
    assert plain.colorbar == aligned.colorbar and plain.grid == aligned.grid
    assert "aligned by (6, 6) px" in aligned.caption and "aligned" not in plain.caption
    assert aligned.recipe["backbone"]["alignment"] == "aligned by (6, 6) px"
    before = mirror_distance(session, options(align=False), "efficientnet_lite0")
    after = mirror_distance(session, options(align=True), "efficientnet_lite0")
    assert after.mean() < 0.8 * before.mean()


def test_a_backbone_without_an_offset_has_one_map_and_says_so(session, monkeypatch):
    lite2 = options(backbones=("efficientnet_lite2",))
    panels = VIEWS.create("alignment").render(session, lite2)
    assert [panel.column for panel in panels] == ["Photo", "Not aligned"]
    assert panels[1].caption == CENTRED and not panels[1].error
    monkeypatch.setattr("explorer.backbones.alignment._declared", dict)
    assert VIEWS.create("alignment").render(session, lite2)[1].caption == UNKNOWN


def test_the_mirrored_photo_of_a_mirrored_photo_is_the_photo(session):
    photo = open_photo(example_photos()["astronaut"])
    mirrored = open_photo(np.ascontiguousarray(photo.pixels[:, ::-1]))
    one = mirror_distance(session, options(), "efficientnet_lite0")
    other = mirror_distance(session, Options(mirrored, output_size=96), "efficientnet_lite0")
    assert np.allclose(one, other[:, ::-1], atol=1e-4)


def test_comparing_two_methods_there_compares_their_colours(session):
    settings = Settings(view="alignment", upsamplers=("nearest", "bilinear"), output_size=96)
    chosen = options(upsamplers=settings.upsamplers)
    sides = "efficientnet_lite0/nearest", "efficientnet_lite0/bilinear"
    *_, status = list(compared(session, settings, chosen, *sides))[-1]
    assert status["kind"] == "done" and status["text"].startswith("PCA")


def test_aligned_and_plain_are_two_sides_of_one_comparison(session):
    settings = Settings(upsamplers=("bilinear",), output_size=96)
    chosen = options(upsamplers=settings.upsamplers)
    values = dict(sides(settings))
    pair = values["Bilinear"], values["Bilinear, not aligned"]
    *_, (swipe, apart, status) = compared(session, settings, chosen, *pair)
    assert "Bilinear | Bilinear, not aligned" in status["text"] and not apart["panels"]
    captions = [swipe["panels"][key]["caption"] for key in swipe["sides"]]
    assert "aligned by (6, 6) px" in captions[0] and "aligned" not in captions[1]
    assert list(dict(sides(Settings(align=False)))) == [
        label for label in dict(sides(Settings())) if "not aligned" not in label
    ]


def test_a_sentence_says_what_the_offset_means(session):
    said = alignment_sentence(session, options(), "efficientnet_lite0")
    assert "(6, 6) px" in said and said.endswith("once aligned.") and "\n" not in said
    before, after = (float(n) for n in re.findall(r"by (0\.\d+)", said))
    assert after < before
    two = alignment_sentence(session, options(), "efficientnet_lite2")
    assert "describe the pixels under them" in two and "aligned" not in two
