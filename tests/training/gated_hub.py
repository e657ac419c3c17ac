"""A hub with one gated base, behind a proxy that wants a login: what a request bears decides what it gets.

The hub's answers are those that huggingface_hub.file_download reads (HEAD and GET of /OWNER/NAME/resolve/main/FILE with ETag and
X-Repo-Commit; X-Error-Code GatedRepo with 401), the proxy's those of RFC 9110, 11.7 (407, Proxy-Authorization).
"""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HUB = "http://hub.invalid"
TOKEN, LOGIN = "hf_seeded4a7c", "reader:seeded-9f2b"
CONFIG = b'{"model_type": "gated"}'


class _Handler(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        login = base64.b64encode(LOGIN.encode()).decode()
        if self.headers["Proxy-Authorization"] != f"Basic {login}":
            self._answer(407, b"", {"Proxy-Authenticate": "Basic"})
        elif self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._answer(401, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."})
        elif urlsplit(self.path)[:3] == ("http", "hub.invalid", "/someone/gated/resolve/main/config.json"):
            self._answer(200, CONFIG, {"ETag": '"0a"', "X-Repo-Commit": "c" * 40})
        else:
            self._answer(404, b"", {"X-Error-Code": "EntryNotFound"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent."""


@contextmanager
def gated_hub() -> Iterator[str]:
    """The proxy's HOST:PORT."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
