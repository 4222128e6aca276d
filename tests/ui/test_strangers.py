"""Whatever strangers send, the endpoints and the page give a result or one sentence."""

import io
import json
import re
import string

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

gr = pytest.importorskip("gradio")

from starlette.middleware import Middleware  # noqa: E402

from explorer.access_policy import AccessPolicy  # noqa: E402
from explorer.resources.user_message import TROUBLE  # noqa: E402
from explorer.server.gateway import Gateway  # noqa: E402
from explorer.server.guard import protect  # noqa: E402
from explorer.session import Session  # noqa: E402
from explorer.ui import layout  # noqa: E402
from explorer.ui.choices import example_photos  # noqa: E402
from explorer.ui.page import AUTOMATIC  # noqa: E402
from explorer.ui.settings import Settings, page_options  # noqa: E402

FUZZ = {"deadline": None, "suppress_health_check": list(HealthCheck)}
EVIL = (
    "<script>alert(1)</script>",
    "${7*7}{{x}}",
    "../../etc/passwd",
    "a\0b",
    "\u202e",
    "",
    "x" * 5000,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(made))
        yield made


@pytest.fixture(scope="module")
def demo(folder):
    limits = AccessPolicy(trust_names=False, longest=96)
    made = layout.build(Session("cpu", allow_network=False, limits=limits, share=0.5))
    protect(made, request_seconds=60.0)
    return made


@pytest.fixture(scope="module")
def events(demo):
    return {event.api_name: event.fn for event in demo.fns.values()}


@pytest.fixture(scope="module")
def files(folder):
    return {n: write(folder, n, data) for n, data in enumerate(bodies())}


def write(folder, number, data):
    path = folder / f"{number}<img src=x>.png"
    path.write_bytes(data)
    return str(path)


def picture(mode="RGB", size=(40, 30), kind="PNG", **options):
    out = io.BytesIO()
    values = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 4), dtype=np.uint8)
    Image.fromarray(values).convert(mode).save(out, kind, **options)
    return out.getvalue()


def bodies():
    """Good photos of many kinds, and files that are none or nearly one."""
    good = [picture(), picture("L", (1, 1)), picture("RGBA", (200, 3)), picture("1", (33, 77))]
    good += [picture("P", kind="GIF"), picture(kind="JPEG"), picture("CMYK", kind="JPEG")]
    jpeg, png = picture(kind="JPEG"), picture()
    bad = [b"", b"\0", b"not a photo", jpeg[: len(jpeg) // 2], png[:40], png + b"tail"]
    bad += [
        b"GIF89a" + b"\xff" * 30,
        b"%PDF-1.4",
        b"<svg onload='alert(1)'/>",
        b"\x89PNG\r\n\x1a\n",
    ]
    bomb = bytearray(picture("1", (8, 8)))
    bomb[16:24] = (60000).to_bytes(4, "big") * 2  # the header promises 3.6 gigapixels
    return good + [*bad, bytes(bomb)]


def sentence(text, folder):
    """One sentence about the input: nothing of the server in it, no generic excuse."""
    assert 8 < len(text) < 2000 and "Traceback" not in text and TROUBLE not in text, text
    # the visitor's own word may be said back, cut short or not
    quoted = re.sub("/etc/p(asswd|[a-z]*…)", "", text)
    assert str(folder) not in text and "/etc/" not in quoted, text
    assert not re.search(r"File \".*\", line", text)


names = st.sampled_from(["efficientnet_lite0", "resnet18.a1_in1k", "efficientnet_lite0:x", *EVIL])
methods = st.sampled_from(["nearest", "bilinear", "jbu", "anyup", "nonsense", *EVIL])
odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_subnormal=False),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
sizes = st.one_of(st.sampled_from([32, 64, 96]), st.sampled_from([0, -1, 31, 97, 4096, 10**9]), odd)
checkpoints = st.one_of(
    st.just({}),
    st.just({"anyup": "untrained"}),
    st.dictionaries(methods, st.sampled_from(["/etc/passwd", "x.pth", "anyup_paper", *EVIL])),
    odd,
)
points = st.one_of(st.integers(-2, 100), odd)
photos = st.one_of(
    st.integers(0, len(bodies()) - 1).map(lambda n: ("file", n)),
    st.sampled_from([None, {}, {"path": None}, {"path": "/etc/passwd"}, {"path": 5}, "x", []]).map(
        lambda value: ("raw", value)
    ),
    st.just(("file", 0)),
)
common = {
    "photo": photos,
    "backbones": st.one_of(st.lists(names, max_size=4), st.just(["efficientnet_lite0"]), odd),
    "upsamplers": st.one_of(st.lists(methods, max_size=4), st.just(["nearest", "anyup"]), odd),
    "input_size": st.one_of(st.just(64), sizes),
    "output_size": st.one_of(st.just(64), sizes),
    "checkpoints": checkpoints,
}
GOOD = {
    "photo": ("file", 0),
    "backbones": ["efficientnet_lite0"],
    "upsamplers": ["nearest", "anyup"],
    "input_size": 64,
    "output_size": 64,
    "checkpoints": {},
    "components": "1-3",
    "percentile": 1.0,
    "row": 5,
    "col": 7,
    "head": "mean",
    "window_ratio": None,
    "threshold": None,
    "second": ("raw", None),
    "probe": "segmentation",
    "show": "prediction",
    "opacity": 0.5,
    "reference": None,
}
shares = st.one_of(st.none(), st.floats(-1, 1, allow_subnormal=False), odd)
endpoints = {
    "explore": common
    | {
        "components": st.one_of(st.sampled_from(["1-3", "4-6", "10-12", "3-1", "0-2"]), odd),
        "percentile": st.one_of(st.floats(0, 10, allow_subnormal=False), odd),
    },
    "attention": common
    | {
        "row": points,
        "col": points,
        "head": st.one_of(st.sampled_from(["mean", "0", "3", "9"]), odd),
        "window_ratio": shares,
    },
    "similarity": common | {"row": points, "col": points, "threshold": shares, "second": photos},
    "probe": common
    | {
        "probe": st.one_of(st.sampled_from(["segmentation", "depth", "/etc/passwd"]), odd),
        "show": st.one_of(st.sampled_from(["prediction", "confidence", "disagreement"]), odd),
        "opacity": shares,
        "reference": st.one_of(st.none(), methods, odd),
    },
}
ORDER = {
    "explore": "photo backbones upsamplers input_size output_size components percentile "
    "checkpoints",
    "attention": "photo row col backbones upsamplers input_size output_size head window_ratio "
    "checkpoints",
    "similarity": "photo row col backbones upsamplers input_size output_size threshold second "
    "checkpoints",
    "probe": "photo probe show backbones upsamplers input_size output_size opacity reference "
    "checkpoints",
}


@st.composite
def requests(draw, fields):
    """A request that is right but for up to three of its fields."""
    wrong = draw(st.sets(st.sampled_from(sorted(fields)), max_size=3))
    return {name: draw(fields[name]) if name in wrong else GOOD[name] for name in fields}


@pytest.mark.parametrize(("endpoint", "examples"), [(name, 85) for name in endpoints])
def test_endpoints_give_a_result_or_one_sentence(endpoint, examples, events, files, folder):
    answered = []

    @settings(max_examples=examples, **FUZZ)
    @given(requests(endpoints[endpoint]))
    def check(asked):
        for name in ("photo", "second"):
            if name in asked:
                kind, value = asked[name]
                asked[name] = {"path": files[value]} if kind == "file" else value
        try:
            panels = events[endpoint](*(asked[name] for name in ORDER[endpoint].split()))
        except gr.Error as error:
            assert not error.print_exception
            sentence(str(error.message), folder)
            return
        answered.append(len(panels))
        json.dumps(panels)
        for panel in panels:
            if panel["error"]:
                sentence(panel["error"], folder)
            else:
                assert Image.open(panel["image"]["path"]).size

    check()
    assert len(answered) > 5  # the strategy is not so wild that nothing is ever right


def test_the_page_gives_a_result_or_one_sentence(demo, files, folder):
    event = next(
        event
        for event in demo.fns.values()
        if event.fn and event.fn.__name__ == "rerun" and event.outputs[0].elem_id == "grid"
    )
    usual = Settings(upsamplers=("nearest", "anyup"), input_size=64, output_size=64)
    wild = {
        "backbones": st.lists(names, max_size=4),
        "upsamplers": st.lists(methods, max_size=4),
        "input_size": sizes,
        "output_size": sizes,
        "view": st.sampled_from(["pca", "attention", "reach", "similarity", "difference", "x"]),
        "components": st.one_of(st.just("1-3"), st.text(max_size=9)),
        "percentile": odd,
        "window": st.sampled_from(["checkpoint", "none", "0.1", "x"]),
        "reference": methods,
    }
    labels = ("backbones", "upsamplers", "input_size", "output_size", "view", *page_options())
    # Gradio lets a path through or nothing
    paths = st.one_of(
        st.integers(0, len(files) - 1).map(files.get),
        st.sampled_from([None, "", "/etc/passwd", "x.png", "a\0b"]),
        st.just(files[0]),
    )

    @settings(max_examples=60, **FUZZ)
    @given(paths, st.fixed_dictionaries({}, optional=wild), st.just(AUTOMATIC) | odd)
    def check(path, changed, weights):
        values = [changed.get(name, getattr(usual, name)) for name in labels]
        values = [list(one) if isinstance(one, tuple) else one for one in values]
        rest = len(event.inputs) - 3 - len(values)  # shown, photo, query
        try:
            parts = list(event.fn(None, path, None, *values, *[str(weights)] * (rest - 1), None))
        except gr.Error as error:
            sentence(str(error.message), folder)
            return
        status = [part[1] for part in parts if isinstance(part[1], dict) and "kind" in part[1]]
        assert status and status[-1]["kind"] in ("done", "error")
        if status[-1]["kind"] == "error":
            sentence(status[-1]["text"], folder)

    check()


@given(st.dictionaries(st.text(max_size=8) | st.sampled_from(["query", "checkpoints"]), st.text()))
def test_any_address_is_read(pairs):
    found = Settings.parse(pairs)
    assert Settings.parse(found.query_string()).query_string() == found.query_string()


@pytest.mark.slow
def test_over_http(serve, demo, folder):
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    middleware = {"middleware": [Middleware(Gateway)]}
    address = serve(demo, strict_cors=True, max_file_size="1mb", app_kwargs=middleware)
    client = Client(address, verbose=False)
    chance = np.random.default_rng(0)
    good = str(example_photos()["cat"])
    wrong = [None, -1, 1e9, "x", [], {}, True, *EVIL[:4]]
    fields = ("photo", "backbones", "upsamplers", "input_size", "output_size", "components")
    for number in range(20):
        asked = {"photo": handle_file(good), "upsamplers": ["nearest"]}
        asked |= {"input_size": 64, "output_size": 64}
        asked[fields[number % len(fields)]] = wrong[int(chance.integers(len(wrong)))]
        try:
            assert client.predict(api_name="/explore", **asked)
        except AppError as error:
            sentence(str(error), folder)
    import httpx

    for body in (b"", b"{", b"[]", b"null", json.dumps({"data": "x"}).encode(), b"\xff" * 100):
        for place in ("queue/join", "call/explore", "call/v2/explore", "cancel", "reset", "upload"):
            answer = httpx.post(f"{address}gradio_api/{place}", content=body, timeout=60)
            assert answer.status_code < 500, (place, body, answer.text)
            assert "Traceback" not in answer.text
    word = "".join(chance.choice(list(string.ascii_letters), 12))
    assert word not in httpx.get(f"{address}gradio_api/file={word}", timeout=60).headers
