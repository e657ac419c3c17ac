"""Hugging Face's hub as its library calls it (huggingface_hub 1.33, hf_api.py and file_download.py): one model and its files.

    GET /api/models/OWNER/NAME                      {"id", "sha", "siblings"}
    GET /api/models/OWNER/NAME/tree/SHA             [{"type", "path", "size", "oid"}]
    HEAD, GET /OWNER/NAME/resolve/SHA/FILE          the bytes, with ETag and X-Repo-Commit

A model it does not have is 401 with X-Error-Code RepoNotFound, as for one without a login; one behind terms 403 with GatedRepo.
"""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

TOKEN, COMMIT = "hf_seeded4a7c", "c" * 40


@dataclass
class Hub:
    """Serves `folder` as `name`; `fetched` are the files whose bytes were asked for."""

    folder: Path
    name: str = "tiny/random"
    is_gated: bool = False
    bytes_a_second: float = 0.0
    url: str = ""
    fetched: list[str] = field(default_factory=list)


@contextmanager
def running_hub(hub: Hub) -> Iterator[Hub]:
    """Serve it until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if hub.name not in path:
                self._send(401, b"", {"X-Error-Code": "RepoNotFound"})
            elif hub.is_gated and self.headers["Authorization"] != f"Bearer {TOKEN}":
                self._send(403, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."})
            elif path.startswith(f"/api/models/{hub.name}/tree/"):
                self._send(200, json.dumps([self._entry(file) for file in sorted(hub.folder.iterdir())]).encode())
            elif path.startswith(f"/api/models/{hub.name}"):
                files = [{"rfilename": file.name} for file in sorted(hub.folder.iterdir())]
                self._send(200, json.dumps({"id": hub.name, "sha": COMMIT, "siblings": files}).encode())
            elif (file := hub.folder / path.rpartition("/")[2]).exists():
                self._file(file)
            else:
                self._send(404, b"", {"X-Error-Code": "EntryNotFound"})

        def _entry(self, file: Path) -> dict[str, object]:
            return {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": hashlib.sha1(file.name.encode()).hexdigest()}

        def _file(self, file: Path) -> None:
            content = file.read_bytes()
            if self.command == "GET":
                hub.fetched.append(file.name)
            self._send(200, content, {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT})

        def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {}), "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            with suppress(ConnectionError):  # of a client that was killed
                for start in range(0, len(body), 65_536):
                    self.wfile.write(body[start : start + 65_536])
                    time.sleep(65_536 / hub.bytes_a_second if hub.bytes_a_second else 0)

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield hub
    server.shutdown()
    server.server_close()
