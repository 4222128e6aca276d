"""Files and results that nobody will ask for again leave by themselves."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from gradio.utils import get_upload_folder

from explorer.server import json_log
from explorer.session import Session

EVERY = 60.0  # seconds
UNUSED_RESULTS = 30 * 60.0  # seconds after which a result leaves the session's cache
OLD_FILES = 6 * 3600.0  # seconds after which an upload or a picture is deleted
MOST_BYTES = 2 * 2**30  # of uploads and pictures together; beyond, the oldest go first
SPARED = 300.0  # seconds during which a file is left alone in any case


def sweep(
    folder: Path, now: float | None = None, old: float = OLD_FILES, most: int = MOST_BYTES
) -> tuple[int, int]:
    """Delete a folder's old files, then its oldest ones while it holds too much; return (files,
    bytes) deleted.
    """
    now = time.time() if now is None else now
    found = []
    for path in folder.rglob("*"):
        try:
            stat = path.lstat()
            if not path.is_dir() or path.is_symlink():
                found.append((stat.st_mtime, stat.st_size, path))
        except OSError:
            continue
    found.sort(key=lambda one: one[0])
    total, files, freed = sum(size for _, size, _ in found), 0, 0
    for modified, size, path in found:
        age = now - modified
        if age > old or (total > most and age > SPARED):
            path.unlink(missing_ok=True)
            total, files, freed = total - size, files + 1, freed + size
    for place in sorted(folder.rglob("*"), reverse=True):
        try:
            if place.is_dir() and now - place.lstat().st_mtime > SPARED:
                place.rmdir()  # only if it is empty
        except OSError:
            continue
    return files, freed


def keep_sweeping(session: Session, stop: threading.Event | None = None) -> threading.Thread:
    """Sweep now and then every minute in a daemon thread, until ``stop``; return the thread."""
    stop = stop or threading.Event()

    def run() -> None:
        while True:
            try:
                expired = session.results.expire(UNUSED_RESULTS)
                files, freed = sweep(Path(get_upload_folder()))
                if expired or files:
                    json_log.write("swept", results=expired, files=files, bytes=freed)
            except Exception as error:  # the server must go on
                json_log.write("sweeping failed", **json_log.described(error))
            if stop.wait(EVERY):
                return

    thread = threading.Thread(target=run, name="sweeping", daemon=True)
    thread.start()
    return thread
