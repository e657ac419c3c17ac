"""A mirror of Debian's and Python's packages, as a network without the way out has one: `python mirror.py ADDRESS PORT`.

/debian and /debian-security are fetched from where this machine's apt gets them, /simple and /files from pip's index. Each reply
is a line on stdout: status, bytes, path. What is fetched passes through and is not kept.
"""

import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urljoin
from urllib.request import Request, urlopen

from pip._internal.models.index import PyPI

APT_SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
PATIENCE_SECONDS = 120
LINK = re.compile(rb'href="([^"#]+)')


def debian_host() -> str:
    """Scheme and host of this machine's own mirror."""
    found = re.search(r"^URIs:\s*(https?://[^/\s]+)", APT_SOURCES.read_text(), re.MULTILINE)
    assert found, f"{APT_SOURCES} names no host"
    return found[1]


class Mirror(BaseHTTPRequestHandler):
    """One request: fetched and handed on."""

    def do_GET(self) -> None:
        root, _, rest = self.path.lstrip("/").partition("/")
        if root in ("debian", "debian-security"):
            self._hand_on(f"{debian_host()}{self.path}")
        elif root == "simple":
            self._hand_on(urljoin(PyPI.simple_url + "/", rest), self.path)
        elif root == "files":
            self._hand_on(f"https://{rest}")
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def _hand_on(self, address: str, index: str = "") -> None:
        """Send what is found there; the links of an index's page lead back here."""
        wanted = {name: self.headers[name] for name in ("Range", "If-Modified-Since") if name in self.headers}
        try:
            with urlopen(Request(address, headers={"Accept": "text/html", **wanted}), timeout=PATIENCE_SECONDS) as found:
                body = found.read()
                status, kind = found.status, found.headers.get("Content-Type", "application/octet-stream")
                ranged = found.headers.get("Content-Range")
        except HTTPError as error:
            self.send_error(error.code)
            return
        if index:
            body = LINK.sub(lambda link: f'href="/files/{urljoin(address, link[1].decode())}'.encode().replace(b"https://", b""), body)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        if ranged:
            self.send_header("Content-Range", ranged)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """A line of the access log."""
        sys.stdout.write(f"{code} {self.path}\n")
        sys.stdout.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Errors are in the access log, too."""


if __name__ == "__main__":
    ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Mirror).serve_forever()
