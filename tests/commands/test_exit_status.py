"""How commands end: closed pipes, full disks, Ctrl-C at any moment; for every command there is."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from explorer.__main__ import command_names, main
from explorer.cli.exit_status import ended
from explorer.cli.interrupts import Interrupts
from explorer.core import WeightsError

ROOT = Path(__file__).parents[2]
COMMANDS = command_names()
BUFFERING = ("", "1")  # of PYTHONUNBUFFERED: an error comes with the line, or at the end
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
SENTENCE = (
    "error: the output cannot be written: No space left on device; make room or send it elsewhere\n"
)

# Stops in the middle of the import of $STOP_AT; whatever exception comes then is swallowed, as some
# libraries do.
STOPPING_IMPORT = """
import os, sys, time

class Stopping:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ.get("STOP_AT"):
            print("importing", flush=True)
            try:
                time.sleep(60)
            except BaseException:
                pass

sys.meta_path.insert(0, Stopping())
"""


def command(*words):
    return [sys.executable, "-m", "explorer", *words]


def environment(**more):
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | more


def run(*words, shell="", **more):
    """Run a command through the shell, with its redirections; return status and stderr."""
    line = ["sh", "-c", f'"$@" {shell}', "sh", *command(*words)]
    done = subprocess.run(
        line, cwd=ROOT, env=environment(**more), capture_output=True, text=True, timeout=250
    )
    return done.returncode, done.stderr


def closed_pipe(*words, **more):
    """Run a command whose reader has gone before it writes."""
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(
        command(*words),
        cwd=ROOT,
        env=environment(**more),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    said = process.communicate(timeout=250)[1]
    return process.returncode, said


@pytest.mark.slow
@FULL
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_on_a_full_disk(name):
    words = [name, "--help"] if name else ["--help"]
    assert run(*words, shell="> /dev/full", PYTHONUNBUFFERED="1") == (2, SENTENCE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_into_a_closed_pipe(name):
    words = [name, "--help"] if name else ["--help"]
    assert closed_pipe(*words, PYTHONUNBUFFERED="") == (141, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_ctrl_c_while_modules_are_imported(name, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(STOPPING_IMPORT)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    process = subprocess.Popen(
        command(name, "--help"),
        cwd=ROOT,
        env=environment(PYTHONPATH=path, STOP_AT=f"explorer.commands.{name}"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "stopped\n")
    assert process.returncode == 130


@pytest.mark.slow
@pytest.mark.parametrize("words", [["list"], ["weights", "list"], ["claims"]], ids="-".join)
@pytest.mark.parametrize("seconds", [0.3, 0.9, 1.6, 2.4])
def test_ctrl_c_at_any_moment(words, seconds):
    process = subprocess.Popen(
        command(*words),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(seconds)  # whatever it does then; it may be done on a fast machine
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert (process.returncode, said) in ((130, "stopped\n"), (0, ""))


@pytest.mark.slow
@FULL
@pytest.mark.parametrize("unbuffered", BUFFERING)
@pytest.mark.parametrize("words", [["list"], ["weights", "list"]], ids="-".join)
def test_output_on_a_full_disk_and_into_a_closed_pipe(words, unbuffered):
    assert run(*words, shell="> /dev/full", PYTHONUNBUFFERED=unbuffered) == (2, SENTENCE)
    assert closed_pipe(*words, PYTHONUNBUFFERED=unbuffered) == (141, "")


@pytest.mark.slow
@FULL
def test_a_measurement_on_a_full_disk():
    small = ["bench", "training", "--guidance", "56", "--rounds", "1"]
    assert run(*small, shell="> /dev/full") == (2, SENTENCE)


@pytest.mark.slow
@FULL
@pytest.mark.parametrize("shell", ["2>&-", "2>/dev/full", ">&- 2>&-", "<&-"])
def test_messages_nobody_can_read_stop_nothing(shell, photo, tmp_path):
    words = ["features", str(photo.parent), "--upsampler", "bilinear", "--out", str(tmp_path)]
    sizes = ["--input-size", "64", "--output-size", "64", "--device", "cpu"]
    status, _ = run(*words, *sizes, shell=shell)
    assert status == 0 and [path.name for path in tmp_path.iterdir()] == [
        f"{photo.stem}.safetensors"
    ]
    assert run("list", "nothing", shell=shell)[0] == 2


def test_help_needs_no_large_library():
    code = (
        "import sys; from explorer.__main__ import build_parser; build_parser('list'); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'timm')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.slow
def test_help_of_every_command_needs_no_gradio():
    code = (
        "import sys; from explorer.__main__ import build_parser; build_parser(); "
        "sys.exit('gradio' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def failing(error):
    def work():
        raise error

    return work


@pytest.mark.parametrize(
    "error, status, said",
    [
        (KeyboardInterrupt(), 130, "stopped\n"),
        (BrokenPipeError(32, "Broken pipe"), 141, ""),
        (WeightsError("no weights; pull them"), 2, "error: no weights; pull them\n"),
        (PermissionError(13, "Permission denied", "/x"), 2, "error: /x: Permission denied\n"),
    ],
)
def test_every_end_has_its_status(error, status, said, capsys):
    assert ended(failing(error)) == status and capsys.readouterr().err == said


def test_a_fault_of_the_program_is_not_hidden():
    for error in (ValueError("a bug"), TypeError("a bug"), SystemExit(3)):
        with pytest.raises(type(error)):
            ended(failing(error))


@pytest.mark.slow
def test_an_interrupt_that_python_dropped_comes_again():
    code = """
import time
from explorer.cli.interrupts import Interrupts
interrupts = Interrupts()
interrupts.install()
class Swallows:
    def __del__(self):
        raise KeyboardInterrupt
one = Swallows()
try:
    del one
    time.sleep(20)
except KeyboardInterrupt:
    print("again")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("again\n", "")


def test_a_process_that_ignores_ctrl_c_goes_on_doing_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        Interrupts().install()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_weights_refuses_with_the_status_of_the_others(capsys):
    for words in (["pull"], ["pull", "nothing"], ["verify", "nothing"], ["lock", "nothing"]):
        assert main(["weights", *words]) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ") and said.count("\n") == 1
