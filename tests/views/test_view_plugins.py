"""A view is one file: what its class declares is found wherever a view is named."""

from __future__ import annotations

import inspect
import json
from dataclasses import asdict, make_dataclass
from pathlib import Path
from typing import Annotated

import pytest
from documents import ROOT, blocks
from plugins import contract_tests, plugged_in
from tiny import METHODS, TinySession

from explorer import views
from explorer.__main__ import main
from explorer.core import ExplorerError, Registry
from explorer.reproduce.fields import read_views
from explorer.views import VIEWS
from explorer.views.base import check_view_options
from explorer.views.params import Control, Option, Params

CONTRACT = Path(__file__).parent / "test_view_contract.py"
EXAMPLE = next(code for code in blocks(ROOT / "README.md", "python") if "@VIEWS.register" in code)
EXAMPLE = EXAMPLE.replace('"norm"', '"readme"')  # somebody may have added it as it stands there


@pytest.fixture
def norm(tmp_path):
    """The view that the README shows."""
    with plugged_in(VIEWS, views, tmp_path, "readme", EXAMPLE) as module:
        yield module.NormView


def test_a_file_is_found_and_takes_the_place_in_menus_that_it_declares(norm):
    assert VIEWS.get("readme") is norm
    names = VIEWS.names()
    assert names.index("reach") < names.index("readme") < names.index("similarity")
    assert names[0] == "pca" and names[-1] == "probe"


def test_the_contract_tests_take_it(norm):
    tried = {test.__name__: test(**given) for test, given in contract_tests(CONTRACT, "readme")}
    assert len(tried) >= 8


def test_the_command_line_knows_it(norm, capsys, tmp_path):
    assert main(["list", "views"]) == 0
    printed = capsys.readouterr().out
    assert VIEWS.describe("readme") in printed
    assert main(["list", "options"]) == 0
    lines = [line.split(maxsplit=3) for line in capsys.readouterr().out.splitlines()]
    (about,) = [line[3] for line in lines if line[:3] == ["readme", "gamma", "1.0"]]
    assert about.startswith("a number from 0.1 to 4")
    words = ["figure", str(ROOT / "assets/examples/coffee.jpg"), "--views", "readme"]
    words += ["--upsamplers", "nearest", "--input-size", "64", "--output-size", "48"]
    made = tmp_path / "readme.png"
    assert main([*words, "--view-option", "gamma=0.5", "--out", str(made)]) == 0
    again = ["figure", "--recipe", str(made), str(ROOT / "assets/examples/coffee.jpg")]
    assert main([*again, "--out", str(tmp_path / "again.png")]) == 0
    assert made.read_bytes() == (tmp_path / "again.png").read_bytes()
    assert main([*words, "--view-option", "gamma=9", "--out", str(made), "--force"]) != 0
    assert "gamma must be a number from 0.1 to 4" in capsys.readouterr().err


@pytest.mark.slow
def test_page_link_and_api_know_it(norm, photo):
    gr = pytest.importorskip("gradio")
    from explorer.ui import api, layout, view_bar
    from explorer.ui.export_figure import view_menu
    from explorer.ui.settings import Settings

    with gr.Blocks():
        fields, _ = view_bar.build(Settings(view="readme"))
    assert ("Feature norm", "readme") in fields["view"].choices
    slider = fields["readme_gamma"]
    assert isinstance(slider, gr.Slider) and (slider.minimum, slider.maximum) == (0.1, 4)
    assert slider.visible and not fields["components"].visible
    chosen = Settings(view="readme", readme_gamma=0.5)
    assert Settings.parse(chosen.query_string()) == chosen
    assert chosen.options(photo).view["gamma"] == 0.5
    assert ("Feature norm", "readme") in view_menu()
    ask = api.endpoint(TinySession(), norm)
    assert "gamma" in ask.__doc__
    demo = layout.build(TinySession())
    arguments = demo.get_api_info()["named_endpoints"]["/readme"]["parameters"]
    named = {one["parameter_name"]: one.get("parameter_default") for one in arguments}
    assert named["gamma"] == 1.0 and list(named)[:2] == ["photo", "backbones"]


def test_settings_without_the_view_have_none_of_its_options(norm):
    pytest.importorskip("gradio")
    from explorer.ui.settings import Settings

    assert "readme_gamma" in asdict(Settings())
    del VIEWS._entries["readme"]
    assert "readme_gamma" not in asdict(Settings())


def test_two_views_cannot_declare_one_key_differently(norm):
    pytest.importorskip("gradio")
    from explorer.ui.settings import Settings

    other = Annotated[float, Control("Other", "Another opacity.", key="opacity")]
    params = make_dataclass("OtherParams", [("opacity", other, 0.5)], bases=(Params,), frozen=True)
    VIEWS.register("other")(type("Other", (norm,), {"name": "other", "Params": params}))
    with pytest.raises(ExplorerError, match="declares another control of 'opacity'"):
        Settings()


# One option of every kind that a control exists for.
KINDS = '''
from typing import Annotated, Literal

from pydantic.dataclasses import dataclass

from explorer.core.validation import Real, Share, Whole
from explorer.views.base import VIEWS, View, photo_panel
from explorer.views.params import Control, Method, Params


@dataclass(frozen=True)
class KindsParams(Params):
    share: Annotated[Share, Control("Share", "A share.", step=0.1)] = 0.5
    count: Annotated[Whole, Control("Count", "A whole number.")] = 3
    limit: Annotated[Real | None, Control("Limit", "A number or none.", aliases=("most",))] = None
    side: Annotated[Literal["left", "right"], Control("Side", "A choice.")] = "left"
    end: Annotated[Literal["up", "down"] | None, Control("End", "A choice.", on_page=False)] = None
    thin: Annotated[bool, Control("Thin", "Yes or no.")] = True
    method: Annotated[Method | None, Control("Method", "A name.", choices="methods")] = None


@VIEWS.register("kinds")
class KindsView(View):
    """The photo alone."""

    name, title, Params, aliases = "kinds", "Kinds", KindsParams, ("sorts",)
    needs_query = shows_query = takes_second_photo = True

    def __init__(self, second=None):
        self.second = second

    def stream(self, session, options):
        self.check(options)
        yield photo_panel(session, options, "row")
'''


@pytest.fixture
def kinds(tmp_path):
    with plugged_in(VIEWS, views, tmp_path, "kinds", KINDS) as module:
        yield module.KindsView


def test_every_kind_of_option_has_a_control_a_link_and_an_argument(kinds, photo):
    gr = pytest.importorskip("gradio")
    from explorer.ui import api, view_bar
    from explorer.ui.settings import Settings

    with gr.Blocks():
        fields, second = view_bar.build(Settings(view="kinds"))
    found = {key.removeprefix("kinds_"): field for key, field in fields.items() if "kinds" in key}
    controls = {name: type(field).__name__.lower() for name, field in found.items()}
    assert controls == {
        **{"share": "slider", "count": "number", "limit": "textbox", "side": "dropdown"},
        **{"thin": "checkbox", "method": "dropdown"},
    }
    assert second.visible
    given = {"share": 0.25, "count": 7, "limit": 2.5, "side": "right", "thin": False}
    given["method"] = "jafar"
    chosen = Settings(view="kinds", **{f"kinds_{name}": value for name, value in given.items()})
    again = Settings.parse(chosen.query_string())
    assert again == chosen and again.view_options() == given
    assert chosen.options(photo).view == given
    assert Settings.parse("v=2&view=sorts&most=1.5").view == "kinds"
    assert Settings.parse("v=2&view=sorts&most=1.5").view_options()["limit"] == 1.5
    assert Settings(view="kinds", kinds_limit="").view_options().get("limit") is None
    with pytest.raises(ExplorerError, match="kinds_count must be a whole number"):
        Settings(view="kinds", kinds_count="x").check()
    arguments = inspect.signature(api.endpoint(TinySession(), kinds)).parameters
    assert list(arguments)[:3] == ["photo", "row", "col"] and "end" not in arguments
    assert arguments["limit"].annotation == float | None and arguments["thin"].annotation is bool
    assert arguments["method"].annotation == str | None and "second" in arguments


def test_old_names_of_a_view_and_of_options_are_read_in_recipes(kinds):
    remarks = []
    entry = {"name": "sorts", "options": {"most": 2.0}}
    (shown,) = read_views({"views": [entry]}, None, remarks)
    assert shown.name == "kinds" and not remarks
    assert kinds.Params.read(shown.view).limit == 2.0
    assert kinds.Params.read({"most": 2.0, "limit": 3.0}).limit == 3.0
    check_view_options({"most": 1.0}, ["kinds"])
    assert VIEWS.get("attention").Params.read({"window": 0.2}).window_ratio == 0.2


def test_old_names_are_resolved():
    registry = Registry("thing")
    registry.register("new")(type("New", (), {"aliases": ("old",)}))
    assert registry.get("old") is registry.get("new") and "old" in registry
    assert registry.resolve("old") == "new" and list(registry) == ["new"]
    with pytest.raises(ExplorerError, match="no thing called 'older'"):
        registry.get("older")


def links():
    """Every option that a view has on the page, with each value of its control to try."""
    for name in VIEWS:
        for option in VIEWS.get(name).options():
            if option.control.on_page:
                yield from ((name, option.key, value) for value in values(option))


def values(option: Option):
    if option.choices:
        return option.choices
    if isinstance(option.control.choices, str):
        return ["jafar"]
    low, high = option.ends
    return [low, high, (low + high) / 2]


@pytest.mark.parametrize(("name", "key", "value"), list(links()))
def test_a_link_restores_every_value_of_every_option(name, key, value, photo):
    pytest.importorskip("gradio")
    from explorer.ui.settings import Settings

    chosen = Settings(view=name, **{key: value})
    found = Settings.parse(chosen.query_string())
    assert found == chosen and found.query_string().startswith("v=2")
    assert found.view_options() == chosen.view_options()
    json.dumps(chosen.options(photo).recipe())


def test_a_link_without_a_version_has_the_defaults_of_its_time():
    pytest.importorskip("gradio")
    from explorer.ui.settings import Settings

    assert Settings.parse("view=probe").opacity == 0.7
    assert Settings.parse("v=2&view=probe").opacity == Settings().opacity == 0.65
    assert Settings.parse("v=2&view=probe").view_options()["opacity"] == 0.65


def test_every_method_is_shown_by_the_view_of_the_readme(norm, options):
    session = TinySession()
    panels = VIEWS.create("readme").render(session, options(view={"scale": "own"}))
    assert len(panels) == 1 + len(METHODS) and not any(panel.error for panel in panels)
