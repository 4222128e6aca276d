"""A recipe may come from anybody: it is restored, or refused in one sentence of one line."""

import copy
import dataclasses
import io
import json
import os
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import TinySession, squares

from explorer.core import ExplorerError
from explorer.figure import FigureStyle, Inset, read_figure, render
from explorer.figure.recipe import to_json
from explorer.probes import Stroke
from explorer.reproduce import Shown, figure_panels, figure_recipe, open_figure, restore
from explorer.resources.user_message import TROUBLE
from explorer.session import Options

PHOTO = squares(0, "squares.png")
SESSION = TinySession()
STROKES = [
    Stroke("a", (255, 0, 0), ((0.2, 0.2),), 0.05).to_json(),
    Stroke("b", (0, 0, 255), ((0.8, 0.8), (0.7, 0.9)), 0.05).to_json(),
]
VIEWS = (
    Shown("pca", {"components": [0, 1, 2], "percentile": 1.0}),
    Shown("attention", {"head": 0, "window_ratio": 0.2, "opacity": 0.5, "scale": "own"}),
    Shown("similarity", {"threshold": 0.5, "low": -0.5, "opacity": 1.0}),
    Shown("reach", {"what": "position", "rim": 2.0}),
    Shown("difference", {"reference": "bilinear", "high": 0.5}),
    Shown("probe", {"probe": "scribble", "show": "prediction", "strokes": STROKES}),
)
OPTIONS = Options(
    PHOTO, ("tiny",), ("nearest", "bilinear"), 64, 48, {"bilinear": "untrained"}, query=(10, 20)
)
STYLE = FigureStyle(
    insets=(Inset((0, 0.5, 0, 0.5)),), names=(("nearest", "NN"),), rows=None, dpi=50
)
FIGURE = {
    "format": "feature-upsampling-explorer/figure",
    "version": 1,
    "recipe": json.loads(to_json(figure_recipe(SESSION, OPTIONS, VIEWS))),
    "style": json.loads(to_json(STYLE.to_dict())),
    "panels": [{"row": "Tiny", "column": "AnyUp", "origin": "", "recipe": {}, "error": "no"}],
}
DEEP = json.loads("[" * 200 + "]" * 200)
ODD = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 10**400, -(10**400), 10**299, 0.5, -0.5, 1e300),
    *(1.5, "", "x", "jaffar", "\x1b[2J", "a\nb", "\ud800", "\u202e", "\0", "x" * 100_000, "nan"),
    *("\u00b2", "0.5", "/etc/passwd", "../x.pth", "1" * 5000, [], {}, [1], ["\x1b]0;x\x07"], DEEP),
    *(
        [10**400, 1],
        [None, None],
        [0.5, 1, 2],
        {"\x1b": 1},
        {"a": {"b": "c" * 2000}},
        [[0, 1]] * 99,
    ),
)


def places(value, at=()):
    """Every place in a JSON value, as keys from the top."""
    yield at
    items = value.items() if isinstance(value, dict) else ()
    for key, inner in enumerate(value) if isinstance(value, list) else items:
        yield from places(inner, (*at, key))


PLACES = [
    at
    for at in places(FIGURE)
    if len(at) > 1 and at[0] in ("recipe", "style", "panels") and "versions" not in at
]


@st.composite
def mutations(draw):
    """A figure with one to three values replaced, left out, renamed or added."""
    figure = copy.deepcopy(FIGURE)
    for _ in range(draw(st.integers(1, 3))):
        *above, key = draw(st.sampled_from(PLACES))
        holder = figure
        try:
            for part in above:
                holder = holder[part]
            what = draw(st.sampled_from(["set", "set", "set", "drop", "add"]))
            if what == "drop":
                del holder[key]
            elif what == "set" or isinstance(holder, list):
                holder[key] = copy.deepcopy(draw(st.sampled_from(ODD)))
            else:
                name = draw(
                    st.sampled_from(["", "hed", "\x1b[31m", "\ud800", "opacity", "x" * 999])
                )
                holder[name] = copy.deepcopy(draw(st.sampled_from(ODD)))
        except (KeyError, IndexError, TypeError):  # an earlier change took the place away
            continue
    return figure


def embedded(text, kind):
    """A file of this kind that carries the text where a figure carries its recipe."""
    if kind == "png":
        from PIL import Image
        from PIL.PngImagePlugin import PngInfo

        info, out = PngInfo(), io.BytesIO()
        info.add_text("Recipe", text)
        Image.new("RGB", (2, 2)).save(out, "PNG", pnginfo=info)
        return out.getvalue()
    if kind == "pdf":
        escaped = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        return b"%PDF-1.4\n<< /Keywords (" + escaped.encode() + b") >>"
    if kind == "svg":
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return b"<svg><dc:description>" + escaped.encode() + b"</dc:description></svg>"
    return text.encode()


def sentence(error):
    """Check what a user reads: one short line that blames nobody else."""
    text = str(error)
    assert 8 < len(text) < 400, text
    assert text.isprintable(), repr(text)
    assert TROUBLE not in text and "Traceback" not in text


def attempt(data, render_too=False):
    """Read, restore and compute; return whether it worked. Anything but ExplorerError escapes."""
    try:
        carried = read_figure(data)
        made = restore(carried, PHOTO, SESSION)
        panels = figure_panels(SESSION, made.options, made.views)
        for said in made.compared(panels):
            assert len(said) < 1000
        for remark in made.remarks:
            assert remark.isprintable() and len(remark) < 400, remark
        to_json(made.recipe)
        if render_too:
            render([p for p in panels if not p.error], made.style, "png", made.recipe)
    except ExplorerError as error:
        sentence(error)
        return False
    for panel in panels:
        if panel.error:
            assert panel.error != TROUBLE, panel
            sentence(panel.error)
    return True


def test_the_unchanged_figure_is_restored():
    for kind in ("png", "pdf", "svg"):
        figure = read_figure(embedded(json.dumps(FIGURE), kind))
        made = restore(figure, PHOTO, SESSION)
        assert made.options.recipe() | {"view": {}} == OPTIONS.recipe() and made.style == STYLE
        assert [dict(v.view) for v in made.views] == [dict(v.view) for v in VIEWS]
        assert made.remarks == ()


EXAMPLES = int(os.environ.get("EXPLORER_FUZZ_EXAMPLES", 0)) or 300


@pytest.mark.slow
@settings(
    max_examples=EXAMPLES,
    derandomize=EXAMPLES == 300,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(mutations(), st.sampled_from(["png", "pdf", "svg", "json"]))
def test_mutated_recipes_work_or_are_refused_in_one_sentence(figure, kind):
    attempt(embedded(json.dumps(figure), kind))


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:20] or "empty")
@pytest.mark.parametrize("field", ["width_in", "dpi", "insets", "names", "rows", "theme"])
def test_every_odd_value_of_a_style(field, value):
    try:
        FigureStyle.from_dict({field: value})
    except ExplorerError as error:
        sentence(error)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"style": {"dpi": 10**400}}, "number"),
        ({"recipe": {"input_size": 10**299}}, "input size must be a whole number from 1 to 4096"),
        ({"recipe": {"query": [10**299, 1]}}, "query"),
        ({"recipe": {"upsamplers": ["jaffar"]}}, "did you mean jafar?"),
        ({"recipe": {"upsamplers": ["jafar", "jafar"]}}, "twice"),
        ({"recipe": {"upsamplers": ["jafar", ""]}}, "name"),
        ({"recipe": {"views": [{"name": "pcaa"}]}}, "did you mean pca?"),
        ({"recipe": {"views": [{"name": "probe", "options": {"opacity": None}}]}}, "not null"),
        (
            {"recipe": {"views": [{"name": "pca", "options": {"components": [0.5, 1, 2]}}]}},
            "components must be 3 whole numbers from 0 to 11, not [0.5, 1, 2]",
        ),
        (
            {"recipe": {"views": [{"name": "attention", "options": {"head": "\u00b2"}}]}},
            "head must be mean or a whole number",
        ),
        (
            {"recipe": {"views": [{"name": "probe", "options": {"reference": "jaffar"}}]}},
            "did you mean jafar?",
        ),
    ],
)
def test_what_was_a_traceback_or_accepted_in_silence(change, words):
    figure = copy.deepcopy(FIGURE)
    for part, values in change.items():
        figure[part] |= values
    with pytest.raises(ExplorerError) as caught:
        made = restore(read_figure(embedded(json.dumps(figure), "png")), PHOTO, SESSION)
        panels = figure_panels(SESSION, made.options, made.views)
        made.compared(panels)
    sentence(caught.value)
    assert words in str(caught.value)


def test_octal_escapes_of_a_pdf_that_are_none():
    text = json.dumps(FIGURE)
    data = b"%PDF-1.4 /Keywords (\\999) /Keywords (" + text.encode() + b")"
    assert read_figure(data)["version"] == 1
    with pytest.raises(ExplorerError, match="holds no recipe"):
        read_figure(b"%PDF-1.4 /Keywords (\\999)")


def test_options_that_earlier_versions_kept_are_left_out_with_a_remark():
    """A misspelt --view-option had no effect on the pixels; nor has it now."""
    figure = copy.deepcopy(FIGURE)
    plain = restore(figure, PHOTO, SESSION)
    figure["recipe"]["views"][0]["options"] |= {"hed": 1, "junk": "x" * 10**6, "\x1b[2J": 3}
    figure["recipe"]["checkpoints"] |= {"jaffar": "untrained", "bicubic": "foo"}
    made = restore(read_figure(embedded(json.dumps(figure), "png")), PHOTO, SESSION)
    assert [view.view for view in made.views] == [view.view for view in plain.views]
    assert made.options.checkpoints == plain.options.checkpoints
    assert len(made.remarks) == 5 and all(one.isprintable() for one in made.remarks)
    assert len(to_json(made.recipe)) < 10_000


def test_options_that_were_given_to_all_views_are_kept():
    """``--views pca,attention --view-option head=1`` is written to both; so are the bytes again."""
    figure = copy.deepcopy(FIGURE)
    figure["recipe"]["views"][0]["options"]["head"] = 1
    figure["recipe"]["views"][1]["options"]["head"] = 1
    made = restore(figure, PHOTO, SESSION)
    assert made.views[0].view["head"] == 1 and made.remarks == ()


def test_a_recipe_in_a_pipe_is_not_waited_for(tmp_path):
    for name in ("pipe.png", "pipe.zip"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(ExplorerError, match="pipe or device"):
            open_figure(tmp_path / name)
    for name in ("/dev/zero", tmp_path):
        with pytest.raises(ExplorerError, match="cannot read"):
            read_figure(name)


def test_archives_cut_or_changed_anywhere(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", embedded(json.dumps(FIGURE), "png"))
    whole, path = out.getvalue(), tmp_path / "panels.zip"
    for at in range(0, len(whole), 7):
        for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]):
            path.write_bytes(data)
            try:
                open_figure(path)
            except ExplorerError as error:
                sentence(error)


def test_what_a_file_names_never_reaches_a_message_raw():
    error = ExplorerError("a\x1b[2J\nb\u202e\ud800 caf\u00e9\r")
    assert str(error) == "a[2J b caf\u00e9 "


def test_an_offset_that_was_corrected_by_another_move_is_a_remark(monkeypatch):
    figure = copy.deepcopy(FIGURE)
    backbone = SESSION.backbone("tiny")
    monkeypatch.setattr(backbone, "center_offset", (3.0, -2.0))
    aligned = dataclasses.replace(OPTIONS, align=True)
    figure["recipe"] = json.loads(to_json(figure_recipe(SESSION, aligned, VIEWS)))
    assert not [one for one in restore(figure, PHOTO, SESSION).remarks if "aligned" in one]
    for now, said in (((4.0, -2.0), "aligned by (-4, 2) px here"), ((0.0, 0.0), "not aligned")):
        monkeypatch.setattr(backbone, "center_offset", now)
        (remark,) = [one for one in restore(figure, PHOTO, SESSION).remarks if "aligned" in one]
        assert said in remark and "aligned by (-3, 2) px then" in remark
