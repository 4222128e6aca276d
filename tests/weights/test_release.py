"""Release files: resumed, retried, whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import threading

import pytest
from fake_hub import Fault, same

from explorer import weights
from explorer.core import WeightsError
from explorer.weights import Checkpoint, github_release, stall_detector
from explorer.weights.resolution import released


@pytest.fixture
def row(server, state, pickled):
    content = pickled({**state, "padding": state["a.weight"].repeat(1, 60)})
    url = server.release("x.pth", content)
    return Checkpoint("released", "anyup", url=url, file="x.pth", size=len(content))


def sha(server):
    return hashlib.sha256(server.files["/release/x.pth"]).hexdigest()


def ranges(server):
    return [h.get("range") for m, path, h in server.requests if path == "/release/x.pth"]


def test_it_is_downloaded_once(server, row, state):
    seen = []
    loaded = weights.load(row, progress=lambda done, total: seen.append((done, total)))
    assert loaded.digest_seen == sha(server) and seen[-1] == (row.size, row.size)
    assert same({k: loaded.state[k] for k in state}, state)
    weights.load(row)
    assert server.count() == 1
    assert {p.name for p in released(row).parent.iterdir()} == {"x.pth", "x.pth.lock"}


def test_a_cut_off_download_goes_on_where_it_stopped(server, row):
    server.fail("/release/x.pth", Fault("cut", 100_000, times=1), Fault("cut", 50_000, times=1))
    assert weights.digest(weights.resolve(row)) == sha(server)
    assert ranges(server) == [None, "bytes=100000-", "bytes=150000-"]


def test_a_later_call_resumes_a_failed_one(server, row):
    server.fail("/release/x.pth", Fault("cut", 100_000, times=1), Fault("status", 500, times=4))
    with pytest.raises(WeightsError, match="HTTP 500.*resumes"):
        weights.resolve(row)
    assert weights.local_file(row) is None and not released(row).exists()
    server.faults.clear()
    server.requests.clear()
    assert weights.digest(weights.resolve(row)) == sha(server)
    assert ranges(server) == ["bytes=100000-"]


def test_a_file_that_changed_meanwhile_is_started_afresh(server, row, state, pickled):
    server.fail("/release/x.pth", Fault("cut", 100_000, times=1), Fault("status", 500, times=4))
    with pytest.raises(WeightsError):
        weights.resolve(row)
    server.faults.clear()
    changed = pickled({**state, "padding": state["a.weight"].repeat(1, 60) + 1})
    server.release("x.pth", changed)
    assert len(changed) == row.size
    assert weights.resolve(row).read_bytes() == changed


@pytest.mark.parametrize("fault", [Fault("html"), Fault("no-length", 90_000)])
def test_what_is_not_the_file_is_refused(server, row, fault):
    server.fail("/release/x.pth", fault)
    with pytest.raises(WeightsError, match="was not accepted"):
        weights.resolve(Checkpoint("released", "anyup", url=row.url, file="x.pth"))
    assert not released(row).exists()
    assert not list(released(row).parent.glob("*.part*"))


def test_another_size_is_refused(server, row, state, pickled):
    server.release("x.pth", pickled(state))
    with pytest.raises(WeightsError, match=f"instead of {row.size}"):
        weights.resolve(row)


def test_a_whole_file_without_announced_length_is_taken(server, row):
    server.fail("/release/x.pth", Fault("no-length"))
    assert weights.digest(weights.resolve(row)) == sha(server)


def test_404_and_wrong_digest(server, row):
    with pytest.raises(WeightsError, match="not at .* any more \\(HTTP 404\\)"):
        weights.resolve(
            Checkpoint("gone", "anyup", url=f"{server.url}/release/gone.pth", file="g.pth")
        )
    pinned = Checkpoint("released", "anyup", url=row.url, file="x.pth", sha256="ab" * 32)
    with pytest.raises(WeightsError, match=sha(server)):
        weights.resolve(pinned)
    assert not released(row).exists()


def test_a_tampered_release_file_is_refused(server, row):
    pinned = Checkpoint("released", "anyup", url=row.url, file="x.pth", sha256=sha(server))
    path = weights.resolve(pinned)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.raises(WeightsError, match=hashlib.sha256(path.read_bytes()).hexdigest()):
        weights.load(pinned)
    assert weights.digest(weights.resolve(pinned, force=True)) == sha(server)


def test_two_visitors_at_once_download_it_once(server, row):
    server.fail("/release/x.pth", Fault("slow", 5))
    found, threads = [], []
    for _ in range(4):
        threads.append(
            threading.Thread(target=lambda: found.append(weights.digest(weights.resolve(row))))
        )
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert found == [sha(server)] * 4
    assert server.count("GET") == 1


def test_a_file_that_trickles_is_given_up_and_resumed(server, row, monkeypatch):
    server.fail("/release/x.pth", Fault("slow", 300))
    with monkeypatch.context() as patch:
        patch.setattr(stall_detector, "PERIOD", 0.2)
        patch.setattr(stall_detector, "SLOWEST", 1e9)
        with pytest.raises(WeightsError, match="trickled in: .* a further try resumes it"):
            weights.resolve(row)
    assert not released(row).exists() and server.count("GET") == 1
    server.faults.clear()
    assert weights.digest(weights.resolve(row)) == sha(server)


def test_a_full_disk_is_said_and_leaves_no_file(server, row, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(github_release.os, "fsync", full)
    with pytest.raises(WeightsError, match="the disk is full"):
        weights.resolve(row)
    assert not released(row).exists()


def test_no_redirect_from_https_to_http():
    handler = github_release._SafeRedirects()
    request = github_release.urllib.request.Request("https://example.org/a")
    with pytest.raises(github_release.urllib.error.URLError, match="refused a redirect to http"):
        handler.redirect_request(request, None, 302, "", {}, "http://example.org/a")
    assert handler.redirect_request(request, None, 302, "", {}, "https://example.org/b")
