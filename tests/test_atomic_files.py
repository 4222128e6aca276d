"""Files appear whole or not at all, whoever else writes them, and nothing is left behind."""

import ast
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from explorer.core import ExplorerError
from explorer.files.atomic import OutputError, part_file, part_files, write_atomically
from explorer.resources.feature_cache import FeatureCache

ROOT = Path(__file__).parent.parent
WRITES_ITSELF = {"atomic.py", "github_release.py"}  # the latter resumes downloads under a lock

WRITER = """
import sys, time
from pathlib import Path
from explorer.files.atomic import part_file
with part_file(Path(sys.argv[1])) as part:
    part.write_bytes(b"half")
    print(part.name, flush=True)
    time.sleep(60)
"""


def start_writer(target):
    """Start a process that is half through writing; return it and its part's path."""
    command = [sys.executable, "-c", WRITER, str(target)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    return process, target.with_name(process.stdout.readline().strip())


def test_the_last_writer_that_finishes_wins_whole(tmp_path):
    target = tmp_path / "features.npy"
    with part_file(target) as first:
        first.write_bytes(b"first")
        with part_file(target) as second:
            second.write_bytes(b"second")
            assert first != second and not target.exists()
        assert target.read_bytes() == b"second"
    assert target.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [target]


def test_many_threads_write_one_file(tmp_path):
    target, failed = tmp_path / "figure.png", []
    contents = {bytes([i]) * 50_000 for i in range(8)}

    def write(content):
        try:
            for _ in range(20):
                write_atomically(target, content, durable=False)
                assert target.read_bytes() in contents
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and list(tmp_path.iterdir()) == [target]


@pytest.mark.slow
def test_what_a_killed_writer_left_goes_and_what_a_living_one_writes_stays(tmp_path):
    target = tmp_path / "weights.safetensors"
    alive, living = start_writer(target)
    dead, left = start_writer(target)
    try:
        dead.kill()
        dead.wait()
        assert living.exists() and left.exists()
        (tmp_path / ".weights.safetensors.part").write_bytes(b"of an earlier version")
        (tmp_path / ".other.png.1234.part").write_bytes(b"another's")
        write_atomically(target, b"whole")
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
            [living.name, ".other.png.1234.part", target.name]
        )
    finally:
        alive.kill()
        alive.wait()


@pytest.mark.slow
def test_an_interrupted_writer_leaves_nothing(tmp_path):
    process, part = start_writer(tmp_path / "x.pdf")
    process.send_signal(signal.SIGINT)
    process.wait()
    assert not part.exists() and not list(tmp_path.iterdir())


@pytest.mark.parametrize("mask, mode", [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "x", b"x")
        FeatureCache(tmp_path / "cache").get("k", lambda: torch.ones(1, 2, 2, 2))
    finally:
        os.umask(before)
    (cached,) = (tmp_path / "cache").rglob("*.safetensors")
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "x", cached)} == {mode}


def test_a_failure_keeps_what_was_there_and_says_which_file(tmp_path, monkeypatch):
    target = tmp_path / "report.md"
    target.write_text("before")

    def full(*_):
        raise OSError(28, "No space left on device")

    with pytest.raises(RuntimeError):
        with part_file(target) as part:
            part.write_text("half")
            raise RuntimeError
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match=r"cannot write .*report\.md: No space left") as caught:
        write_atomically(target, b"new")
    assert isinstance(caught.value, ExplorerError) and caught.value.errno == 28
    assert target.read_text() == "before" and list(tmp_path.iterdir()) == [target]


def test_a_file_is_never_seen_with_another_runs_description(tmp_path, monkeypatch):
    array, text = tmp_path / "a.npy", tmp_path / "a.npy.json"

    def write(content):
        with part_files(array, text) as parts:
            for part in parts:
                part.write_text(content)

    write("first")
    replace, renamed = os.replace, []

    def killed_after_one(part, target):
        if renamed:
            raise KeyboardInterrupt
        renamed.append(target)
        replace(part, target)

    monkeypatch.setattr(os, "replace", killed_after_one)
    with pytest.raises(KeyboardInterrupt):
        write("second")
    assert array.read_text() == "second" and not text.exists()
    assert list(tmp_path.iterdir()) == [array]


def test_a_long_name_has_a_part_too(tmp_path):
    target = tmp_path / ("ä" * 125 + ".png")  # 254 bytes
    write_atomically(target, b"x")
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("path", sorted((ROOT / "explorer").rglob("*.py")), ids=lambda p: p.name)
def test_nobody_renames_files_on_their_own(path):
    """Part files and renames are made in one place: others would share names or leave parts."""
    if path.name in WRITES_ITSELF:
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = ast.unparse(node.func)
            assert called not in ("os.replace", "os.rename", "tempfile.mkstemp"), called
            assert called != "tempfile.NamedTemporaryFile", called


@pytest.mark.slow
def test_two_runs_into_one_folder(tmp_path):
    from PIL import Image

    Image.new("RGB", (64, 48), "teal").save(tmp_path / "photo.png")
    command = [sys.executable, "-m", "explorer", "features", str(tmp_path / "photo.png")]
    command += ["--upsampler", "bilinear", "--input-size", "64", "--output-size", "448"]
    command += ["--out", str(tmp_path / "out"), "--force", "--device", "cpu"]
    runs = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(2)]
    said = [run.communicate(timeout=250)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo.safetensors"]
    assert time.time() - (tmp_path / "out" / "photo.safetensors").stat().st_mtime < 300
