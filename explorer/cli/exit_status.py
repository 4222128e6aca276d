"""How a command ends, whatever happens: with one exit status and at most one sentence.

======  ================================================================  =========================
status  when                                                              said on standard error
======  ================================================================  =========================
0       done                                                              nothing
1       done, but not all is well: some of several photos or files        each of them
        failed, a check found faults, a target was missed
2       refused: the arguments or the user's files, or an output that     one sentence
        cannot be written
130     stopped with Ctrl-C                                               "stopped"
141     whoever read the output closed it, as ``| head`` does             nothing
        (128 + SIGPIPE, as other tools end)
======  ================================================================  =========================

Anything else is a fault of this program: Python's traceback and its status, 1.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from explorer.cli.interrupts import STOPPED, Interrupts

REFUSED, CLOSED_PIPE = 2, 141


def ended(work: Callable[[], int]) -> int:
    """Run ``work``, see that what it printed is written, and return the exit status.

    ``work`` returns a status of its own. SystemExit (of argparse) passes through.
    """
    try:
        try:
            status = work()
        except SystemExit:
            sys.stdout.flush()
            raise
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        _say("stopped")
        return STOPPED
    except (OSError, ValueError) as error:
        return _failed(error)


def run_program(main: Callable[[], int], interrupts: Interrupts) -> None:
    """Run ``main`` as the whole program and leave with its status; ``interrupts`` are installed."""
    _prepare_streams()
    status: Any = STOPPED
    try:
        status = main()
    except SystemExit as error:
        status = error.code
    except BaseException:
        if not interrupts.heard:
            raise
        _say("stopped")  # a library made another error of the interrupt
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the status is known; leaving is quick
    sys.exit(status)


class Output(io.TextIOWrapper):
    """A standard stream that remembers why it could not be written.

    Standard output (``needed``) raises that error, and again when it is flushed: argparse drops
    the first. Messages that nobody can read (standard error) do not stop the work.
    """

    needed = True
    failure: OSError | None = None

    def write(self, text: str) -> int:
        """Write text; return its length."""
        self._keep(super().write, text)
        return len(text)

    def flush(self) -> None:
        """Write what is held back."""
        self._keep(super().flush)

    def _keep(self, act: Callable[..., object], *given: str) -> None:
        if self.failure is None:
            try:
                act(*given)
                return
            except OSError as error:
                self.failure = error
                with suppress(OSError):  # what is held back is dropped: Python would complain
                    nowhere = os.open(os.devnull, os.O_WRONLY)
                    os.dup2(nowhere, self.fileno())
                    os.close(nowhere)
        if self.needed:
            raise self.failure


def _failed(error: OSError | ValueError) -> int:
    """Say what is wrong in one sentence; return the status."""
    core = sys.modules.get("explorer.core")
    if core is not None and isinstance(error, core.ExplorerError):
        _say(f"error: {error}")
        return REFUSED
    if not isinstance(error, OSError):
        raise error
    unwritten = error is getattr(sys.stdout, "failure", None)
    if unwritten:
        sys.stdout.needed = False  # Python's own flush at the exit need not tell it again
    if isinstance(error, BrokenPipeError):
        return CLOSED_PIPE
    if unwritten:
        reason = error.strerror or error
        _say(f"error: the output cannot be written: {reason}; make room or send it elsewhere")
    else:
        _say(f"error: {error.filename}: {error.strerror}" if error.filename else f"error: {error}")
    return REFUSED


def _say(text: str) -> None:
    with suppress(OSError, ValueError, AttributeError):
        print(text, file=sys.stderr, flush=True)


def _prepare_streams() -> None:
    """Replace standard output and error by `Output`, and closed streams by one to nowhere.

    Without the latter, the next file that is opened would be taken for the closed stream. What a
    stream's encoding lacks is written as an escape: a file may have any name.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, this one
            stream = open(nowhere, "r" if number == 0 else "w")
        if number:
            encoding, lines, at_once = stream.encoding, stream.line_buffering, stream.write_through
            buffer = stream.detach()
            stream = Output(buffer, encoding, "backslashreplace", None, lines, at_once)
            stream.needed = name == "stdout"
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
