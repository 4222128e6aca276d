"""What a visitor sees when the Hub, the disk, a worker or the server itself fails: the real server
in a process of its own, the real Hub client, a browser.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from browser import SLOWEST
from PIL import Image
from safetensors.torch import save

sys.path.append(str(Path(__file__).parents[1] / "weights"))
from fake_hub import FakeHub, Fault  # noqa: E402

from explorer.commands.bench.load import Running  # noqa: E402
from explorer.ui.choices import example_photos  # noqa: E402
from explorer.upsamplers.anyup import AnyUp  # noqa: E402
from explorer.weights import checkpoint, write_card  # noqa: E402
from explorer.weights.loading import converted_card  # noqa: E402
from explorer.weights.paths import write_weights  # noqa: E402

pytestmark = pytest.mark.browser

MIRROR, PINNED = "lab/mirror", "anyup_paper"
VIT, SLOW, LATE, LOST = (f"test_{n}.r160_in1k" for n in ("vit", "vit2", "vit3", "resnet"))
REQUEST_SECONDS = 12
SEES = """() => {
    const all = (place) => [...document.querySelectorAll(place)];
    const cards = all("#grid .fx-card:not(.fx-error):not(.fx-blank):not(.fx-busy)");
    return {
        status: document.querySelector("#status .status")?.textContent ?? "",
        kind: document.querySelector("#status .status")?.className ?? "",
        notices: all("#grid .fx-notice").map((one) => one.textContent).filter(Boolean),
        origins: cards.map((one) => one.querySelector(".fx-badge")?.textContent),
        pictures: cards.length,
        busy: all("#grid .fx-busy").length,
        toasts: all(".toast-body").map((one) => one.innerText),
        body: document.body.innerText,
    };
}"""


@dataclass
class Lab:
    """A server, the Hub it asks, and the folders it writes to; ``disk`` is small if it could be."""

    running: Running
    hub: FakeHub
    folder: Path
    small_disk: str | None  # why it is not small

    @property
    def disk(self) -> Path:
        return self.folder / "disk"

    def address(self, *upsamplers: str, **settings: str) -> str:
        query = {"example": "cat", "input_size": "128", "output_size": "96"} | settings
        query["upsamplers"] = ",".join(upsamplers)
        return f"{self.running.address}/?{'&'.join(f'{k}={v}' for k, v in query.items())}"

    def offer(self, name: str) -> bytes:
        """Put random weights of a small timm model on the Hub; return the file."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            made = save(timm.create_model(name.partition(".")[0]).state_dict())
        self.hub.put(f"timm/{name}", "model.safetensors", made)
        return made

    def well(self) -> None:
        self.hub.faults.clear()

    def fault(self, name: str, kind: str, value: int = 0, **more: Any) -> None:
        self.hub.faults[f"/timm/{name}/model.safetensors"] = [Fault(kind, value, **more)]

    def slow(self, name: str, seconds: float) -> None:
        """Let the weights trickle in over so many seconds."""
        chunks = len(self.hub.files[f"/timm/{name}/model.safetensors"]) / 4096
        self.fault(name, "slow", round(1000 * seconds / chunks))

    def cached(self, repo: str) -> dict[str, bytes]:
        """The contents of a repository's files in the Hub's cache, by the names of the blobs."""
        place, found = self.disk / "hf" / "hub" / f"models--{repo.replace('/', '--')}", {}
        for path in place.glob("blobs/*"):
            with suppress(FileNotFoundError):  # another request's, refused meanwhile
                found[path.name] = path.read_bytes()
        return found

    def has_nothing_of(self, repo: str) -> bool:
        return not self.cached(repo) and not self.partial()

    def partial(self) -> list[Path]:
        endings = (".incomplete", ".part")
        return [p for p in self.folder.rglob("*") if p.name.endswith(endings)]

    def is_well(self) -> bool:
        told = self.running.health()
        return bool(told) and told["status"] == "ok"


@pytest.fixture(scope="module")
def lab(chromium, tmp_path_factory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("faults")
    (folder / "disk").mkdir()
    (folder / "checkpoints").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder / "disk")]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
        why = done.stderr.strip() if done.returncode else None
    except OSError as error:
        why = str(error)
    hub = FakeHub()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nowhere = "http://127.0.0.1:9"  # no test leaves the machine
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "EXPLORER_"))}
    environment |= {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(folder / "disk" / "hf"),
        "EXPLORER_CACHE": str(folder / "disk" / "cache"),
        "EXPLORER_CHECKPOINTS": str(folder / "checkpoints"),
        "EXPLORER_WEIGHTS_REPO": MIRROR,
        "EXPLORER_WEIGHTS_LOCK": str(folder / "lock.json"),
        "GRADIO_TEMP_DIR": str(folder / "disk" / "served"),
        "FAULT_FLAG": str(folder / "flag"),
        "OMP_NUM_THREADS": "1",  # threads that wait for each other are slow on a busy machine
        **dict.fromkeys(("https_proxy", "HTTPS_PROXY"), nowhere),
        **dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost"),
    }
    command = [sys.executable, str(Path(__file__).with_name("faulty_app.py"))]
    command += ["--port", str(port), "--device", "cpu", "--trust-names"]
    command += ["--request-seconds", str(REQUEST_SECONDS)]
    try:
        running = Running(command, environment, port, folder / "server.log")
        try:
            yield Lab(running, hub, folder, why)
        finally:
            running.stop(signal.SIGKILL)
    finally:
        hub.close()
        if why is None:
            subprocess.run(["umount", str(folder / "disk")], check=True)


def until(page: Any, right: Callable[[dict[str, Any]], Any], seconds: float = 60) -> dict[str, Any]:
    """Return what the page shows once it is ``right``."""
    end = time.monotonic() + seconds
    while not right(seen := page.evaluate(SEES)):
        assert time.monotonic() < end, seen
        page.wait_for_timeout(100)
    assert "Traceback" not in seen["body"] and not re.search(r'\.py", line', seen["body"])
    return seen


def told(page: Any, text: str, pictures: int) -> str:
    """Return the only sentence in the panels, which matches ``text``, once all else is there."""

    def all_there(seen: dict[str, Any]) -> bool:
        done = seen["kind"] == "status done" and not seen["busy"] and seen["pictures"] == pictures
        return done and bool(re.search(text, "".join(seen["notices"])))

    seen = until(page, all_there)
    assert len(seen["notices"]) == 1 and not seen["toasts"], seen
    return seen["notices"][0]


def complete(page: Any, pictures: int) -> dict[str, Any]:
    """Return what the page shows once it has so many pictures and nothing else to say."""
    seen = until(
        page,
        lambda s: s["kind"] == "status done" and s["pictures"] == pictures and not s["busy"],
    )
    assert not seen["notices"] and not seen["toasts"], seen
    return seen


def fill(ballast: Path) -> None:
    """Write until nothing more fits on the disk."""
    size = 2**20
    with ballast.open("wb", buffering=0) as out:
        while size:
            try:
                out.write(bytes(size))
            except OSError:
                size //= 2


def toggle(page: Any, label: str = "Bicubic") -> None:
    """Ask again, with a column more or less: 3 pictures of 2 methods, or 4 of 3, in one row."""
    page.get_by_label(label, exact=True).click()


def test_the_hub_is_down_busy_gated_or_lying(lab, visit):
    lab.offer(VIT)
    gone = lab.hub
    gone.close()  # connections are refused
    page = visit(lab.address("nearest", "jbu", backbones=f"{VIT},efficientnet_lite0"))
    try:
        found = told(page, "cannot be reached", 4)
        assert f"timm/{VIT}/model.safetensors" in found and "try again" in found
    finally:
        lab.hub = FakeHub(gone.server.server_port)
        # connections that were open before are still answered by the old one
        lab.hub.files, lab.hub.faults, lab.hub.requests = gone.files, gone.faults, gone.requests
    lab.fault(VIT, "status", 503)
    toggle(page)
    assert VIT in told(page, r"HTTP 503.*try again later", 5)
    lab.fault(VIT, "status", 403, headers={"X-Error-Code": "GatedRepo"})
    toggle(page)
    found = told(page, "is gated", 4)
    assert VIT in found and "accept its licence" in found and "efficientnet_lite0" in found
    lab.fault(VIT, "wrong")
    toggle(page)
    assert VIT in told(page, "damaged or tampered with.*was removed, try again", 5)
    until(page, lambda _: lab.has_nothing_of(f"timm/{VIT}"))
    assert lab.is_well()
    lab.well()
    toggle(page)
    complete(page, 8)
    assert len(lab.cached(f"timm/{VIT}")) == 1


def test_a_slow_hub_keeps_nobody_waiting_and_the_file_comes(lab, visit):
    content = lab.offer(SLOW)
    lab.slow(SLOW, 9)
    page = visit(lab.address("nearest", "jbu", backbones=f"{SLOW},efficientnet_lite0"))
    assert SLOW in told(page, "still being downloaded.*ask again in a minute", 4)
    toggle(page)  # joins the download that goes on
    until(page, lambda s: s["kind"] == "status done" and s["pictures"] in (5, 10))
    digest = hashlib.sha256(content).hexdigest()
    until(page, lambda s: set(lab.cached(f"timm/{SLOW}")) == {digest})
    asked = [path for method, path, _ in lab.hub.requests if method == "GET" and SLOW in path]
    assert len(asked) == 1 and lab.cached(f"timm/{SLOW}")[digest] == content
    toggle(page)
    complete(page, 8)
    assert not lab.partial() and lab.is_well()


def test_a_mirror_that_lies_about_a_pinned_file(lab, visit, tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_CACHE", str(tmp_path / "cache"))
    row = checkpoint(PINNED)

    def shipped(seed: int) -> tuple[bytes, bytes]:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            state = AnyUp(**row.options).state_dict()
        made = tmp_path / str(seed) / f"{PINNED}.safetensors"
        write_weights(made, state)
        write_card(made, converted_card(row, Path(row.file), row.sha256))  # as it claims
        return made.read_bytes(), made.with_suffix(".json").read_bytes()

    def put(weights: bytes, card: bytes) -> None:
        lab.hub.put(MIRROR, f"{PINNED}.safetensors", weights)
        lab.hub.put(MIRROR, f"{PINNED}.json", card)

    best = visit(lab.address("nearest", "anyup"))
    assert "'untrained' stands for random ones" in told(best, "AnyUp has no weights", 3)

    true, false = shipped(0), shipped(1)
    digest = hashlib.sha256(true[0]).hexdigest()
    pin = {"sha256": digest, "size": len(true[0]), "name": PINNED}
    pinned = {"schema": 1, "pinned": {f"hf://{MIRROR}/{PINNED}.safetensors": pin}, "seen": {}}
    (lab.folder / "lock.json").write_text(json.dumps(pinned))
    put(*false)  # whole, with a card that fits it: only the pin can tell
    page = visit(lab.address("nearest", "jbu", "anyup", checkpoints=f"anyup%3D{PINNED}"))
    found = told(page, "was expected", 4)
    assert PINNED in found and digest in found and "not used" in found
    until(page, lambda _: lab.has_nothing_of(MIRROR))

    put(*true)
    toggle(page)
    assert "published" in complete(page, 6)["origins"]
    assert hashlib.sha256(true[0]).hexdigest() in lab.cached(MIRROR)
    toggle(best)
    assert "published" in complete(best, 5)["origins"]
    assert lab.is_well()


def test_a_full_disk(lab, visit):
    if lab.small_disk is not None:
        pytest.skip(f"no small disk could be mounted: {lab.small_disk}")
    page = visit(lab.address("nearest", "jbu", example="coffee"))
    complete(page, 4)
    lab.offer(LATE)
    ballast = lab.disk / "ballast"
    try:
        fill(ballast)
        toggle(page)
        seen = until(page, lambda s: s["kind"] == "status error")
        assert "disk is full" in seen["status"] and "try again" in seen["status"]
        assert seen["pictures"] == 4 and not seen["busy"] and not seen["toasts"]
        other = visit(lab.address("nearest", example="coffee", backbones=LATE))
        assert "make room in" in told(other, "disk is full", 0)
        until(other, lambda _: lab.has_nothing_of(f"timm/{LATE}"))
        assert lab.is_well()
        small = next(iter(example_photos().values()))
        page.locator("#photo input[type=file]").set_input_files(str(small))
        seen = until(page, lambda s: s["toasts"])
        assert "HTTP 507: the server's disk is nearly full" in seen["toasts"][0]
    finally:
        ballast.unlink()
    complete(visit(lab.address("nearest", example="coffee", backbones=LATE)), 3)
    again = visit(lab.address("nearest", "jbu", "bicubic", example="coffee"))
    complete(again, 5)
    served = list((lab.disk / "served").rglob("*.png"))
    assert len(served) >= 8
    for path in served:
        with Image.open(path) as picture:
            picture.load()  # a truncated file would not
    page.complaints.clear()  # the browser's, about the refused upload


def test_a_worker_that_breaks_takes_no_other_panel_with_it(lab, visit):
    flag = lab.folder / "flag"
    flag.touch()
    page = visit(lab.address("nearest", "jbu", "bilinear", example="flower"))
    try:
        found = told(page, "Something went wrong here", 4)
        assert "secret" not in page.evaluate(SEES)["body"] and "log has the details" in found
    finally:
        flag.unlink()
    logged = lab.running.log.read_text()
    assert '"error": "KeyError"' in logged and "/secret/place" not in logged
    toggle(page)
    complete(page, 6)
    assert lab.is_well()


def test_kill_9_while_somebody_waits_and_a_restart(lab, context):
    content = lab.offer(LOST)
    lab.slow(LOST, 30)
    page = context.new_page()
    try:
        address = lab.address("nearest", "jbu", backbones=f"efficientnet_lite0,{LOST}")
        page.goto(address, wait_until="domcontentloaded")
        until(page, lambda s: s["pictures"] == 4 and lab.partial())
        lab.running.stop(signal.SIGKILL)
        seen = until(page, lambda s: s["toasts"])
        assert "Connection to the server was lost" in seen["toasts"][0], seen
        assert seen["pictures"] == 4, seen
        lab.well()
        with page.expect_navigation(wait_until="domcontentloaded", timeout=SLOWEST):
            lab.running.start()  # the page comes back by itself
        complete(page, 8)
        toggle(page)
        complete(page, 10)
    finally:
        page.close()
    (rest,) = lab.partial()  # what was cut off stays, and nothing refers to it
    whole = lab.cached(f"timm/{LOST}")
    assert whole.pop(rest.name, None) is not None
    assert whole == {hashlib.sha256(content).hexdigest(): content}
    for link in (lab.disk / "hf" / "hub").glob("*/snapshots/*/*"):
        if link.suffix == ".safetensors":
            assert hashlib.sha256(link.read_bytes()).hexdigest() == link.resolve().name
