"""HTTP in, the engine's socket out: the calls a training container needs, on containers made here, and nothing else."""

import json
import logging
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from guard.engine import Answer, Engine, Silent
from guard.leases import Leases
from guard.policy import OWNED, Json, Policy, Refused, container_name

log = logging.getLogger(__name__)

LARGEST_BODY = 64 * 1024
ID = r"(?P<id>[a-zA-Z0-9][a-zA-Z0-9_.-]*)"
ROUTES = {
    ("GET", "/_ping"): (),
    ("GET", "/version"): (),
    ("GET", "/containers/json"): ("all", "filters"),
    ("POST", "/containers/create"): ("name",),
    ("GET", f"/containers/{ID}/json"): (),
    ("GET", f"/containers/{ID}/logs"): ("stdout", "stderr", "timestamps", "since", "tail"),
    ("POST", f"/containers/{ID}/start"): (),
    ("POST", f"/containers/{ID}/stop"): ("t",),
    ("DELETE", f"/containers/{ID}"): ("force", "v"),
}
"""Method and path, less the version in front, to the parameters that are passed on."""
VERSION = re.compile(r"/v\d+\.\d+(?=/)")
LONGEST_STOP = 120


class Guard(ThreadingHTTPServer):
    """The guard's server."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], policy: Policy, engine: Engine, leases: Leases) -> None:
        super().__init__(address, Handler)
        self.policy, self.engine, self.leases = policy, engine, leases

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, as a killed task does, is not worth a trace in the log."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One call of a client."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    server: Guard

    def do_GET(self) -> None:
        """Read something."""
        self._answer()

    do_HEAD = do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *arguments: Any) -> None:
        """Refusals are logged by what they say; a line for each look at a container would hide them."""

    def _answer(self) -> None:
        self.close_connection = True
        try:
            self._say(*self._forward(self._body()))
        except Refused as refused:
            log.warning("Refused %s %s: %s", self.command, urlsplit(self.path).path, refused)
            self._complain(403, f"The guarded Docker API refuses this: {refused}")
        except Silent as silent:
            self._complain(502, str(silent))

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") or self.headers.get("Upgrade"):
            raise Refused("Streams into a container are not allowed.")
        length = self.headers.get("Content-Length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > LARGEST_BODY:
            raise Refused(f"A body of {length} bytes is not allowed.")
        return self.rfile.read(int(length))

    def _forward(self, body: bytes) -> Answer:
        parts = urlsplit(self.path)
        method = "GET" if self.command == "HEAD" else self.command
        path, container, allowed = _route(method, VERSION.sub("", parts.path, count=1))
        given = dict(parse_qsl(parts.query))
        query = {name: given[name] for name in allowed if name in given}
        seconds = 60.0
        if path == "/containers/create":
            return self._create(query, body)
        if path == "/containers/json":
            query["filters"] = json.dumps(_only_owned(query.get("filters", "{}"), self.server.policy.project))
        if container and (owned := self._owned(container, renew=method == "GET")):
            path = path.replace(f"/containers/{container}", f"/containers/{owned}", 1)
        if path.endswith("/stop"):
            query["t"] = str(min(_whole(query.get("t", "10")), LONGEST_STOP))
            seconds += LONGEST_STOP
        return self.server.engine.send(method, path, query, seconds=seconds)

    def _create(self, query: dict[str, str], body: bytes) -> Answer:
        query["name"] = container_name(query.get("name", ""))
        try:
            asked = json.loads(body)
        except ValueError:
            raise Refused("The body is no JSON.") from None
        return self.server.engine.send("POST", "/containers/create", query, json.dumps(self.server.policy.create_body(asked)).encode())

    def _owned(self, container: str, *, renew: bool) -> str | None:
        """The id of a container made through this guard; None for one that does not exist. Raises Refused for any other."""
        status, found = self.server.engine.inspect(container)
        if status != 200:
            return None
        if (found["Config"]["Labels"] or {}).get(OWNED) != self.server.policy.project:
            raise Refused(f"Container {container} was not made here.")
        if renew:
            self.server.leases.renew(found["Id"])
        return str(found["Id"])

    def _complain(self, status: int, words: str) -> None:
        self._say(status, "application/json", json.dumps({"message": words}).encode())

    def _say(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _route(method: str, path: str) -> tuple[str, str | None, tuple[str, ...]]:
    """The path as it is sent on, the container in it, the parameters it may have. Raises Refused."""
    for (known, pattern), allowed in ROUTES.items():
        if known == method and (found := re.fullmatch(pattern, path)):
            return path, found.groupdict().get("id"), allowed
    raise Refused(f"{method} {path} is not allowed.")


def _only_owned(filters: str, project: str) -> Json:
    """A client's filters with ours on top. Raises Refused."""
    try:
        labels = json.loads(filters).get("label", [])
    except (ValueError, AttributeError):
        raise Refused("The filters are no JSON object.") from None
    return {"label": [*(str(label) for label in labels), f"{OWNED}={project}"]}


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise Refused(f"{text!r} is no whole number.")
    return int(text)
