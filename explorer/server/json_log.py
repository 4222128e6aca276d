"""The server's log: one JSON object per line on stderr, without picture contents or file names."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import traceback
from datetime import datetime, timezone
from typing import Any

PATHS = re.compile(r"""(?:[A-Za-z]:)?[\\/][^\s'":,()]*""")  # of uploads, weights, anything
LONGEST = 400


def write(event: str, **fields: Any) -> None:
    """Write one line: the time (UTC), the event, and fields that JSON can hold.

    With its end in one piece: requests that end at once would tear it apart otherwise.
    """
    now = datetime.fromtimestamp(time.time(), timezone.utc).isoformat(timespec="milliseconds")
    line = {"time": now, "event": event} | {k: v for k, v in fields.items() if v is not None}
    sys.stderr.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
    sys.stderr.flush()


class Lines(logging.Formatter):
    """Log records as lines of the same kind; of an error, its type and where it arose."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        now = datetime.fromtimestamp(record.created, timezone.utc)
        line: dict[str, Any] = {
            "time": now.isoformat(timespec="milliseconds"),
            "event": "log",
            "level": record.levelname.lower(),
            "from": record.name,
            "text": PATHS.sub("<path>", record.getMessage())[:LONGEST],
        }
        if record.exc_info and record.exc_info[1] is not None:
            line |= described(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def described(error: BaseException) -> dict[str, Any]:
    """Return an error's type, its message without paths, and the innermost lines of code."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return {
        "error": type(error).__name__,
        "message": PATHS.sub("<path>", str(error))[:LONGEST],
        "at": [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames],
    }


def to_stderr(level: int = logging.WARNING) -> None:
    """Send Python's own log records to stderr as such lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
