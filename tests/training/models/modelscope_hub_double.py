"""ModelScope's API as its library calls it (modelscope-hub 0.5.1, _legacy_api.py): the files of a model, and each by name, with ranges.

    GET /api/v1/models/OWNER/NAME/repo/files?Revision=&Recursive=   {"Code": 200, "Data": {"Files": [{Path, Size, Sha256, Type}]}}
    GET /api/v1/models/OWNER/NAME/repo?Revision=&FilePath=          the bytes; 206 for a Range

A model it does not have is 404, one behind terms 403 without the token, in the cookie m_session_id or as a bearer.
"""

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "ms-seeded-51d0"


@dataclass
class ModelScope:
    """Serves `folder` as `name`; `ranges` are the parts asked for, file and first byte."""

    folder: Path
    name: str = "tiny/random"
    is_gated: bool = False
    bytes_a_second: float = 0.0
    url: str = ""
    ranges: list[tuple[str, int]] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    def files(self) -> list[dict[str, Any]]:
        """The listing of the model."""
        return [
            {"Path": path.name, "Name": path.name, "Type": "blob", "Size": path.stat().st_size,
             "Sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for path in sorted(self.folder.iterdir())
        ]  # fmt: skip


@contextmanager
def modelscope_hub(hub: ModelScope) -> Iterator[ModelScope]:
    """Serve it until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if TOKEN not in f"{self.headers['Authorization']} {self.headers['Cookie']}" and hub.is_gated:
                self._json(403, {"Code": 10010206001, "Message": "access denied", "Success": False})
            elif parts.path == f"/api/v1/models/{hub.name}/repo/files" and query.get("Revision") in ("master", "v1"):
                self._json(200, {"Code": 200, "Data": {"Files": hub.files()}, "Message": "success", "Success": True})
            elif parts.path == f"/api/v1/models/{hub.name}/repo" and (hub.folder / query["FilePath"]).exists():
                self._file(query["FilePath"])
            else:
                self._json(404, {"Code": 10010205001, "Message": "record not found", "Success": False})

        def _file(self, name: str) -> None:
            content, first = (hub.folder / name).read_bytes(), 0
            hub.fetched.append(name)
            if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"] or ""):
                first = int(asked[1])
                hub.ranges.append((name, first))
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - first))
            self.end_headers()
            with suppress(ConnectionError):  # of a client that was killed
                for start in range(first, len(content), 65_536):
                    self.wfile.write(content[start : start + 65_536])
                    time.sleep(65_536 / hub.bytes_a_second if hub.bytes_a_second else 0)

        def _json(self, status: int, body: Any) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield hub
    server.shutdown()
    server.server_close()
