"""A Hub on loopback: resolve, redirect and commit routes, releases, and faults on demand."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Fault:
    """What goes wrong with a path, ``times`` times (-1: always)."""

    kind: str  # "status", "cut", "slow", "wrong", "html", "no-length", "changed"
    value: int = 0
    times: int = -1
    headers: dict[str, str] = field(default_factory=dict)
    methods: tuple[str, ...] = ("GET", "HEAD")


class FakeHub:
    def __init__(self, port: int = 0):
        self.files: dict[str, bytes] = {}  # "/owner/repo/file" or "/release/file"
        self.faults: dict[str, list[Fault]] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.redirects = False
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_HEAD(self):
                hub.answer(self)

            def do_GET(self):
                hub.answer(self)

            def do_POST(self):
                hub.accept(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def put(self, repo: str, file: str, content: bytes):
        self.files[f"/{repo}/{file}"] = content

    def release(self, file: str, content: bytes) -> str:
        self.files[f"/release/{file}"] = content
        return f"{self.url}/release/{file}"

    def fail(self, path: str, *faults: Fault):
        self.faults.setdefault(path, []).extend(faults)

    def count(self, method: str | None = None) -> int:
        return len([r for r in self.requests if method in (None, r[0])])

    def _fault(self, path: str, method: str) -> Fault | None:
        for fault in self.faults.get(path, []):
            if method in fault.methods and fault.times != 0:
                fault.times -= 1
                return fault
        return None

    def answer(self, request: BaseHTTPRequestHandler):
        method, path = request.command, request.path
        sent = {key.lower(): value for key, value in request.headers.items()}
        self.requests.append((method, path, sent))
        resolved = re.fullmatch(r"(/[^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        cdn = path.removeprefix("/cdn") if path.startswith("/cdn/") else None
        name = f"{resolved[1]}/{resolved[3]}" if resolved else cdn or path
        fault = self._fault(name, method)
        if fault and fault.kind == "status":
            return self._send(request, fault.value, b"", fault.headers)
        content = self.files.get(name)
        if content is None:
            code = "EntryNotFound"
            if resolved and not any(f.startswith(f"{resolved[1]}/") for f in self.files):
                code = "RepoNotFound"
            return self._send(request, 404, b"", {"X-Error-Code": code})
        if resolved and resolved[2] not in ("main", COMMIT):
            return self._send(request, 404, b"", {"X-Error-Code": "RevisionNotFound"})
        etag = hashlib.sha256(content).hexdigest()
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
        if resolved and self.redirects:
            linked = {"X-Linked-ETag": f'"{etag}"', "X-Linked-Size": str(len(content))}
            where = {"Location": f"{self.url}/cdn{name}"}
            return self._send(request, 302, b"", headers | linked | where)
        if fault and fault.kind == "wrong" and method == "GET":
            content = bytes(b ^ 1 for b in content)
        if fault and fault.kind == "html":
            content = b"<!DOCTYPE html><html>Please accept our cookies</html>"
            headers["ETag"] = '"page"'
        status, wanted = 200, request.headers.get("Range")
        if_range = request.headers.get("If-Range")
        if wanted and method == "GET" and if_range in (None, headers["ETag"]):
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            if start >= len(content):
                return self._send(request, 416, b"", {})
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content = content[start:]
        return self._send(request, status, content, headers, fault)

    def _send(self, request, status, content, headers, fault=None):
        kind = fault.kind if fault else ""
        request.send_response(status)
        for key, value in headers.items():
            request.send_header(key, value)
        if kind == "no-length":
            request.send_header("Connection", "close")
        else:
            request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if request.command == "HEAD":
            return
        if kind in ("cut", "no-length") and fault.value:
            content = content[: fault.value]
        if kind == "slow":
            try:
                for i in range(0, len(content), 4096):
                    request.wfile.write(content[i : i + 4096])
                    time.sleep(fault.value / 1000)
            except ConnectionError:  # whoever asked was killed meanwhile
                request.close_connection = True
        else:
            request.wfile.write(content)
        if kind in ("cut", "no-length"):
            request.wfile.flush()
            request.close_connection = True
            request.connection.shutdown(2)

    def accept(self, request: BaseHTTPRequestHandler):
        """Take the three requests of a commit without large-file storage."""
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        self.requests.append((request.command, request.path, {}))
        fault = self._fault(request.path, "POST")
        if fault:
            return self._send(request, fault.value, b"{}", fault.headers)
        answer: dict = {}
        if request.path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked['organization']}/{asked['name']}"
            answer = {"url": f"{self.url}/{repo}", "id": repo, "name": repo}
        elif "/preupload/" in request.path:
            files = json.loads(body)["files"]
            answer["files"] = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files
            ]
        elif "/commit/" in request.path:
            repo = request.path.removeprefix("/api/models/").split("/commit/")[0]
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    content = base64.b64decode(entry["value"]["content"])
                    self.put(repo, entry["value"]["path"], content)
            answer = {"commitOid": COMMIT, "commitUrl": f"{self.url}/{repo}/commit/{COMMIT}"}
        self._send(request, 200, json.dumps(answer).encode(), {"Content-Type": "application/json"})


def same(one, other) -> bool:
    """Whether two states hold the same tensors."""
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)
