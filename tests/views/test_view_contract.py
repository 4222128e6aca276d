"""What every registered view promises, read from what its class declares."""

from __future__ import annotations

import dataclasses
import json

import pytest
from tiny import squares

from explorer.core import ExplorerError
from explorer.figure import PRESETS
from explorer.options import Options
from explorer.reproduce import Shown, figure_recipe
from explorer.reproduce.fields import read_views
from explorer.session import Session
from explorer.views import VIEWS
from explorer.views.base import method_title
from explorer.views.params import Params

SESSION = Session("cpu", allow_network=False)
METHODS = ("nearest", "bilinear")
NOBODYS = "no such value"


def options(**view):
    photo = squares(0, "squares.png")
    sizes = {"input_size": 64, "output_size": 48}
    return Options(photo, ("efficientnet_lite0",), METHODS, **sizes, query=(20, 30), view=view)


def choices(name):
    """Every option of a view that has a list of values: its name and one of them."""
    for option in VIEWS.get(name).options():
        for shown in option.choices:
            yield option.name, option.meant(shown)


@pytest.mark.parametrize("name", list(VIEWS))
def test_a_view_declares_itself(name):
    kind = VIEWS.get(name)
    assert kind.name == name and kind.title and VIEWS.describe(name).endswith((".", "given."))
    assert issubclass(kind.Params, Params) and kind.preset in PRESETS
    assert kind.shows_query or not kind.needs_query
    named = {option.name for option in kind.options()}
    assert named == {field.name for field in dataclasses.fields(kind.Params())}
    for given in (kind.leading_arguments, kind.api_defaults, kind.figure_options):
        assert set(given) <= named
    kind.check_given(kind.figure_options)


@pytest.mark.parametrize("name", list(VIEWS))
def test_every_option_is_explained_and_its_default_is_one_of_its_values(name):
    for option in VIEWS.get(name).options():
        assert option.control.label and option.control.help.endswith("."), option.name
        assert option.read(option.default) == option.default
        option.check_shown(option.shown())
        assert option.meant(option.shown()) in (option.default, None)


@pytest.mark.parametrize("name", list(VIEWS))
def test_options_survive_json(name):
    params = VIEWS.get(name).Params()
    assert type(params).read(json.loads(json.dumps(dataclasses.asdict(params)))) == params


@pytest.mark.parametrize("name", list(VIEWS))
def test_a_value_that_an_option_cannot_take_is_one_sentence(name):
    for option in VIEWS.get(name).options():
        bad = [NOBODYS] if option.kind is list else {NOBODYS: 1}
        with pytest.raises(ExplorerError) as caught:
            VIEWS.get(name).check_given({option.name: bad})
        assert option.name.rstrip("s") in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", list(VIEWS))
def test_a_recipe_holds_the_options(name):
    kind = VIEWS.get(name)
    given = {option.name: option.default for option in kind.options() if option.default is not None}
    entry = json.loads(json.dumps({"name": name, "options": given}))
    remarks = []
    (shown,) = read_views({"views": [entry]}, None, remarks)
    assert kind.Params.read(shown.view) == kind.Params() and not remarks


@pytest.mark.parametrize("name", list(VIEWS))
def test_a_view_has_one_panel_for_every_method(name):
    view = VIEWS.create(name)
    panels = view.render(SESSION, options())
    assert not [panel.error for panel in panels if panel.error]
    shown = view.methods(options())
    titles = [panel.column.partition(" vs ")[0] for panel in panels]
    methods = [title for title in titles if title in map(method_title, METHODS)]
    assert methods == list(map(method_title, shown)) and set(METHODS) >= set(shown)
    for panel in panels:
        assert panel.image.ndim == 3 and panel.image.shape[2] == 3
        json.dumps(dict(panel.recipe))


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [(name, *pair) for name in VIEWS for pair in choices(name) if pair[1] is not None],
)
def test_every_choice_is_drawn(name, option, value):
    panels = VIEWS.create(name).render(SESSION, options(**{option: value}))
    assert panels and not [panel.error for panel in panels if panel.error]


@pytest.mark.parametrize("name", list(VIEWS))
def test_a_recipe_makes_the_same_pixels(name):
    chosen = options()
    recipe = json.loads(json.dumps(figure_recipe(SESSION, chosen, [Shown(name, {})])))
    (shown,) = read_views(recipe, None, [])
    one = VIEWS.create(name).render(SESSION, chosen)
    again = VIEWS.create(name).render(Session("cpu", allow_network=False), shown.options(chosen))
    assert [panel.image.tobytes() for panel in one] == [panel.image.tobytes() for panel in again]
