"""Links and API arguments may hold anything: a result, or one sentence of one line."""

import inspect
import json
import os
import typing
from urllib.parse import urlencode

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

gr = pytest.importorskip("gradio")

from explorer.access_policy import AccessPolicy  # noqa: E402
from explorer.core import ExplorerError  # noqa: E402
from explorer.imaging import open_photo  # noqa: E402
from explorer.resources.user_message import TROUBLE  # noqa: E402
from explorer.server.arguments import check_arguments  # noqa: E402
from explorer.server.guard import typed  # noqa: E402
from explorer.session import Session  # noqa: E402
from explorer.ui import api, figure_api, scribble_api  # noqa: E402
from explorer.ui.settings import LINK_VERSION, Settings, page_options  # noqa: E402

EXAMPLES = int(os.environ.get("EXPLORER_FUZZ_EXAMPLES", 0)) or 60
FUZZ = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "max_examples": EXAMPLES,
    "derandomize": EXAMPLES == 60,
}
DEEP = json.loads("[" * 300 + "]" * 300)
ODD = (
    *(None, True, 0, -1, 5, 64, 2**63, 10**400, -(10**400), 0.5, 1.5, 1e308),
    *(float("nan"), float("inf"), "", "x", "jaffar", "\x1b[2J", "a\nb", "\ud800", "\u202e", "\0"),
    *("\u00b2-3", "\u00b2", "1-3", "x" * 5000, "9" * 5000, "nan", "/etc/passwd", [], {}, ["jafar"]),
    *(["nearest", "nearest"], ["nearest", ""], [10**400], ["\ud800"], DEEP, {"a": DEEP}, [{}]),
    *({"jaffar": "untrained"}, {"jafar": "untrained"}, {"nearest": 3}, {"\x1b": "x"}),
    *({"hed": 1}, {"opacity": None}, {"opacity": 10**400}, {"reference": "jaffar"}, {"head": -1}),
    *(
        {"strokes": DEEP},
        {"strokes": [{}] * 3000},
        {"junk": "x" * 10**6},
        {"components": [0.5] * 3},
    ),
)
odd = st.sampled_from(ODD) | st.text(max_size=8) | st.integers() | st.floats()


def sentence(error):
    text = str(error)
    assert 8 < len(text) < 400, text
    assert text.isprintable(), repr(text)
    assert TROUBLE not in text and "Traceback" not in text, text


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        path = folder / "photo.png"
        values = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(values.repeat(8, 0).repeat(8, 1)).save(path)
        yield {"path": str(path)}


@pytest.fixture(scope="module")
def endpoints(photo):
    """Every endpoint by its name, as the guard runs it but for the sentence it makes of errors."""
    limits = AccessPolicy(trust_names=False, longest=96)
    session = Session("cpu", allow_network=False, limits=limits)
    with gr.Blocks() as demo:
        for part in (api, figure_api, scribble_api):
            part.expose(session)
    return {event.api_name: typed(inspect.unwrap(event.fn)) for event in demo.fns.values()}


STROKES = [
    {"name": "a", "colour": [255, 0, 0], "points": [[0.2, 0.2]], "radius": 0.1},
    {"name": "b", "colour": [0, 0, 255], "points": [[0.8, 0.8]], "radius": 0.1},
]
GOOD = {
    "backbones": ["efficientnet_lite0"],
    "upsamplers": ["nearest", "bilinear"],
    "input_size": 64,
    "output_size": 64,
    "row": 5,
    "col": 7,
    "query": [5, 7],
    "strokes": STROKES,
    "preset": "teaser strip",
    "format": "png",
    "dpi": 60,
}
NAMES = ("explore", "attention", "similarity", "probe", "figure", "scribble")


def arguments(endpoint, photo, changed):
    known = inspect.signature(endpoint).parameters
    usual = {n: p.default for n, p in known.items()} | {n: GOOD[n] for n in GOOD if n in known}
    return [(usual | {"photo": photo} | changed)[name] for name in known]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_arguments_give_a_result_or_one_sentence(name, endpoints, photo):
    endpoint, answered = endpoints[name], []
    fields = sorted(set(inspect.signature(endpoint).parameters) - {"photo"})

    @settings(**FUZZ)
    @given(st.dictionaries(st.sampled_from(fields), odd, min_size=1, max_size=2))
    def check(changed):
        try:
            panels = endpoint(*arguments(endpoint, photo, changed))
        except ExplorerError as error:
            sentence(error)
            return
        answered.append(panels)
        for panel in panels if isinstance(panels, list) else ():
            if panel["error"]:
                sentence(panel["error"])

    assert endpoint(*arguments(endpoint, photo, {}))
    check()


@pytest.mark.parametrize(
    ("name", "changed", "words"),
    [
        ("probe", {"opacity": 10**400}, "opacity must be a number"),
        ("probe", {"opacity": None}, "opacity must be a number"),
        ("probe", {"reference": "jaffar"}, "did you mean jafar?"),
        ("probe", {"show": "predicton"}, "did you mean prediction?"),
        ("attention", {"row": 10**400}, "row and col must lie on the"),
        ("attention", {"head": "\u00b2"}, "head must be mean or a whole number"),
        ("explore", {"checkpoints": {"jaffar": "untrained"}}, "did you mean jafar?"),
        ("explore", {"checkpoints": {"jafar": "untrained"}}, "not shown"),
        ("explore", {"upsamplers": ["nearest", "nearest"]}, "twice"),
        ("explore", {"upsamplers": []}, "at least one"),
        ("explore", {"components": "\u00b2-3"}, "written as 1-3"),
        ("explore", {"components": "1-2"}, "three numbers from 1 to 12"),
        ("figure", {"view_options": {"hed": 1}}, "has no option 'hed'"),
        ("figure", {"view_options": {"percentil": 1}}, "did you mean percentile?"),
        ("figure", {"view_options": {"components": [0.5, 1, 2]}}, "3 whole numbers"),
        ("figure", {"view_options": {"percentile": DEEP}}, "nested"),
        ("figure", {"preset": "teaser stripe"}, "did you mean teaser strip?"),
        ("figure", {"width": 10**400}, "width must be a number"),
        ("figure", {"checkpoints": {"nearest": 3}}, "checkpoints must be"),
        ("scribble", {"strokes": [STROKES[0] | {"colour": [0.5, 0, 0]}]}, "colour"),
        ("scribble", {"strokes": [STROKES[0] | {"radius": 10**400}]}, "401 digits"),
    ],
)
def test_what_was_accepted_in_silence_or_not_blamed_on_the_input(
    name, changed, words, endpoints, photo
):
    with pytest.raises(ExplorerError) as caught:
        endpoints[name](*arguments(endpoints[name], photo, changed))
    sentence(caught.value)
    assert words in str(caught.value), str(caught.value)


def test_a_view_option_of_another_view_is_no_option(endpoints, photo):
    changed = {"view": "attention", "view_options": {"percentile": 1.0}}
    with pytest.raises(ExplorerError, match="the attention view has no option 'percentile'"):
        endpoints["figure"](*arguments(endpoints["figure"], photo, changed))


def test_as_many_strokes_as_anyone_paints(endpoints, photo):
    """The limit for lists of names is none for strokes."""
    strokes = [STROKES[n % 2] for n in range(100)]
    assert endpoints["scribble"](*arguments(endpoints["scribble"], photo, {"strokes": strokes}))


HINTS = (int, float, str, bool, list[str], list[int], list[dict], dict, int | None, float | None)


@settings(**FUZZ)
@given(st.sampled_from(HINTS), odd)
def test_every_kind_of_argument(hint, value):
    def endpoint(argument): ...

    endpoint.__annotations__ = {"argument": hint}
    assert typing.get_type_hints(endpoint) == {"argument": hint}
    try:
        check_arguments(endpoint, (value,))
    except ExplorerError as error:
        sentence(error)


# --- links ---

texts = st.text(st.characters(exclude_categories=[]), max_size=12) | st.sampled_from(
    [text for text in ODD if isinstance(text, str)]
    + ["1e999", "-1e999", "nan", "9" * 5000, "0.5,0.5", "0.5,nan", "1e400,0", "jafar=x,=y,z="]
)
NAMES = sorted(Settings().__dataclass_fields__)
keys = st.sampled_from([*NAMES, "v"]) | texts
links = st.dictionaries(keys | st.just("checkpoints"), texts, max_size=6)


@pytest.fixture(scope="module")
def small():
    return open_photo(np.zeros((48, 64, 3), np.uint8), "small.png")


@pytest.mark.slow
@settings(**(FUZZ | {"max_examples": 5 * EXAMPLES}))
@given(links, st.sampled_from(["mapping", "query", "raw"]))
def test_any_link_is_read_and_written_again(small, pairs, form):
    given_link = pairs
    if form == "query":
        given_link = urlencode(pairs, errors="surrogatepass")
    elif form == "raw":
        given_link = "&".join(f"{key}={value}" for key, value in pairs.items())
    found = Settings.parse(given_link)
    again = Settings.parse(found.query_string())
    assert again.query_string() == found.query_string()
    try:
        found.options(small)
    except ExplorerError as error:
        sentence(error)


fields = st.sampled_from(NAMES)


@settings(**FUZZ)
@given(st.dictionaries(fields, odd, max_size=3))
def test_any_value_of_a_field_of_the_page(small, changed):
    chosen = Settings(**changed)
    try:
        chosen.options(small)
    except ExplorerError as error:
        sentence(error)


def test_a_lone_surrogate_in_a_link():
    for key in NAMES:
        value = "jafar=\ud800" if key == "checkpoints" else "\ud800"
        found = Settings.parse({"v": LINK_VERSION, "align": "1", key: value})
        assert found == Settings(align=key != "align")
    assert Settings(probe="\ud800").query_string() == f"v={LINK_VERSION}&align=1&probe=%3F"


def test_links_of_before_are_read_as_before():
    link = (
        "example=cat&view=probe&backbones=efficientnet_lite0%3Ablocks.4&upsamplers=jafar,anyup"
        "&opacity=0.5&reference=anyup&query=0.25,0.75&components=4-6"
        "&checkpoints=jafar%3Duntrained,bilinear%3Dfoo"  # foo never had an effect
    )
    found = Settings.parse(link)
    assert found.example == "cat" and found.view == "probe" and found.opacity == 0.5
    assert found.backbones == ("efficientnet_lite0:blocks.4",) and found.query == (0.25, 0.75)
    assert found.checkpoints == {"jafar": "untrained"} and found.reference == "anyup"
    assert page_options()["components"].meant(found.components) == (3, 4, 5)
