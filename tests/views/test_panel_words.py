"""Rows, columns, captions and origins are words for people: whatever they say, programs do the
same, because they read a panel's typed fields.
"""

import ast
import io
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import METHODS, TinySession

gr = pytest.importorskip("gradio")

from explorer.core import ExplorerError, Panel  # noqa: E402
from explorer.figure import PRESETS, FigureStyle, read_figure, render, suggest_insets  # noqa: E402
from explorer.figure.latex import panels_zip, shown_keys  # noqa: E402
from explorer.figure.layout import caption_of, compose  # noqa: E402
from explorer.figure.sheet import Picture  # noqa: E402
from explorer.probes import Stroke  # noqa: E402
from explorer.reproduce import Shown, figure_panels, figure_recipe, restore  # noqa: E402
from explorer.session import Options  # noqa: E402
from explorer.ui.api import described  # noqa: E402
from explorer.ui.events import stream, without_pending  # noqa: E402
from explorer.ui.export_canvas import canvas_value  # noqa: E402
from explorer.ui.export_figure import content  # noqa: E402
from explorer.ui.scribble_panels import scribble_options, scribbled  # noqa: E402
from explorer.ui.settings import Settings  # noqa: E402
from explorer.ui.tabs.compare import compared, sides  # noqa: E402
from explorer.views import VIEWS, View, rows  # noqa: E402

ROOT = Path(__file__).parents[2]
FEW = ("nearest", "bilinear", "jafar", "anyup")
STROKES = [
    Stroke(name, colour, (at, at), 0.1)
    for name, colour, at in (("a", (255, 0, 0), (0.2, 0.3)), ("b", (0, 0, 255), (0.8, 0.7)))
]

PAINTED = {"probe": "scribble", "strokes": [stroke.to_json() for stroke in STROKES]}
GIVEN = {name: PAINTED if name == "probe" else {} for name in VIEWS}  # no probe fits the backbone
CASES = [*GIVEN.items(), ("probe", PAINTED | {"show": "disagreement"})]


def reworded(panel, words):
    """The panel with other words everywhere, the same for the same."""

    def other(text):
        return words.setdefault(text, f"w{len(words)}") if text else text

    names = ("row", "column", "caption", "origin")
    return replace(panel, **{name: other(getattr(panel, name)) for name in names})


@pytest.fixture
def in_other_words(monkeypatch):
    """Return what makes every view speak in other words."""

    def change():
        words = {}
        for kind in {next(c for c in VIEWS.get(n).__mro__ if "stream" in vars(c)) for n in VIEWS}:
            plain = kind.stream

            def streamed(self, session, options, plain=plain):
                for panel in plain(self, session, options):
                    yield reworded(panel, words)

            monkeypatch.setattr(kind, "stream", streamed)

    return change


def both(in_other_words, act):
    """What ``act`` gives with the usual words and with others."""
    usual = act()
    in_other_words()
    return usual, act()


def options_of(photo, **changes):
    settings = {"backbones": ("tiny",), "upsamplers": FEW, "query": (20, 50)}
    return Options(photo, **(settings | {"input_size": 96, "output_size": 73} | changes))


def shape(grid):
    """A grid by positions instead of labels."""
    if not isinstance(grid, dict) or "panels" not in grid:
        return grid
    found = {}
    for cell in grid["panels"].values():
        at = grid["rows"].index(cell["row"]), grid["columns"].index(cell["column"])
        kept = ("backbone", "method", "weights", "pending", "size", "marker", "cells", "error")
        found[at] = {key: cell.get(key) for key in kept} | {"drawn": "image" in cell}
    grids = {grid["rows"].index(row): size for row, size in grid["grids"].items()}
    return len(grid["rows"]), len(grid["columns"]), found, grids


def identity(panel):
    return panel.role, panel.backbone, panel.method, panel.against


@pytest.mark.parametrize("patience", [1e9, -1])
@pytest.mark.parametrize(("view", "given"), CASES)
def test_the_grid_fills_in_the_same_way(view, given, patience, photo, in_other_words, monkeypatch):
    monkeypatch.setattr(rows, "PATIENCE", patience)
    chosen = Settings(view=view)
    options = options_of(photo, backbones=("tiny", "gone"), output_size=160, view=given)

    def act():
        shown = stream(TinySession(), VIEWS.create(view), options, chosen)
        return [
            (shape(grid), status["kind"], shape(without_pending(grid))) for grid, status in shown
        ]

    usual, other = both(in_other_words, act)
    assert usual == other and len(usual) > len(VIEWS.create(view).methods(options))
    assert usual[0][1] == "work" and usual[-1][1] == "done"
    if view == "pca":  # a preview waits for its picture and is seen meanwhile
        assert any(c["pending"] and c["drawn"] for got, *_ in usual for c in got[2].values())


@pytest.mark.slow
@pytest.mark.parametrize(("view", "given"), CASES)
def test_panels_keep_their_order_and_say_what_they_are(
    view, given, photo, other_photo, in_other_words, monkeypatch
):
    monkeypatch.setattr(rows, "PATIENCE", -1)
    extra = {"second": other_photo} if view == "similarity" else {}
    session, options = (
        TinySession(),
        options_of(photo, upsamplers=(*METHODS, "twisted"), view=given),
    )

    def act():
        return list(map(identity, VIEWS.create(view, **extra).render(session, options)))

    usual, other = both(in_other_words, act)
    assert usual == other
    made = VIEWS.create(view, **extra).render(session, options)
    assert not any(panel.preview or panel.provisional for panel in made)
    methods = [panel for panel in made if panel.role == "method"]
    assert {panel.method for panel in methods} <= set(options.upsamplers)
    assert all(panel.backbone == "tiny" for panel in made)
    assert all(panel.grid for panel in methods) and made[0].role == "photo"
    assert not any(panel.method for panel in made if panel.role != "method")
    reference = METHODS[0] if view == "difference" or "show" in given else ""
    if VIEWS.create(view).methods(options):
        assert {panel.against for panel in methods if not panel.error} == {reference}
    else:
        assert not methods


@pytest.mark.parametrize(("view", "given"), CASES)
def test_figures_are_laid_out_and_cited_the_same(view, given, photo):
    words = {}
    usual = figure_panels(TinySession(), options_of(photo), [Shown(view, given)])
    other = [reworded(panel, words) for panel in usual]
    assert suggest_insets(usual) == suggest_insets(other)
    for name, preset in PRESETS.items():
        one, two = preset(usual), preset(other)
        assert replace(one, rows=None) == replace(two, rows=None), name
        assert one.rows is None or [words[row] for row in one.rows] == list(two.rows)
    assert shown_keys(usual) == shown_keys(other)
    shown = VIEWS.create(view).methods(options_of(photo))
    expected = {"couairon2025jafar", "wimmer2025anyup"} if {"jafar", "anyup"} <= set(shown) else ()
    assert set(expected) <= set(shown_keys(other)) or view == "difference"
    photos, plain = (
        [[p for p in made if p.role == "photo"] for made in (usual, other)],
        [[replace(p, recipe={}) for p in made] for made in (usual, other)],
    )
    assert [shown_keys(made) for made in photos] == [[], []]  # its recipe names every method
    assert shown_keys(plain[0]) == shown_keys(plain[1]) == shown_keys(usual)
    bare = FigureStyle(row_labels=False, column_labels=False, markers=True, metrics=True)
    boxes = [[item.box for item in compose(made, bare).of(Picture)] for made in (usual, other)]
    assert boxes[0] == boxes[1] and len(boxes[0]) == len(usual)
    for one, two in zip(usual, other, strict=True):  # random weights are said in any words
        assert (
            bool(caption_of(one, bare))
            == bool(caption_of(two, bare))
            == (one.weights == "untrained")
        )


def test_the_same_files_leave(photo, in_other_words):
    session, options = TinySession(), options_of(photo)
    views = [Shown("pca", {}), Shown("attention", {}), Shown("pca", {"components": [1, 2, 3]})]

    def act():
        made = content(session, options, views)
        session.results.clear()
        data = zipfile.ZipFile(io.BytesIO(panels_zip(made.panels, None, made.recipe)))
        tex = data.read("figure.tex").decode()
        pictures = [
            np.asarray(Image.open(io.BytesIO(data.read(name)))).tobytes()
            for name in data.namelist()
            if name.endswith(".png")
        ]
        canvas = canvas_value(made.panels, options.output)["pictures"]
        names = {key: len(labels) for key, labels in made.names().items()}
        cited = re.findall(r"\\cite\{.*?\}", tex)
        return cited, tex.count(r"\begin{subfigure}"), pictures, len(canvas), names

    usual, other = both(in_other_words, act)
    assert usual == other and usual[4] == {"rows": 3, "columns": 2 + len(FEW)}


def test_figures_of_the_usual_words_restore_in_others(photo, in_other_words):
    session, options = TinySession(), options_of(photo)
    views = [Shown("attention", {}), Shown("reach", {})]
    panels = figure_panels(session, options, views)
    file = render(panels, FigureStyle(dpi=50), "png", figure_recipe(session, options, views))
    in_other_words()
    made = restore(read_figure(file), photo, session)
    again = figure_panels(session, made.options, made.views)
    assert made.compared(again) == [] and len(again) == len(panels)
    for then, now in zip(panels, again, strict=True):
        assert identity(then) == identity(now) and np.array_equal(then.image, now.image)


@pytest.mark.parametrize("view", ["pca", "attention", "difference"])
def test_two_panels_are_found_to_compare(view, photo, in_other_words):
    session = TinySession()
    options = options_of(photo, upsamplers=FEW)
    chosen = Settings(view=view, backbones=options.backbones, upsamplers=FEW)
    menu = [value for _, value in sides(chosen)]

    def act():
        found = []
        for pair in ((menu[2], menu[4]), (menu[0], menu[3])):
            for swipe, apart, status in compared(session, chosen, options, *pair):
                order = [swipe["panels"][key] for key in swipe["sides"]] if "sides" in swipe else []
                names = [(cell["backbone"], cell["method"]) for cell in order]
                found.append((names, shape(swipe), shape(apart), status["kind"]))
        return found

    usual, other = both(in_other_words, act)
    assert usual == other
    assert usual[0][0] == [("tiny", "bilinear"), ("tiny", "anyup")]
    assert usual[-1][0] == [("tiny", ""), ("tiny", "jafar")]


def test_strokes_are_predicted_the_same(photo, in_other_words):
    session = TinySession()
    options = scribble_options(options_of(photo), STROKES)

    def act():
        return [shape(grid) for grid, _ in scribbled(session, options, None) if grid is not None]

    usual, other = both(in_other_words, act)
    assert usual[-1] == other[-1] and len(usual[-1][2]) == len(FEW)


def test_a_client_gets_the_fields_after_those_it_knows(photo):
    (panel,) = [
        panel
        for panel in VIEWS.create("difference").render(TinySession(), options_of(photo))
        if panel.method == "anyup"
    ]
    answer = described(panel)
    assert list(answer)[:12] == [
        *("row", "column", "caption", "origin", "metrics", "legend", "marker", "rectangle"),
        *("recipe", "cells", "error", "image"),
    ]
    assert {key: answer[key] for key in list(answer)[12:]} == {
        "role": "method",
        "backbone": "tiny",
        "method": "anyup",
        "against": "nearest",
        "weights": "untrained",
        "seconds": None,
        "grid": list(panel.grid),
    }


def test_the_time_is_shown_and_no_part_of_a_figure(photo):
    made = VIEWS.create("pca").render(TinySession(), options_of(photo))[-1]
    assert "time" not in dict(made.metrics)
    assert re.fullmatch(r"\d+\.\d\d s", described(made)["metrics"]["time"])


@pytest.mark.parametrize(
    ("origin", "kind"),
    [
        ("published", "published"),
        ("converted", "published"),
        ("trained here", "trained"),
        ("untrained", "untrained"),
        ("training-free", "other"),
        ("published, unverified (abc)", "other"),
    ],
)
def test_the_usual_origins_have_their_kind(origin, kind):
    panel = Panel("a", "b", np.zeros((1, 1, 3), np.uint8), origin=origin)
    assert panel.weights == kind
    assert replace(panel, origin="w0").weights == kind


# --- nobody reads the words in the code ---

WORDS = {"caption", "column", "origin", "panel_column", "title"}
READERS = {"partition", "rpartition", "split", "startswith", "endswith", "removeprefix", "find"}
CODE = ("ui", "figure", "reproduce", "commands", "views", "citations.py")


def is_word(node):
    """Whether an expression holds words of a panel."""
    attributes = [n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)]
    return any(name in WORDS for name in attributes)


def is_text(node):
    """Whether an expression is a text of the program's own: a literal or a constant."""
    names = [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]
    texts = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)]
    literal = any(str(text).strip() for text in texts)
    return literal or any(name.isupper() for name in names)


def readers(source):
    """The lines that look into a panel's words."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            told = [is_word(side) for side in sides]
            if any(told) and any(is_text(s) for s, t in zip(sides, told, strict=True) if not t):
                yield node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            held = node.func.value
            known = isinstance(held, ast.Name) and held.id in WORDS
            if node.func.attr in READERS and (known or is_word(held)):
                yield node.lineno


@pytest.mark.parametrize(
    "line",
    [
        'maps = [p for p in panels if p.origin != "photo"]',
        "lead = panel.column in (PHOTO, KEY)",
        'ready = not panel.caption.startswith("preview")',
        'title = column.partition(" vs ")[0]',
        'untrained = panel.origin.strip().lower().startswith("untrained")',
        'title = click.panel_column.partition(" vs ")[0] == name',
    ],
)
def test_a_reader_of_words_is_found(line):
    assert list(readers(line)) == [1]


def test_no_code_reads_words():
    files = [f for part in CODE for f in sorted((ROOT / "explorer").glob(f"{part}/**/*.py"))]
    files += [ROOT / "explorer" / "citations.py"]
    assert len(files) > 80
    found = [f"{f.relative_to(ROOT)}:{line}" for f in files for line in readers(f.read_text())]
    assert found == []


def test_no_script_reads_words():
    pattern = (
        r"\.(caption|origin|column)\s*(\.\w+\(|[!=]==?\s*[\"'`])|\[\w+\.(caption|origin|column)\]"
    )
    assert re.search(pattern, "ORIGINS[entry.origin]")
    assert re.search(pattern, 'entry.caption.startsWith("preview")')
    for file in (ROOT / "explorer" / "ui" / "static").glob("*.js"):
        assert not re.search(pattern, file.read_text("utf-8")), file.name


class OnePanel(View):
    """A view that draws one picture, made by hand."""

    def stream(self, session, options):
        yield Panel("all", "picture", np.zeros((4, 4, 3), np.uint8))


def test_a_view_without_a_panel_per_method_comes_to_an_end(photo):
    made = list(stream(TinySession(), OnePanel(), options_of(photo), Settings()))
    grid, status = made[-1]
    assert status["kind"] == "done" and status["text"].startswith("1 panels")
    assert [(c["column"], c["pending"]) for c in grid["panels"].values()] == [("picture", False)]


def test_a_panel_that_is_not_there_is_said(photo):
    options = options_of(photo)
    chosen = Settings(view="pca", backbones=("tiny",), upsamplers=FEW)
    with pytest.raises(ExplorerError, match="no panel of JBU|no panel of Joint"):
        list(compared(TinySession(), chosen, options, "photo", "tiny/jbu"))
