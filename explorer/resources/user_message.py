"""What a visitor reads about an error: the sentence it carries, or that the log has the details."""

from __future__ import annotations

import errno
import logging

from explorer.core import ExplorerError
from explorer.files.atomic import OutputError
from explorer.resources.memory import is_out_of_memory

TROUBLE = "Something went wrong here, not with your input; the server's log has the details."
FULL = (
    "The server's disk is full, so no picture could be stored; please try again in a few minutes."
)
CROWDED = "The server ran out of memory; choose smaller sizes or fewer methods."


def user_message(error: Exception, log: logging.Logger) -> str:
    """Return an error as one sentence without paths or code; one that is not ours is logged."""
    if isinstance(error, ExplorerError) and not isinstance(error, OutputError):
        return str(error)
    log.error("a request failed", exc_info=error)  # of an output it names the server's folders
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return FULL
    return CROWDED if is_out_of_memory(error) else TROUBLE
