"""The zip for LaTeX: separate pictures, a snippet that sets them, citations."""

from __future__ import annotations

import io
import json
import re
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from explorer.citations import bibtex, citation_keys, cite, keys_for, sources
from explorer.core import ExplorerError, Panel
from explorer.figure import (
    DOUBLE,
    SINGLE,
    FigureStyle,
    latex_escape,
    panels_zip,
    read_recipe,
)


def noise(seed: int, height: int = 6, width: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


PANELS = [
    Panel("../DINOv2 50%", "../../etc/passwd", noise(0), recipe={"upsampler": "anyup"}),
    Panel("../DINOv2 50%", "JAFAR_{x}", noise(1), metrics=(("mIoU", "61 %"),)),
    Panel("caf\u00e9", "../../etc/passwd", noise(2), origin="untrained"),
    Panel("caf\u00e9", "JAFAR_{x}", noise(3), error="no weights"),
]


def unpack(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {item.date_time for item in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_zip_holds_every_picture_losslessly():
    files = unpack(panels_zip(PANELS, FigureStyle(), {"photo": "x.jpg"}))
    pictures = [name for name in files if name.endswith(".png")]
    assert pictures == [
        "panels/01-dinov2-50-etc-passwd.png",
        "panels/02-dinov2-50-jafar-x.png",
        "panels/03-cafe-etc-passwd.png",
    ]
    assert sorted(set(files) - set(pictures)) == ["citations.bib", "figure.tex", "recipe.json"]
    for name, panel in zip(pictures, PANELS, strict=False):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(files[name]))), panel.image)
        assert read_recipe(files[name]) == {"photo": "x.jpg"}
    assert json.loads(files["recipe.json"])["recipe"] == {"photo": "x.jpg"}
    bib = files["citations.bib"].decode()
    assert [k for k in ("oquab2023dinov2", "wimmer2025anyup", "couairon2025jafar") if k in bib]
    assert bib.count("@") == 3


def test_the_zip_is_deterministic():
    assert panels_zip(PANELS) == panels_zip(PANELS)


def test_the_snippet_sets_every_picture_once():
    files = unpack(panels_zip(PANELS, FigureStyle(width_in=DOUBLE)))
    tex = files["figure.tex"].decode()
    assert re.findall(r"\\includegraphics\[[^]]*\]\{([^}]*)\}", tex) == [
        name for name in files if name.endswith(".png")
    ]
    assert tex.count(r"\begin{subfigure}") == tex.count(r"\end{subfigure}") == 3
    assert r"\begin{figure*}" in tex and r"\end{figure*}" in tex
    assert r"../DINOv2 50\%, JAFAR\_\{x\}; mIoU 61 \%" in tex
    assert "(untrained)" in tex
    assert r"\cite{oquab2023dinov2,wimmer2025anyup,couairon2025jafar}" in tex
    widths = [float(w) for w in re.findall(r"\[t\]\{([\d.]+)\\linewidth", tex)]
    assert sum(widths[:2]) < 1
    assert balanced(tex)
    assert tex.count(r"\end{minipage}") == 1  # the failed panel leaves its place empty
    assert "% caf\u00e9 / JAFAR_{x}: no weights\n" in tex
    single = unpack(panels_zip(PANELS, FigureStyle(width_in=SINGLE)))["figure.tex"].decode()
    assert r"\begin{figure}[t]" in single


def test_the_snippet_follows_selection_and_transposition():
    style = FigureStyle(
        columns=("JAFAR_{x}",), rows=("../DINOv2 50%",), names=(("JAFAR_{x}", "J"),)
    )
    files = unpack(panels_zip(PANELS, style))
    assert [name for name in files if name.endswith(".png")] == ["panels/01-dinov2-50-jafar-x.png"]
    assert r"\caption{J; mIoU 61 \%}" in files["figure.tex"].decode()
    turned = unpack(panels_zip(PANELS, FigureStyle(transposed=True)))
    assert "panels/02-cafe-etc-passwd.png" in turned


def balanced(tex: str) -> bool:
    bare = re.sub(r"\\[\\{}%]", "", tex)
    depth = 0
    for char in bare:
        depth += (char == "{") - (char == "}")
        if depth < 0:
            return False
    return depth == 0


def test_latex_escape_of_every_special():
    assert latex_escape("a_b 50% $x$ & {y} #1") == r"a\_b 50\% \$x\$ \& \{y\} \#1"
    assert latex_escape("\\ ~ ^ < >") == (
        r"\textbackslash{} \textasciitilde{} \textasciicircum{} \textless{} \textgreater{}"
    )
    assert latex_escape("--flag, a-b") == "{-}{-}flag, a-b"
    assert latex_escape("3\u00d74 \u22121 \u2265 2") == (
        r"3\ensuremath{\times}4 \ensuremath{-}1 \ensuremath{\geq} 2"
    )
    assert latex_escape("two\nlines\x00\u202e") == "two lines"


@given(st.text())
def test_latex_escape_leaves_nothing_active(text):
    escaped = latex_escape(text)
    assert balanced(escaped)
    bare = re.sub(r"\\[{}$&#%_]", "", escaped)  # escaped characters
    bare = re.sub(r"\\(ensuremath|text[a-z]+|times|pm|cdot|[lg]eq|approx)", "", bare)
    bare = re.sub(r"\\([a-z]*arrow|\^?circ|mu|dots)|\^\\circ|(?<=\S)~", "", bare)
    assert not re.search(r"[\\$&#%_^\"<>|]", bare.replace("~", "")), escaped


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("bilinear", []),
        ("nearest", []),
        ("jbu", ["kopf2007joint"]),
        ("featup", ["fu2024featup"]),
        ("JAFAR (trained here)", ["couairon2025jafar"]),
        ("upsample_anything", ["seo2025upsample"]),
        ("naf", ["chambon2025naf"]),
        ("loftup", ["huang2025loftup"]),
        ("vit_small_patch14_dinov2.lvd142m", ["oquab2023dinov2"]),
        ("vit_small_patch14_reg4_dinov2.lvd142m", ["oquab2023dinov2", "darcet2023registers"]),
        ("vit_small_patch16_dinov3.lvd1689m", ["simeoni2025dinov3"]),
        ("vit_small_patch16_224.dino", ["caron2021dino"]),
        ("vit_base_patch16_clip_224.openai", ["radford2021clip"]),
        ("vit_base_patch16_siglip_224.webli", ["zhai2023siglip"]),
        ("vit_base_patch16_siglip_224.v2_webli", ["tschannen2025siglip2"]),
        ("efficientnet_b0.ra_in1k", ["tan2019efficientnet"]),
        ("efficientnet_lite0", ["tan2019efficientnet", "liu2020efficientnetlite"]),
        ("eclipse", []),
        ("dinosaur", []),
    ],
)
def test_names_cite_their_papers(name, keys):
    assert keys_for(name) == keys


def test_panels_cite_what_they_show_and_not_their_file_names():
    image = noise(0)
    shown = [
        Panel("clip.jpg", "Image", image),
        Panel("clip.jpg", "ours", image, recipe={"steps": {"backbone": {"name": "dinov2"}}}),
        Panel("clip.jpg", "AnyUp", image, recipe={"photo": "jafar.png", "methods": ["featup"]}),
    ]
    assert citation_keys(shown) == ["oquab2023dinov2", "wimmer2025anyup", "fu2024featup"]


def test_bibtex_entries_are_well_formed():
    known = sources()
    everything = bibtex(known)
    assert everything.count("@") == len(known) and balanced(everything)
    for key, entry in known.items():
        assert re.match(rf"@\w+\{{{key},\n", entry)
        for field in ("title", "author", "year"):
            assert re.search(rf"^  {field}\s+= \{{.+\}},$", entry, re.MULTILINE), (key, field)
    eprints = re.findall(r"eprint\s+= \{(.*?)\}", everything)
    assert len(set(eprints)) == len(eprints)
    assert all(re.fullmatch(r"\d{4}\.\d{5}", eprint) for eprint in eprints)
    assert cite("anyup", "anyup") == bibtex(["wimmer2025anyup"])
    with pytest.raises(ExplorerError, match="no citation 'x'"):
        bibtex(["x"])
