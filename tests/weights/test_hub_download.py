"""The real huggingface_hub client against a Hub on loopback."""

from __future__ import annotations

import hashlib
import socket
import time

import pytest
from fake_hub import COMMIT, Fault, same

from explorer import weights
from explorer.core import WeightsError
from explorer.weights import AbsentWeightsError, Checkpoint, lock, stall_detector

REPO, FILE = "someone/weights", "pytorch_model.bin"
PATH = f"/{REPO}/{FILE}"


def row(**fields):
    return Checkpoint("row_one", "loftup", repo=REPO, file=FILE, transform="loftup", **fields)


@pytest.mark.parametrize("redirects", [False, True])
def test_the_right_file_is_used_and_only_fetched_once(server, state, pickled, redirects):
    server.redirects = redirects
    server.put(REPO, FILE, pickled(state))
    server.put(REPO, "other.bin", b"not this one")
    loaded = weights.load(row())
    assert same(loaded.state, state)
    assert not loaded.verified and "unverified" in loaded.label
    assert loaded.digest_seen == hashlib.sha256(pickled(state)).hexdigest()
    before = server.count()
    assert same(weights.load(row()).state, state)
    assert server.count() == before


def test_a_pinned_revision_needs_no_request_the_second_time(server, state, pickled):
    server.put(REPO, FILE, pickled(state))
    pinned = row(revision=COMMIT, sha256=hashlib.sha256(pickled(state)).hexdigest())
    assert weights.load(pinned).verified
    assert server.count("GET") == 1
    server.requests.clear()
    assert weights.load(pinned).verified
    assert server.requests == []


def test_progress_reaches_the_size(server, state, pickled):
    content = pickled(state)
    server.put(REPO, FILE, content)
    seen = []
    weights.resolve(row(), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(content), len(content))


def test_cached_file_is_used_offline(server, state, pickled, monkeypatch):
    server.put(REPO, FILE, pickled(state))
    weights.resolve(row())
    server.close()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert same(weights.load_state(row()), state)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["switched off", "not allowed", "refused", "no such host", "hole"])
def test_absent_and_offline_fails_within_a_second_by_name(places, monkeypatch, how):
    from huggingface_hub import constants

    closed = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = closed.getsockname()[1]
    fillers = []
    if how == "refused":
        closed.close()
    if how == "hole":  # a full backlog drops further connections, like a firewall
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
    host = "no-such-host.invalid" if how == "no such host" else "127.0.0.1"
    monkeypatch.setattr(constants, "ENDPOINT", f"http://{host}:{port}")
    if how == "switched off":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    start = time.monotonic()
    with pytest.raises(AbsentWeightsError, match="row_one is not on this machine") as raised:
        weights.resolve(row(), allow_network=how != "not allowed")
    assert time.monotonic() - start < 1.0
    assert "weights pull row_one" in str(raised.value)
    start = time.monotonic()
    with pytest.raises(WeightsError):
        weights.hub_file(REPO, FILE, what="a backbone", allow_network=how != "not allowed")
    assert time.monotonic() - start < 1.0
    for open_socket in (closed, *fillers):
        open_socket.close()


@pytest.mark.parametrize("status", [401, 403])
def test_gated_names_the_licence_page_and_the_alternative(server, status):
    server.put(REPO, FILE, b"x")
    server.fail(PATH, Fault("status", status, headers={"X-Error-Code": "GatedRepo"}))
    with pytest.raises(WeightsError) as raised:
        weights.hub_file(REPO, FILE, what="DINOv3 S/16", alternative="DINOv2 S/14")
    text = str(raised.value)
    assert "DINOv3 S/16 is gated" in text and f"{server.url}/{REPO}" in text
    assert "DINOv2 S/14" in text and "hf auth login" in text
    with pytest.raises(WeightsError, match="gated.*use another_row"):
        weights.resolve(row(alternative="another_row"))


@pytest.mark.parametrize(
    "repo, file, revision, says",
    [
        ("someone/nothing", FILE, None, "no repository someone/nothing"),
        (REPO, "absent.bin", None, "no file absent.bin"),
        (REPO, FILE, "f" * 40, "no longer has the pinned revision"),
    ],
)
def test_what_is_not_there_is_named(server, state, pickled, repo, file, revision, says):
    server.put(REPO, FILE, pickled(state))
    with pytest.raises(WeightsError, match=says):
        weights.hub_file(repo, file, revision=revision)


def test_a_passing_503_is_retried_and_a_lasting_one_is_a_sentence(server, state, pickled):
    server.put(REPO, FILE, pickled(state))
    server.fail(PATH, Fault("status", 503, times=2))
    assert same(weights.load_state(row()), state)
    server.put(REPO, "second.bin", pickled(state))
    server.fail(f"/{REPO}/second.bin", Fault("status", 503))
    start = time.monotonic()
    with pytest.raises(WeightsError, match="HTTP 503"):
        weights.hub_file(REPO, "second.bin")
    assert time.monotonic() - start < 5


@pytest.mark.slow
def test_a_cut_off_body_is_resumed(server, state, pickled, monkeypatch):
    # The client keeps what it has in whole chunks, of 10 MB by default.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 500)
    server.put(REPO, FILE, pickled(state))
    server.fail(PATH, Fault("cut", 1000, times=1, methods=("GET",)))
    assert same(weights.load_state(row()), state)
    ranges = [h.get("range") for m, _, h in server.requests if m == "GET"]
    assert ranges == [None, "bytes=1000-"]


@pytest.mark.slow
def test_a_body_that_stays_cut_off_is_never_used(server, state, pickled):
    server.put(REPO, FILE, pickled(state))
    cut, dead = Fault("cut", 700, 1, methods=("GET",)), Fault("status", 500, methods=("GET",))
    server.fail(PATH, cut, dead)
    with pytest.raises(WeightsError, match="nothing of it is used"):
        weights.resolve(row())
    assert weights.local_file(row()) is None
    server.faults.clear()
    assert same(weights.load_state(row()), state)


def test_a_slow_body_arrives(server, state, pickled):
    server.put(REPO, FILE, pickled(state))
    server.fail(PATH, Fault("slow", 20, methods=("GET",)))
    assert same(weights.load_state(row()), state)


@pytest.mark.slow
def test_a_body_that_trickles_is_given_up(server, state, pickled, monkeypatch):
    server.put(REPO, FILE, b"0" * 400_000)
    server.fail(PATH, Fault("slow", 50, methods=("GET",)))
    with monkeypatch.context() as patch:
        patch.setattr(stall_detector, "PERIOD", 0.4)
        patch.setattr(stall_detector, "SLOWEST", 1e6)
        for _ in range(2):
            with pytest.raises(WeightsError, match="trickled in: .* nothing of it is used"):
                weights.resolve(row())
    assert weights.local_file(row()) is None and server.count("GET") == 2
    server.faults.clear()
    server.put(REPO, FILE, pickled(state))
    assert same(weights.load_state(row()), state)


def test_content_that_differs_from_the_announced_digest_is_refused_and_removed(
    server, state, pickled
):
    content = pickled(state)
    server.put(REPO, FILE, content)
    server.fail(PATH, Fault("wrong", times=1, methods=("GET",)))
    with pytest.raises(WeightsError) as raised:
        weights.resolve(row())
    seen = hashlib.sha256(bytes(b ^ 1 for b in content)).hexdigest()
    assert seen in str(raised.value) and hashlib.sha256(content).hexdigest() in str(raised.value)
    assert weights.local_file(row()) is None
    assert same(weights.load_state(row()), state)


def test_another_file_than_the_pinned_one_is_refused_and_removed(server, state, pickled):
    server.put(REPO, FILE, pickled(state))
    with pytest.raises(WeightsError) as raised:
        weights.resolve(row(sha256="ab" * 32))
    assert hashlib.sha256(pickled(state)).hexdigest() in str(raised.value)
    assert "ab" * 32 in str(raised.value)
    assert weights.local_file(row()) is None


def test_a_tampered_cached_file_is_refused_until_pulled_again(server, state, pickled):
    content = pickled(state)
    server.put(REPO, FILE, content)
    pinned = row(sha256=hashlib.sha256(content).hexdigest())
    path = weights.resolve(pinned)
    path.write_bytes(content[:-30] + b"x" * 30)
    seen = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(WeightsError, match=seen):
        weights.load(pinned)
    with pytest.raises(WeightsError, match="pull row_one --force"):
        weights.load(pinned)
    assert weights.resolve(pinned, force=True).read_bytes() == content


def test_lock_pins_digest_and_revision(server, state, pickled):
    server.put(REPO, FILE, pickled(state))
    assert weights.measure(row()) is None
    weights.load(row())
    seen = hashlib.sha256(pickled(state)).hexdigest()
    assert lock.seen()[f"hf://{REPO}/{FILE}"]["sha256"] == seen
    key, entry = weights.measure(row())
    assert entry["revision"] == COMMIT and entry["sha256"] == seen
    lock.add_pins({key: entry})
    assert lock.seen() == {}
    server.requests.clear()
    assert weights.load(row()).verified
    assert server.requests == []
    lock.add_pins({key: {**entry, "sha256": "cd" * 32}})
    with pytest.raises(WeightsError, match="cd" * 32):
        weights.load(row())


@pytest.mark.slow
def test_a_name_look_up_that_blocks_is_not_waited_for(places, monkeypatch):
    from explorer.weights import network

    def blocked(*_, **__):
        time.sleep(3)
        raise OSError("at last")

    monkeypatch.setattr(network.socket, "create_connection", blocked)
    start = time.monotonic()
    with pytest.raises(AbsentWeightsError, match="cannot be reached"):
        weights.hub_file(REPO, FILE)
    assert time.monotonic() - start < 1.0
    start = time.monotonic()
    with pytest.raises(AbsentWeightsError, match="cannot be reached"):
        weights.hub_file(REPO, FILE)
    assert time.monotonic() - start < 0.2  # a silent server isn't asked again at once


def test_damaged_weights_are_not_merely_absent(server, state, pickled):
    server.put(REPO, FILE, pickled(state))
    with pytest.raises(WeightsError) as raised:
        weights.resolve(row(sha256="ab" * 32))
    assert not isinstance(raised.value, AbsentWeightsError)
