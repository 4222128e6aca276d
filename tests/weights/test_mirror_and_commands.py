"""EXPLORER_WEIGHTS_REPO and ``python -m explorer weights``."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_hub import COMMIT, Fault, same
from safetensors.torch import save_file
from test_cards_and_rows import ship
from test_cards_and_rows import weights_command as run

from explorer import weights
from explorer.commands import weights as command
from explorer.core import WeightsError
from explorer.weights import fetch, lock
from explorer.weights.publish import plan, publish

NAME = "loftup_dinov2s"
REPO, FILE = "haiwen/loftup-dinov2s", "pytorch_model.bin"
MIRROR = "me/mirror"


@pytest.fixture
def mirror(server, places, state, pickled, monkeypatch):
    """A mirror on the Hub, filled by ``publish``; nothing is cached afterwards."""
    import shutil

    server.put(REPO, FILE, pickled(state))
    publish(plan([weights.checkpoint(NAME)], MIRROR))
    for folder in ("cache", "hf"):
        shutil.rmtree(places / folder)
    monkeypatch.setenv("EXPLORER_WEIGHTS_REPO", MIRROR)
    server.requests.clear()
    return server


def test_publish_is_dry_unless_told(server, places, state, pickled, capsys):
    server.put(REPO, FILE, pickled(state))
    ship(places)
    assert run("publish", "--repo", MIRROR, NAME, "jafar_efficientnet_lite0") == 0
    printed = capsys.readouterr().out
    assert "nothing was sent" in printed and f"{NAME}.safetensors" in printed
    assert server.count("POST") == 0
    assert run("publish", "--repo", MIRROR, "--send", NAME, "jafar_efficientnet_lite0") == 0
    sent = {path for path in server.files if path.startswith(f"/{MIRROR}/")}
    names = [
        f"{n}.{e}" for n in (NAME, "jafar_efficientnet_lite0") for e in ("safetensors", "json")
    ]
    assert sent == {f"/{MIRROR}/{n}" for n in [*names, "README.md"]}
    card = server.files[f"/{MIRROR}/README.md"].decode()
    assert "MIT" in card and "research only" in card and "2504.14032" in card
    assert COMMIT in capsys.readouterr().out


def test_publishing_without_leave_is_a_sentence(server, places, state, pickled):
    server.put(REPO, FILE, pickled(state))
    server.fail("/api/repos/create", Fault("status", 401, methods=("POST",)))
    with pytest.raises(WeightsError, match="nothing was published.*hf auth login"):
        publish(plan([weights.checkpoint(NAME)], MIRROR))
    with pytest.raises(WeightsError, match="owner/name"):
        plan([], "mirror")


def test_the_mirror_comes_first_and_is_cached(mirror, state):
    loaded = weights.load(NAME)
    assert same(loaded.state, state) and loaded.path.name == f"{NAME}.safetensors"
    assert not any(REPO in path for _, path, _ in mirror.requests)
    assert not loaded.verified
    mirror.requests.clear()
    assert same(weights.load_state(NAME), state)
    assert mirror.requests == []
    assert run("lock", NAME) == 0
    assert list(lock.pins()) == [f"hf://{MIRROR}/{NAME}.safetensors"]
    assert weights.load(NAME).verified


def test_what_the_mirror_lacks_comes_from_its_authors(mirror, state, pickled):
    mirror.put("haiwen/loftup-clip", FILE, pickled(state))
    assert same(weights.load_state("loftup_clip"), state)
    mirror.fail(
        f"/{MIRROR}/{NAME}.json", Fault("status", 404, headers={"X-Error-Code": "EntryNotFound"})
    )
    assert same(weights.load_state(NAME), state)
    assert any(REPO in path for _, path, _ in mirror.requests)


def test_a_lying_mirror_is_not_used(mirror, state, places):
    save_file({k: v + 1 for k, v in state.items()}, places / "other.safetensors")
    mirror.put(MIRROR, f"{NAME}.safetensors", (places / "other.safetensors").read_bytes())
    assert same(weights.load_state(NAME), state)  # from the authors: the mirror's card disagreed
    assert fetch.cached_hub_file(MIRROR, f"{NAME}.safetensors") is None
    mirror.requests.clear()
    assert same(weights.load_state(NAME), state)
    assert mirror.requests == []


def test_a_mirror_of_another_source_than_the_pinned_one_is_not_used(mirror, state, pickled):
    row = weights.checkpoint(NAME)
    lock.add_pins({row.key: {"sha256": "ab" * 32, "name": NAME}})
    with pytest.raises(WeightsError, match="ab" * 32):
        weights.load(NAME)
    good = hashlib.sha256(pickled(state)).hexdigest()
    lock.add_pins({row.key: {"sha256": good, "name": NAME}})
    assert same(weights.load_state(NAME), state)


def test_commands(server, places, state, pickled, capsys):
    server.put(REPO, FILE, pickled(state))
    ship(places)
    seen = hashlib.sha256(pickled(state)).hexdigest()
    assert run("list", "--json") == 0
    listed = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert len(listed) == len(weights.CHECKPOINTS) + 1
    assert listed[NAME]["cached"] == "no" and listed[NAME]["sha256"] is None
    assert listed["jafar_efficientnet_lite0"]["cached"] == "here"
    assert run("pull", NAME) == 0
    assert seen in capsys.readouterr().out
    assert run("verify") == 0
    printed = capsys.readouterr().out
    assert f"{NAME}: unverified" in printed and "jafar_efficientnet_lite0: ok" in printed
    assert run("lock") == 0
    assert COMMIT in capsys.readouterr().out
    assert run("verify", NAME) == 0
    assert f"{NAME}: ok" in capsys.readouterr().out
    assert run("list", "--method", "loftup") == 0
    printed = capsys.readouterr().out
    assert f"{seen[:12]} pinned" in printed and "anyup" not in printed
    assert run("convert", NAME) == 0
    assert "loftup_dinov2s.safetensors" in capsys.readouterr().out
    assert run("pull", "loftup_clip", "--retries", "0") == 1
    assert "no repository haiwen/loftup-clip" in capsys.readouterr().err
    assert run("pull") == 2 and run("pull", "nothing") == 2
    assert "--all" in capsys.readouterr().err


def test_verify_and_lock_notice_a_changed_file(server, places, state, pickled, capsys):
    server.put(REPO, FILE, pickled(state))
    assert run("pull", NAME) == 0 and run("lock") == 0
    path = weights.local_file(weights.checkpoint(NAME))
    path.write_bytes(pickled({**state, "b": state["b"] + 1}))
    assert run("verify") == 1
    assert weights.digest(path) in capsys.readouterr().out
    assert run("lock") == 1
    assert "kept the pin" in capsys.readouterr().out
    assert run("pull", NAME, "--force") == 0 and run("verify") == 0
    weights_file = ship(places)
    weights_file.write_bytes(weights_file.read_bytes()[:-4])
    assert run("verify") == 1


@pytest.mark.slow
def test_in_a_process_of_its_own_with_the_hubs_own_variables(server, places, state, pickled):
    """HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE are read when huggingface_hub is imported."""
    server.put(REPO, FILE, pickled(state))
    environment = {
        **os.environ,
        "HF_ENDPOINT": server.url,
        "HF_HOME": str(places / "home"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }

    def call(*words, **more):
        command = [sys.executable, "-m", "explorer", "weights", *words]
        return subprocess.run(command, env={**environment, **more}, capture_output=True, text=True)

    done = call("pull", NAME)
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256(pickled(state)).hexdigest() in done.stdout
    requests = server.count()
    assert call("verify", NAME, HF_HUB_OFFLINE="1").returncode == 0
    assert server.count() == requests
    absent = call("pull", "loftup_clip", "--retries", "0", HF_HUB_OFFLINE="1")
    assert absent.returncode == 1 and "network is switched off" in absent.stderr
    assert "Traceback" not in absent.stderr and server.count() == requests


def test_progress_line_shows_percent_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with command.downloading("file") as report:
        time.sleep(0.11)
        report(512_000, 1_024_000)
        time.sleep(0.11)
        report(1_024_000, 1_024_000)
    printed = capsys.readouterr().err
    assert "file:  50%" in printed and "512k/1.02M" in printed and "100%" in printed
