"""What Ctrl-C does to the program, from its first moment on.

Only modules that are built into Python are imported here: every import takes milliseconds in which
nobody listens yet.
"""

from __future__ import annotations

import _signal
import os
import sys

IMPORT_SYSTEM = "<frozen importlib._bootstrap>"  # what its frames name as their file
AGAIN_SECONDS = 0.05
STOPPED = 130  # see `explorer.cli.exit_status`


class Interrupts:
    """Ctrl-C ends an import at once, and anything else with KeyboardInterrupt.

    An exception that goes through a library's half-done import may be swallowed, turned into
    another one, or end in C++'s terminate; and while modules load there is nothing to put in order.
    """

    def __init__(self) -> None:
        self.heard = False

    def install(self) -> None:
        """Listen, unless the process was started to ignore Ctrl-C."""
        if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
            _signal.signal(_signal.SIGINT, self)
            self.other, sys.unraisablehook = sys.unraisablehook, self.swallowed

    def __call__(self, number: int, frame) -> None:
        """Handle the signal."""
        self.heard = True
        while frame is not None:
            if frame.f_code.co_filename == IMPORT_SYSTEM:
                leave_at_once()
            frame = frame.f_back
        raise KeyboardInterrupt

    def swallowed(self, about) -> None:
        """Interrupt again if Python dropped the exception, as it does in a destructor."""
        if not issubclass(about.exc_type, KeyboardInterrupt):
            self.other(about)
            return
        import _thread
        import threading

        threading.Timer(AGAIN_SECONDS, _thread.interrupt_main).start()


def leave_at_once() -> None:
    """Write out what was printed, say "stopped", and end the process."""
    for act in (lambda: sys.stdout.flush(), lambda: os.write(2, b"stopped\n")):
        try:
            act()
        except Exception:  # whatever is wrong with a stream, the process ends
            continue
    os._exit(STOPPED)
