"""A stand-in for the Docker engine on a Unix socket: containers are entries in a dict.

Every call is recorded.
"""

import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

Json = dict[str, Any]


class EngineServer(ThreadingMixIn, UnixStreamServer):
    """Use as a context manager; `containers` is by id, `calls` holds method, path and query."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Handler)
        self.path = path
        self.containers: dict[str, Json] = {}
        self.created: list[Json] = []
        self.made = 0
        self.calls: list[tuple[str, str, dict[str, str]]] = []
        self.logs: dict[str, list[tuple[str, str]]] = {}
        self.answers: dict[str, bytes | int] = {}
        """Path to what is answered instead: content, or a status."""

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none of this server's errors."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def add(
        self,
        name: str,
        labels: dict[str, str],
        *,
        running: bool = True,
        status: str = "exited",
        memory: int = 2**29,
    ) -> str:
        """A container of that name; returns its id. `status` is its state when it does not run."""
        self.made += 1
        container = f"{self.made:064x}"
        self.containers[container] = {
            "Id": container,
            "Name": f"/{name}",
            "Config": {"Labels": labels, "Tty": False},
            "HostConfig": {"Memory": memory},
            "State": {
                "Running": running,
                "Status": "running" if running else status,
                "ExitCode": 0,
                "OOMKilled": False,
            },
        }
        return container

    def end(self, container: str, status: int) -> None:
        """Let a container have ended."""
        ended = {"Running": False, "Status": "exited", "ExitCode": status}
        self.containers[container]["State"] |= ended

    def followed(self, container: str) -> None:
        """Called when a container's log is read."""

    def missed(self, name: str) -> None:
        """Called when there is no container of that name, before the client is told."""

    def find(self, name: str) -> Json | None:
        """By id, by name, or by how an id begins: as the real engine guesses."""
        named = [one for one in self.containers.values() if one["Name"] == f"/{name}"]
        begun = [one for one in self.containers.values() if one["Id"].startswith(name)]
        return self.containers.get(name) or next(iter([*named, *begun]), None)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: EngineServer

    def address_string(self) -> str:
        return "socket"

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path, query = re.sub(r"^/v\d\.\d+", "", parts.path), dict(parse_qsl(parts.query))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.calls.append((self.command, path, query))
        if path in self.server.answers:
            answer = self.server.answers[path]
            if isinstance(answer, int):
                return self._send(answer, {"message": "as the test wants it"})
            return self._send(200, answer)
        if path == "/_ping":
            return self._send(200, b"OK")
        if path == "/version":
            return self._send(200, {"ApiVersion": "1.41", "Version": "20.10"})
        if path == "/containers/create":
            return self._create(query["name"], json.loads(body))
        if path == "/containers/json":
            labels = [entry.partition("=") for entry in json.loads(query["filters"])["label"]]
            made = self.server.containers.values()
            matching = [one for one in made if all(_matches(one, *label) for label in labels)]
            every = query.get("all") in ("1", "True")
            shown = [one for one in matching if every or one["State"]["Running"]]
            return self._send(200, [_listed(one) for one in shown])
        return self._one(path, query)

    do_POST = do_DELETE = do_GET

    def _create(self, name: str, body: Json) -> None:
        if self.server.find(name):
            return self._send(409, {"message": f"The container name {name} is already in use"})
        self.server.created.append(body)
        memory = body["HostConfig"]["Memory"]
        made = {"running": False, "status": "created", "memory": memory}
        return self._send(201, {"Id": self.server.add(name, body["Labels"], **made)})

    def _one(self, path: str, query: dict[str, str]) -> None:
        _, _, name, *action = path.split("/")
        container = self.server.find(name)
        if not container:
            self.server.missed(name)
            return self._send(404, {"message": f"No such container: {name}"})
        match [self.command, *action]:
            case ["GET", "json"]:
                return self._send(200, container)
            case ["GET", "logs"]:
                lines = self.server.logs.get(container["Id"], [])
                self.server.followed(container["Id"])
                frames = [f"{stamp} {text}\n".encode() for stamp, text in lines]
                heads = [b"\x01\0\0\0" + len(frame).to_bytes(4, "big") for frame in frames]
                return self._send(200, b"".join(map(bytes.__add__, heads, frames)))
            case ["POST", "start"]:
                container["State"] |= {"Running": True, "Status": "running"}
            case ["POST", "stop"]:
                self.server.end(container["Id"], 143)
            case ["DELETE"]:
                del self.server.containers[container["Id"]]
        return self._send(204, b"")

    def _send(self, status: int, content: Any) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        kind = "text/plain" if isinstance(content, bytes) else "application/json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if data:
            self.wfile.write(data)


def _listed(container: Json) -> Json:
    names, labels = [container["Name"]], container["Config"]["Labels"]
    return {"Id": container["Id"], "Names": names, "Labels": labels}


def _matches(container: Json, name: str, sign: str, value: str) -> bool:
    labels = container["Config"]["Labels"]
    return name in labels and (not sign or labels[name] == value)
