"""Serving strangers: guards, limits, headers, health, logs, deadlines, full disks, lost memory."""

import errno
import json
import logging
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import torch

gr = pytest.importorskip("gradio")

from explorer import estimates  # noqa: E402
from explorer.access_policy import AccessPolicy  # noqa: E402
from explorer.core import ExplorerError, FeatureMap, UnknownNameError  # noqa: E402
from explorer.imaging import open_photo  # noqa: E402
from explorer.resources import memory  # noqa: E402
from explorer.resources.cache import Cache  # noqa: E402
from explorer.resources.request_context import (  # noqa: E402
    RequestContext,
    TooSlowError,
    check_time,
    use,
)
from explorer.server import cleanup, json_log, serving, zero_gpu  # noqa: E402
from explorer.server.arguments import check_arguments  # noqa: E402
from explorer.server.gateway import Gateway  # noqa: E402
from explorer.server.guard import guarded, typed  # noqa: E402
from explorer.server.request_info import asked, seconds  # noqa: E402
from explorer.session import Options, Session  # noqa: E402
from explorer.ui import layout  # noqa: E402
from explorer.ui.choices import example_photos  # noqa: E402
from explorer.ui.photo_input import read_photo  # noqa: E402
from explorer.upsamplers import UPSAMPLERS  # noqa: E402
from explorer.upsamplers.anyup import AnyUp  # noqa: E402
from explorer.upsamplers.half_precision import EXACT, HALF, prepare  # noqa: E402

STRANGERS = AccessPolicy(trust_names=False, longest=2048)
SMALL = {"input_size": 64, "output_size": 64}


@pytest.fixture(scope="module")
def photo():
    return open_photo(example_photos()["cat"])


@pytest.fixture(scope="module")
def session():
    return Session("cpu", allow_network=False, limits=STRANGERS, share=0.5)


@pytest.fixture(scope="module")
def address(serve, session, tmp_path_factory):
    own = serving.Serving(upload_mb=1, request_seconds=60.0)
    demo = layout.build(session)
    options = serving.prepare(demo, session, own)
    options.pop("ssr_mode")
    return serve(demo, css=layout.CSS, **options)


@pytest.fixture(scope="module")
def client(address):
    from gradio_client import Client

    return Client(address, verbose=False)


def refused(client, **changes):
    from gradio_client import handle_file
    from gradio_client.exceptions import AppError

    photo = handle_file(str(example_photos()["cat"]))
    settings = {"photo": photo, "upsamplers": ["nearest"]} | SMALL | changes
    with pytest.raises(AppError) as caught:
        client.predict(api_name="/explore", **settings)
    return str(caught.value)


START = '{"time"'


def logged(capfd):
    """What the log got since it was last read; a line torn by another cannot be read and fails.

    A library's own output may lack its line end, and stand before a line of the log.
    """
    lines = capfd.readouterr().err.splitlines()
    return [json.loads(line[line.index(START) :]) for line in lines if START in line]


# --- over HTTP ---


def test_health_and_headers(address):
    answer = httpx.get(f"{address}healthz")
    told = answer.json()
    assert answer.status_code == 200 and told["status"] == "ok" and told["device"] == "cpu"
    assert told["version"] and told["queue_length"] == 0 and told["running"] == 0
    for page in (answer, httpx.get(address, timeout=60)):
        assert page.headers["x-content-type-options"] == "nosniff"
        assert "referrer-policy" in page.headers
        frames = page.headers["content-security-policy"]
        assert "frame-ancestors 'self' https://huggingface.co" in frames
        assert "x-frame-options" not in page.headers


def test_no_other_site_may_read_answers(address):
    told = httpx.get(f"{address}config", headers={"Origin": "https://evil.example"}, timeout=60)
    assert told.headers.get("access-control-allow-origin") != "https://evil.example"
    assert told.headers.get("access-control-allow-origin") != "*"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "gradio_api/run/explore", b'{"data": []}', 404),  # nobody passes the queue by
        ("POST", "gradio_api/queue/join", b"x" * 5_000_000, 413),
        ("POST", "gradio_api/process_recording", b"x", 404),
        ("GET", "gradio_api/file=/etc/passwd", None, 403),
        ("GET", f"gradio_api/file={os.getcwd()}/explorer/core.py", None, 403),
        ("GET", "gradio_api/file=%2e%2e/%2e%2e/etc/passwd", None, 403),
        ("GET", "gradio_api/proxy=http://127.0.0.1:1/x", None, 400),
        ("GET", "monitoring/summary", None, 403),
        ("POST", "gradio_api/queue/join", b"[1", 422),
    ],
)
def test_doors_that_are_closed(address, method, path, body, status):
    kind = {"content-type": "application/json"}
    answer = httpx.request(method, address + path, content=body, headers=kind, timeout=60)
    assert answer.status_code == status and "Traceback" not in answer.text


def test_large_and_many_uploads_are_refused(address):
    def upload(size):
        files = {"files": ("x.png", b"x" * size)}
        # what a proxy on this machine would say: everybody else goes on undisturbed
        known = {"x-forwarded-for": "203.0.113.9"}
        return httpx.post(f"{address}gradio_api/upload", files=files, headers=known, timeout=60)

    assert upload(1_500_000).status_code == 413
    found = [upload(900_000) for _ in range(10)]
    assert found[0].status_code == 200 and found[-1].status_code == 429
    assert found[-1].text.startswith("more than 8 MB were uploaded from your address")


def test_files_of_the_server_and_addresses_are_never_read(client, tmp_path):
    from PIL import Image

    secret = tmp_path / "secret.png"
    Image.new("RGB", (50, 50), "red").save(secret)
    meta = {"_type": "gradio.FileData"}
    for path in (str(secret), "/etc/passwd", f"{tmp_path}/../{tmp_path.name}/secret.png"):
        told = refused(client, photo={"path": path})
        assert "uploaded here" in told and "secret" not in told
    told = refused(client, photo={"path": "http://127.0.0.1:1/x.png", "meta": meta})
    assert "not fetched" in told


@pytest.mark.slow
def test_names_of_strangers(client):
    from gradio_client import handle_file

    def error(**changes):
        settings = {"backbones": ["efficientnet_lite0"], "upsamplers": ["anyup"]} | SMALL | changes
        photo = handle_file(str(example_photos()["cat"]))
        return client.predict(photo=photo, api_name="/explore", **settings)[-1]["error"]

    assert "not offered here" in error(backbones=["resnet18.a1_in1k"])
    assert "has the stages" in error(backbones=["efficientnet_lite0:../x"])
    path = f"{os.getcwd()}/checkpoints/anyup_efficientnet_lite.safetensors"
    assert "paths only" in error(checkpoints={"anyup": path})
    assert error(checkpoints={"anyup": "untrained"}) is None
    assert "at most 2048" in error(output_size=4000)


@pytest.mark.slow
def test_wrong_types_are_named(client):
    assert refused(client, input_size="abc").startswith("input_size must be a whole number")
    assert refused(client, backbones=None).startswith("backbones must be a list")
    assert refused(client, upsamplers=[1]).startswith("upsamplers must be a list")
    assert refused(client, checkpoints=[1]).startswith("checkpoints must be an object")
    assert refused(client, photo="hello").startswith("photo must be an object")
    assert refused(client, percentile="x").startswith("percentile must be a number")


@pytest.mark.slow
def test_log_lines_hold_no_names_of_files(client, capfd, tmp_path):
    from gradio_client import handle_file
    from PIL import Image

    Image.new("RGB", (64, 48), "navy").save(tmp_path / "private-holiday.png")
    capfd.readouterr()
    photo = handle_file(str(tmp_path / "private-holiday.png"))
    client.predict(photo=photo, upsamplers=["nearest"], api_name="/explore", **SMALL)
    time.sleep(0.2)
    lines = logged(capfd)
    told = [line for line in lines if line["event"] == "explore"][-1]
    assert told["ended"] == "answered" and told["seconds"] >= 0
    assert told["upsamplers"] == ["nearest"] and told["output_size"] == 64 and told["time"]
    assert not any("holiday" in str(line) for line in lines)


@pytest.mark.browser
def test_the_guarded_page_works_and_shows_names_as_text(address, visit):
    evil = "<img src=x onerror=window.hacked=1>${window.hacked=2}{{x}}"
    from urllib.parse import quote

    small = "?example=cat&input_size=128&output_size=64&upsamplers=nearest,bilinear"
    page = visit(address + small, ready="#status .status")
    page.wait_for_selector("#status .status.done", timeout=120_000)
    again = visit(f"{address}{small}&backbones={quote(evil)}", ready="#status .status")
    again.wait_for_function("document.body.innerText.includes('not offered here')", timeout=120_000)
    assert again.evaluate("window.hacked") is None


# --- the guard ---


def quick(limit=None):
    return guarded(lambda: check_time() or 1, "x", lambda args: {}, limit)


def test_errors_become_one_sentence(capfd):
    def fails():
        raise KeyError("/secret/path/photo.png")

    with pytest.raises(gr.Error) as caught:
        guarded(fails, "boom", lambda args: {}, None)()
    assert "Something went wrong" in str(caught.value) and "secret" not in str(caught.value)
    assert not caught.value.print_exception
    told = [line for line in logged(capfd) if line["event"] == "boom"][-1]
    assert told["ended"] == "failed" and told["error"] == "KeyError"


def test_lines_of_requests_that_end_at_once_stay_whole(capfd):
    def ends_often(number):
        for _ in range(100):
            json_log.write("ended here", number=number)

    capfd.readouterr()
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=ends_often, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switching)
    assert sum(line["event"] == "ended here" for line in logged(capfd)) == 800


def test_a_generator_that_breaks_midway_has_given_what_it_had():
    def stream(n):
        for i in range(n):
            if i == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            yield i

    seen = []
    with pytest.raises(gr.Error, match="disk is full"):
        for part in guarded(stream, "s", lambda args: {}, None)(5):
            seen.append(part)
    assert seen == [0, 1]


def test_deadlines_end_slow_requests_between_steps(session, photo):
    with use(RequestContext("me", time.monotonic() - 1, 7)):
        with pytest.raises(TooSlowError, match="longer than the 7 seconds"):
            session.features(Options(photo, **SMALL), "efficientnet_lite0")

    def slow():
        time.sleep(0.05)
        check_time()
        yield 1

    with pytest.raises(gr.Error, match="seconds a request gets"):
        list(guarded(slow, "slow", lambda args: {}, 0.01)())
    assert quick(100)() == 1


def test_arguments_by_annotation():
    def endpoint(n: int, x: float | None, names: list[str], more: dict = {}) -> None:  # noqa: B006
        pass

    check_arguments(endpoint, (1, 0.5, ["a"], {}))
    check_arguments(endpoint, (1, None, []))
    for wrong in ((True, 1, []), (1.5, 1, []), (1, float("nan"), []), (1, 1, "ab"), (1, 1, [3])):
        with pytest.raises(ExplorerError):
            check_arguments(endpoint, wrong)
    with pytest.raises(ExplorerError):
        typed(endpoint)(1, 1, ["a"] * 65)


def test_what_is_asked_is_read_off_names():
    def explore(photo, backbones, upsamplers, input_size=1):
        pass

    found = asked(explore, [object()] * 4, ({"path": "/x"}, ["a"], ["anyup", "b"], 512))
    assert found == {"backbones": ["a"], "upsamplers": ["anyup", "b"], "input_size": 512}
    assert estimates.LEAST_SECONDS <= seconds(found) <= estimates.MOST_SECONDS
    assert seconds({"upsamplers": ["anyup"] * 4, "output_size": 2048}) == estimates.MOST_SECONDS
    assert seconds({}) == estimates.LEAST_SECONDS


def test_zero_gpu_is_left_alone_elsewhere(monkeypatch):
    def event():
        return 1

    assert not zero_gpu.is_zero() and zero_gpu.on_gpu(event, lambda: 5) is event

    class Spaces:
        @staticmethod
        def GPU(duration):  # noqa: N802
            return lambda fn: (fn, duration)

    monkeypatch.setattr(zero_gpu, "spaces", Spaces)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    made, duration = zero_gpu.on_gpu(event, lambda: 5)
    assert made is event and duration() == 5


def test_log_records_carry_no_paths():
    try:
        raise ValueError("cannot read /tmp/uploads/abc/holiday.jpg, sorry")
    except ValueError as error:
        record = logging.LogRecord("x", 40, "f", 1, "failed at /home/me", (), None)
        record.exc_info = (type(error), error, error.__traceback__)
    told = json.loads(json_log.Lines().format(record))
    assert told["error"] == "ValueError" and "holiday" not in str(told)
    assert told["text"] == "failed at <path>" and told["at"][0].startswith("test_serving.py:")


# --- names and files ---


def test_only_uploads_and_examples_are_photos(tmp_path):
    with pytest.raises(ExplorerError, match="uploaded here"):
        read_photo(str(tmp_path / "x.png"))
    for odd in (7, "a\0b", ["x"], {"a": 1}):
        with pytest.raises(ExplorerError):
            read_photo(odd)
    assert read_photo(str(example_photos()["cat"])).size


def test_limits():
    STRANGERS.check_backbone("efficientnet_lite1:multi")
    STRANGERS.check_backbone("resnet50.a1_in1k:2")
    for name in (
        "resnet18.a1_in1k",
        "x" * 9000,
        "../x",
        "efficientnet_lite0:",
        "resnet50.a1_in1k:²",
    ):
        with pytest.raises(UnknownNameError):
            STRANGERS.check_backbone(name)
        AccessPolicy().check_backbone(name)
    STRANGERS.check_checkpoint("anyup", "untrained")
    STRANGERS.check_checkpoint("anyup", "anyup_paper")
    for wanted in ("checkpoints/a.safetensors", "/etc/passwd", "jafar_x", "", "a.pth"):
        with pytest.raises(UnknownNameError):
            STRANGERS.check_checkpoint("anyup", wanted)
        AccessPolicy().check_checkpoint("anyup", wanted)


def test_a_cached_timm_model_is_offered(monkeypatch):
    monkeypatch.setattr(
        "explorer.access_policy.weights_cached", lambda name: name == "resnet18.a1_in1k"
    )
    STRANGERS.check_backbone("resnet18.a1_in1k")
    with pytest.raises(UnknownNameError):
        STRANGERS.check_backbone("resnet34.a1_in1k")


# --- the cache ---


def test_nobody_fills_more_than_a_share():
    cache = Cache(1000, share=0.5)
    bits = torch.zeros(100, dtype=torch.uint8)

    def ask(who, key):
        with use(RequestContext(who)):
            cache.get(key, bits.clone)

    ask("a", "a0")
    for n in range(9):
        ask("b", f"b{n}")
    assert "a0" in cache and cache.used == 600
    assert "b8" in cache and "b4" in cache and "b3" not in cache


def test_what_nobody_asks_for_expires():
    cache = Cache(1000)
    cache.get("old", lambda: torch.zeros(10))
    time.sleep(0.05)
    cache.get("new", lambda: torch.zeros(10))
    assert cache.expire(0.03) == 1 and "new" in cache and "old" not in cache and cache.used == 40


# --- files ---


def test_old_files_leave_first(tmp_path):
    now = time.time()
    for name, age in (("old", 9000), ("middle", 2000), ("fresh", 10)):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "x.png"
        path.write_bytes(b"x" * 100)
        os.utime(path, (now - age, now - age))
        os.utime(tmp_path / name, (now - age, now - age))
    assert cleanup.sweep(tmp_path, now, old=5000, most=10**9) == (1, 100)
    assert not (tmp_path / "old" / "x.png").exists() and (tmp_path / "middle" / "x.png").exists()
    assert cleanup.sweep(tmp_path, now, old=5000, most=50) == (1, 100)
    assert (tmp_path / "fresh" / "x.png").exists()  # somebody is looking at it
    assert cleanup.sweep(tmp_path, now + 400, old=5000, most=10**9) == (0, 0)
    assert sorted(place.name for place in tmp_path.iterdir()) == ["fresh"]  # no empty folders


def test_sweeping_goes_on_whatever_happens(session, monkeypatch, capfd):
    calls = []

    def breaks(folder):
        calls.append(folder)
        raise OSError("disk on fire")

    monkeypatch.setattr(cleanup, "sweep", breaks)
    monkeypatch.setattr(cleanup, "EVERY", 0.01)
    stop = threading.Event()
    thread = cleanup.keep_sweeping(session, stop)
    time.sleep(0.2)
    stop.set()
    thread.join(5)
    assert len(calls) > 1 and not thread.is_alive()
    assert "disk on fire" in capfd.readouterr().err


def test_a_full_disk_is_a_sentence_and_no_half_picture(session, photo, monkeypatch, tmp_path):
    from PIL import Image

    from explorer.ui.grid import picture_file
    from explorer.ui.status import error_status
    from explorer.views import VIEWS

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    panels = VIEWS.create("pca").render(session, Options(photo, upsamplers=("nearest",), **SMALL))

    def full(*args, **named):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(Image.Image, "save", full)
        with pytest.raises(OSError) as caught:
            picture_file(panels[0])
    assert "disk is full" in error_status(caught.value, logging.getLogger("quiet"))["text"]
    assert not list(tmp_path.rglob("panel.png"))
    assert Image.open(picture_file(panels[0])).size  # once there is room again


# --- memory ---


def test_what_cannot_fit_is_refused_with_the_numbers(photo, monkeypatch):
    session = Session("cpu", allow_network=False)
    options = Options(photo, upsamplers=("anyup",), **SMALL)
    session.features(options, "efficientnet_lite0")
    monkeypatch.setattr(memory, "free_bytes", lambda device: memory.GIB // 2 + 2**20)
    with pytest.raises(
        memory.TooLargeError,
        match=r"AnyUp at 64x\d+ needs about 0.\d GiB and 0.0 GiB|"
        r"AnyUp at \d+x64 needs about 0.\d GiB and 0.0 GiB",
    ):
        session.resampler(options, "efficientnet_lite0", "anyup")


def test_there_is_memory_here():
    free = memory.free_bytes(torch.device("cpu"))
    assert free is None or 2**24 < free < 2**50
    assert estimates.upsampling_bytes("anyup", 384, (32, 32), (448, 448)) < memory.GIB
    larger = estimates.upsampling_bytes("anyup", 384, (128, 128), (2048, 2048))
    assert larger > 4 * estimates.upsampling_bytes("bilinear", 384, (128, 128), (2048, 2048))


def test_lost_memory_is_answered_by_smaller_blocks():
    torch.manual_seed(0)
    method = AnyUp(qk_dim=32).eval().requires_grad_(False)
    features = FeatureMap(torch.randn(1, 8, 6, 6), "x", (96, 96))
    made = method.prepare(torch.rand(1, 3, 48, 48), features, (48, 48))
    kind, blocks, released = type(made), [], []
    usual = kind._weights

    def counted(self, *spans):
        blocks[:] = [sum(blocks) + 1]
        return usual(self, *spans)

    def short(self, q_rows, q_cols, k_rows, k_cols):
        blocks.append(memory.tile_bytes(1600))
        if memory.tile_bytes(1600) > 100:  # as if only the smallest blocks fitted
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
        return usual(self, q_rows, q_cols, k_rows, k_cols)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("explorer.upsamplers.attention.BLOCK_BYTES", 2**16)
        patch.setattr(
            kind, "_weights", lambda self, *spans: blocks.append(0) or usual(self, *spans)
        )
        wanted, before = made.features(), len(blocks)
        blocks.clear()
        patch.setattr(kind, "_weights", short)
        found = memory.in_tiles(lambda: made.features(), "this", lambda: released.append(1))
        assert torch.allclose(found, wanted, atol=1e-5)
        assert blocks[:2] == [1600, 400] and set(blocks[2:]) == {100} and len(released) == 2
        assert len(blocks) > before  # more blocks, because they are smaller
        patch.setattr(memory, "tile_bytes", lambda usual: 101)
        with pytest.raises(memory.TooLargeError, match="does not suffice for this"):
            memory.in_tiles(lambda: made.features(), "this", lambda: None)
    assert memory.tile_bytes(100) == 100


def test_a_session_goes_on_after_lost_memory(session, photo, monkeypatch):
    options = Options(photo, upsamplers=("jbu",), **SMALL)
    kind, calls = UPSAMPLERS.get("jbu"), []
    usual = kind._prepare

    def once(self, *args):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        return usual(self, *args)

    monkeypatch.setattr(kind, "_prepare", once)
    assert session.resampler(options, "efficientnet_lite0", "jbu") and len(calls) == 2


def test_other_errors_are_not_taken_for_lost_memory():
    with pytest.raises(RuntimeError, match="shape"):
        memory.in_tiles(lambda: (_ for _ in ()).throw(RuntimeError("shape")), "x", lambda: None)


# --- precision ---


def test_half_precision_stays_close_and_gives_float32():
    torch.manual_seed(0)
    method = AnyUp(qk_dim=32).eval().requires_grad_(False)
    image, features = torch.rand(1, 3, 48, 48), torch.randn(1, 8, 6, 6)
    exact = prepare(method, image, features, (48, 48), EXACT).features()
    half = prepare(method, image, features, (48, 48), HALF)
    assert half.queries.dtype == half.keys.dtype == torch.float32
    found = half.features()
    assert found.dtype == torch.float32 and not torch.equal(found, exact)
    assert torch.cosine_similarity(found, exact, dim=1).mean() > 0.99
    plain = UPSAMPLERS.create("bilinear")
    both = [prepare(plain, image, features, (48, 48), kind).features() for kind in (EXACT, HALF)]
    assert torch.equal(*both)
    with pytest.raises(ExplorerError):
        Session("cpu", encoders="float8")


def test_uploads_are_counted_whatever_the_headers_say():
    import asyncio

    async def app(scope, receive, send):
        while (message := await receive())["type"] == "http.request":
            if not message.get("more_body"):
                break
        seen.append(message["type"])

    async def run(gateway, size):
        parts = [{"type": "http.request", "body": b"x" * size, "more_body": False}]
        scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "headers": []}

        async def receive():
            return parts.pop()

        async def send(message):
            seen.append(message.get("status"))

        await gateway(scope | {"client": ("1.2.3.4", 5)}, receive, send)

    seen = []
    gateway = Gateway(app, upload_bytes=1000)
    with ThreadPoolExecutor(1) as pool:  # the browser's tests keep a loop running in this thread
        for size in (900, 900, 1):
            pool.submit(asyncio.run, run(gateway, size)).result()
    assert seen[:2] == ["http.request", "http.disconnect"] and 429 in seen[2:]
