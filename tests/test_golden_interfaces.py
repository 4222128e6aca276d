"""What users hold beside figures: permalinks, API endpoints, flags of commands. The files in
tests/golden were written at commit 97013fe; new fields, arguments and flags may come, the old ones
stay.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from explorer.__main__ import build_parser
from explorer.imaging import open_photo
from explorer.session import Session
from explorer.ui import layout
from explorer.ui.settings import Settings

GOLDEN = Path(__file__).parent / "golden"
EXAMPLES = Path(__file__).parents[1] / "assets" / "examples"
LINKS = json.loads((GOLDEN / "links.json").read_text())


def plain(value):
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("case", LINKS, ids=[case["link"] or "empty" for case in LINKS])
def test_a_link_restores_the_same_screen(case):
    settings = Settings.parse(case["link"])
    found = plain(asdict(settings))
    assert {key: found[key] for key in case["settings"]} == case["settings"]
    options = plain(settings.options(open_photo(EXAMPLES / "coffee.jpg")).recipe())
    assert {key: options[key] for key in case["options"]} == case["options"]


def test_endpoints_keep_names_argument_order_and_defaults():
    golden = json.loads((GOLDEN / "api.json").read_text())
    assert len(golden) >= 6
    demo = layout.build(Session("cpu", allow_network=False))
    now = demo.get_api_info()["named_endpoints"]
    for name, arguments in golden.items():
        found = [{key: p.get(key) for key in arguments[0]} for p in now[name]["parameters"]]
        assert plain(found[: len(arguments)]) == arguments, name
        assert all(p["parameter_has_default"] for p in found[len(arguments) :]), name


def flags(parser, names=()):
    """Every option of a parser and its subcommands: {(commands, flag): (default, nargs)}."""
    found = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                found |= flags(child, (*names, name))
        for flag in action.option_strings or [action.dest]:
            found[names, flag] = action
    return found


def golden_flags(entries, names=()):
    for entry in entries:
        for name, child in entry.get("subcommands", {}).items():
            yield from golden_flags(child, (*names, name))
        for flag in entry.get("flags", ()):
            yield (names, flag), entry


def test_commands_keep_their_flags_and_defaults():
    now = flags(build_parser())
    golden = dict(golden_flags(json.loads((GOLDEN / "commands.json").read_text())))
    assert len(golden) > 100
    for key, entry in golden.items():
        assert key in now, key
        default = now[key].default
        if not isinstance(default, str | int | float | bool | None):
            default = str(default)
        if isinstance(default, str):
            default = default.removeprefix(f"{EXAMPLES.parents[1]}/")
        assert default == entry["default"], key
        choices = now[key].choices
        assert not entry["choices"] or set(entry["choices"]) <= set(map(str, choices)), key
        assert now[key].nargs == entry["nargs"], key
