"""What stands between the network and Gradio: headers on every answer, bounds on every request."""

from __future__ import annotations

import json
import shutil
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder

from explorer.server import json_log

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    (
        b"content-security-policy",  # a Space is shown in a frame of huggingface.co
        b"object-src 'none'; base-uri 'self'; "
        b"frame-ancestors 'self' https://huggingface.co https://*.hf.space",
    ),
)
UPLOAD = "/gradio_api/upload"
CLOSED = ("/gradio_api/process_recording",)  # a route of Gradio's that nothing here uses
MIB = 2**20
MOST_JSON = 4 * MIB  # of any request that is no upload; scribbles are the largest
WINDOW = 600.0  # seconds over which one address's uploads are added up
MOST_CLIENTS = 4096
DISK_KEPT_FREE = 256 * MIB


class Gateway:
    """ASGI middleware.

    Args:
        app: what answers the requests that are let through.
        upload_bytes: how much one address may upload within ten minutes.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], upload_bytes: int = 256 * MIB):
        self.app, self.upload_bytes = app, upload_bytes
        self._uploads: dict[str, deque[tuple[float, int]]] = defaultdict(deque)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            status, text = refusal
            json_log.write("refused", status=status, text=text, path=scope["path"][:80])
            await _answer(send, status, text, plain=_uploads_to(scope))
            return

        started = False

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                own = {name.lower() for name, _ in message.get("headers", ())}
                missing = [pair for pair in HEADERS if pair[0] not in own]
                message["headers"] = [*message.get("headers", ()), *missing]
            await send(message)

        counted = receive if scope["method"] in ("GET", "HEAD") else self._counted(scope, receive)
        try:
            await self.app(scope, counted, with_headers)
        except Exception as error:
            if started:
                raise
            status, text = 500, "something went wrong here; the server's log has the details"
            if isinstance(error, UnicodeError):  # Gradio takes every body for UTF-8
                status, text = 400, "the request is not text in UTF-8"
            json_log.write("refused", status=status, **json_log.described(error))
            await _answer(send, status, text)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return (status, sentence) if the request is not even looked at."""
        path, method = scope["path"].rstrip("/"), scope["method"]
        if path in CLOSED:
            return 404, "there is nothing here"
        if method in ("GET", "HEAD"):
            return None
        length = next((v for k, v in scope["headers"] if k == b"content-length"), b"0")
        size = int(length) if length.isdigit() else 0
        if path != UPLOAD:
            if size > MOST_JSON:
                return 413, f"a request is at most {MOST_JSON // MIB} MB"
            return None
        if size + self._uploaded(_client(scope)) > self.upload_bytes:
            return 429, (
                f"more than {self.upload_bytes // MIB} MB were uploaded from your address within "
                f"{WINDOW / 60:.0f} minutes; please wait"
            )
        if shutil.disk_usage(_existing(Path(get_upload_folder()))).free < DISK_KEPT_FREE + size:
            return 507, "the server's disk is nearly full; please try again in a few minutes"
        return None

    def _counted(self, scope: Scope, receive: Receive) -> Receive:
        """Return ``receive``, adding up what arrives, whatever its headers promised."""
        upload, client, seen = _uploads_to(scope), _client(scope), 0

        async def counting() -> MutableMapping[str, Any]:
            nonlocal seen
            message = await receive()
            size = len(message.get("body", b""))
            seen += size
            if upload and size:
                self._uploads[client].append((time.monotonic(), size))
            over = self._uploaded(client) > self.upload_bytes if upload else seen > MOST_JSON
            if over:  # as if the client had gone: the request is dropped where it stands
                return {"type": "http.disconnect"}
            return message

        return counting

    def _uploaded(self, client: str) -> int:
        """Return the bytes a client uploaded within the window."""
        if len(self._uploads) > MOST_CLIENTS:
            self._uploads.clear()
        recent = self._uploads[client]
        while recent and recent[0][0] < time.monotonic() - WINDOW:
            recent.popleft()
        return sum(size for _, size in recent)


def _client(scope: Scope) -> str:
    return (scope.get("client") or ("unknown", 0))[0]


def _uploads_to(scope: Scope) -> bool:
    return scope["path"].rstrip("/") == UPLOAD


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


async def _answer(send: Send, status: int, text: str, plain: bool = False) -> None:
    """Answer with a sentence: as JSON, or plain where the page shows visitors the body as it is."""
    kind = b"text/plain; charset=utf-8" if plain else b"application/json"
    body = (text if plain else json.dumps({"detail": text})).encode()
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    start = {"type": "http.response.start", "status": status, "headers": [*headers, *HEADERS]}
    await send(start)
    await send({"type": "http.response.body", "body": body})
