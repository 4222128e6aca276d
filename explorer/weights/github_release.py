"""Files of a release page: downloaded with resume and retry, whole or not at all."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from explorer.core import WeightsError
from explorer.weights.background_download import awaited
from explorer.weights.network import Progress, no_disk, reachable
from explorer.weights.rows import AbsentWeightsError
from explorer.weights.stall_detector import Pace, TrickleError

READ_SECONDS = 10.0
PAUSES = (0.5, 1.0, 2.0)
BLOCK = 2**18
LARGEST = 8 * 2**30


def release_file(
    url: str,
    target: Path,
    *,
    what: str = "",
    size: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Download ``url`` into ``target.part``, resumed where a former try stopped; then rename it.

    A server that changed the file meanwhile (ETag, If-Range) makes it start afresh.

    Raises:
        WeightsError: unreachable, absent, cut off time and again, not a file of weights,
            or a full disk.
    """
    what = what or target.name
    if not reachable([url]):
        raise AbsentWeightsError(
            f"{what} is not cached and {urlsplit(url).hostname} cannot be reached; connect and try "
            f"again, or put {url} there by hand: {target}"
        )

    def fetch(progress: Progress | None) -> Path:
        from huggingface_hub.utils import WeakFileLock

        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with WeakFileLock(f"{target}.lock"):
                if not target.is_file():
                    _download(url, target, what, size, progress)
        except OSError as error:
            raise no_disk(error, target.parent) or WeightsError(
                f"{what} could not be stored in {target.parent}: {error}"
            ) from None
        return target

    return awaited(url, what, fetch, progress)


def _download(
    url: str, target: Path, what: str, size: int | None, progress: Progress | None
) -> None:
    part = target.with_name(target.name + ".part")
    why = ""
    for pause in (*PAUSES, None):
        before = _length(part)
        try:
            whole = _fetch(url, part, progress)
            _check(part, what, size, whole)
            os.replace(part, target)
            _note(part).unlink(missing_ok=True)
            return
        except urllib.error.HTTPError as error:
            why = f"HTTP {error.code}"
            if error.code == 416:
                part.unlink(missing_ok=True)
            elif error.code not in (408, 429) and error.code < 500:
                raise AbsentWeightsError(f"{what} is not at {url} any more ({why})") from None
        except TrickleError as error:
            why = f"it trickled in: {error}"
            break
        except (http.client.HTTPException, OSError) as error:
            if no_disk(error, part):
                raise
            why = str(getattr(error, "reason", "") or error) or type(error).__name__
        if pause is None:
            break
        if _length(part) <= before:  # a try that brought something on is followed by the next
            time.sleep(pause)
    raise AbsentWeightsError(
        f"{what} could not be downloaded from {urlsplit(url).hostname} ({why}); nothing of it is "
        "used, and a further try resumes it"
    )


def _fetch(url: str, part: Path, progress: Progress | None) -> bool:
    """Bring ``part`` on as far as the server lets us; return whether all of it is here."""
    note = _read_note(part)
    start = _length(part) if note.get("url") == url and note.get("validator") else 0
    headers = {"Accept-Encoding": "identity", "User-Agent": "feature-upsampling-explorer"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": note["validator"]}
    request = urllib.request.Request(url, headers=headers)
    with _OPENER.open(request, timeout=READ_SECONDS) as answer:
        if answer.status != 206:
            start = 0
        elif not (answer.headers.get("Content-Range") or "").startswith(f"bytes {start}-"):
            raise http.client.HTTPException("the server resumed at another place")
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else None
        if (total or 0) > LARGEST:
            raise WeightsError(f"{url} announces {total} bytes, far more than any known weights")
        etag = answer.headers.get("ETag") or "W/"
        validator = answer.headers.get("Last-Modified") if etag.startswith("W/") else etag
        _note(part).write_text(json.dumps({"url": url, "validator": validator}))
        done, pace = start, Pace()
        with part.open("r+b" if start else "wb") as out:
            out.seek(start)
            while block := answer.read1(BLOCK):  # what is there, not a whole block
                out.write(block)
                pace.note(len(block))
                done += len(block)
                if done > LARGEST:
                    raise WeightsError(f"{url} goes on beyond {LARGEST} bytes")
                if progress:
                    progress(done, total)
            out.truncate()
            out.flush()
            os.fsync(out.fileno())
    if total is not None and done < total:
        raise http.client.HTTPException(f"cut off after {done} of {total} bytes")
    return total is not None


def _check(part: Path, what: str, size: int | None, whole: bool) -> None:
    """Refuse and remove what can't be the file: a web page, another size, an unknown end."""
    with part.open("rb") as handle:
        head = handle.read(512).lstrip().lower()
    wrong = ""
    if not head:
        wrong = "the server sent nothing"
    elif head.startswith((b"<!doctype", b"<html", b"<?xml")):
        wrong = "the server sent a web page instead of weights"
    elif size is not None and _length(part) != size:
        wrong = f"it has {_length(part)} bytes instead of {size}"
    elif not whole and not zipfile.is_zipfile(part):
        wrong = "the server did not say how long it is and its end is missing"
    if wrong:
        part.unlink(missing_ok=True)
        _note(part).unlink(missing_ok=True)
        raise WeightsError(f"{what} was not accepted: {wrong}; try again later")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to http."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str):
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise urllib.error.URLError(f"refused a redirect to {urlsplit(newurl).scheme}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_SafeRedirects)


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _read_note(part: Path) -> dict[str, Any]:
    try:
        note = json.loads(_note(part).read_text())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}
