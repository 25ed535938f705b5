"""A stub of the model hub on loopback: two real HTTP servers, the hub and where it keeps bytes."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c" * 40


class HubStub:
    """Files of one repository and what goes wrong with them."""

    def __init__(self, repo: str, files: dict[str, bytes]) -> None:
        self.repo, self.files = repo, files
        self.small: set[str] = set()  # files kept in git itself, known by git's SHA-1
        self.cuts: list[int] = []  # bytes after which the next connections break
        self.statuses: dict[str, int] = {}  # answers by the start of the path
        self.ranges = True  # whether the server knows them
        self.served: dict[str, bytes] = {}  # other bytes than those it tells of
        self.size: int | None = None  # another size than the true one
        self.asked: list[tuple[str, str]] = []  # paths and ranges
        self.tokens: Counter[tuple[str, str]] = Counter()
        self.url = self.bytes_url = ""

    @contextmanager
    def running(self):
        hub, store = _serve(self, _Hub), _serve(self, _Store)
        self.url = f"http://127.0.0.1:{hub.server_port}"
        self.bytes_url = f"http://localhost:{store.server_port}"
        try:
            yield self
        finally:
            for server in (hub, store):
                server.shutdown()
                server.server_close()

    def listing(self) -> bytes:
        return json.dumps({"sha": COMMIT, "siblings": [self._told(f) for f in self.files]}).encode()

    def _told(self, name: str) -> dict[str, Any]:
        content = self.files[name]
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        told: dict[str, Any] = {
            "rfilename": name,
            "size": self.size or len(content),
            "blobId": blob,
        }
        if name not in self.small:
            told["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": told["size"]}
        return told


def _serve(stub: HubStub, handler: type[_Handler]) -> ThreadingHTTPServer:
    bound = type(handler.__name__, (handler,), {"stub": stub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), bound)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    stub: HubStub

    def log_message(self, *_: Any) -> None:
        """Be silent."""

    def note(self, server: str) -> None:
        self.stub.asked.append((self.path, self.headers.get("Range", "")))
        self.stub.tokens[server, self.headers.get("Authorization", "")] += 1

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Hub(_Handler):
    def do_GET(self) -> None:
        self.note("hub")
        stub = self.stub
        for start, status in stub.statuses.items():
            if self.path.startswith(start):
                return self.answer(status)
        if self.path == f"/api/models/{stub.repo}/revision/main?blobs=true":
            return self.answer(200, stub.listing())
        start = f"/{stub.repo}/resolve/{COMMIT}/"
        name = self.path.removeprefix(start)
        if self.path.startswith(start) and name in stub.files:
            return self.answer(302, Location=f"{stub.bytes_url}/{name}")
        return self.answer(404)


class _Store(_Handler):
    def do_GET(self) -> None:
        self.note("store")
        stub, name = self.stub, self.path[1:]
        content = stub.served.get(name, stub.files[name])
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and stub.ranges else 0
        self.send_response(206 if asked and stub.ranges else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        cut = stub.cuts.pop(0) if stub.cuts else len(content)
        self.wfile.write(content[start : start + cut])
