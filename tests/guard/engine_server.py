"""A stand-in for the Docker engine on a Unix socket: containers are entries in a dict, and every call is recorded."""

import json
import re
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

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Handler)
        self.path = path
        self.containers: dict[str, Json] = {}
        self.created: list[Json] = []
        self.calls: list[tuple[str, str, dict[str, str]]] = []
        self.logs: dict[str, list[tuple[str, str]]] = {}

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.shutdown()
        self.server_close()

    def add(self, name: str, labels: dict[str, str], *, running: bool = True) -> str:
        """A container of that name; returns its id."""
        container = f"{len(self.containers) + 1:064x}"
        state = {"Running": running, "ExitCode": 0, "OOMKilled": False}
        self.containers[container] = {"Id": container, "Name": f"/{name}", "Config": {"Labels": labels, "Tty": False}, "State": state}
        return container

    def end(self, container: str, status: int) -> None:
        """Let a container have ended."""
        self.containers[container]["State"] |= {"Running": False, "ExitCode": status}

    def followed(self, container: str) -> None:
        """Called when a container's log is read."""

    def find(self, name: str) -> Json | None:
        """By id or name."""
        return self.containers.get(name) or next((one for one in self.containers.values() if one["Name"] == f"/{name}"), None)


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
        if path == "/_ping":
            return self._send(200, b"OK")
        if path == "/version":
            return self._send(200, {"ApiVersion": "1.41", "Version": "20.10"})
        if path == "/containers/create":
            return self._create(query["name"], json.loads(body))
        if path == "/containers/json":
            labels = [entry.partition("=") for entry in json.loads(query["filters"])["label"]]
            matching = [c for c in self.server.containers.values() if all(_matches(c, name, sign, value) for name, sign, value in labels)]
            shown = [one for one in matching if query.get("all") or one["State"]["Running"]]
            return self._send(200, [{"Id": one["Id"], "Names": [one["Name"]], "Labels": one["Config"]["Labels"]} for one in shown])
        return self._one(path, query)

    do_POST = do_DELETE = do_GET

    def _create(self, name: str, body: Json) -> None:
        if self.server.find(name):
            return self._send(409, {"message": f"The container name {name} is already in use"})
        self.server.created.append(body)
        return self._send(201, {"Id": self.server.add(name, body["Labels"], running=False)})

    def _one(self, path: str, query: dict[str, str]) -> None:
        _, _, name, *action = path.split("/")
        container = self.server.find(name)
        if not container:
            return self._send(404, {"message": f"No such container: {name}"})
        match [self.command, *action]:
            case ["GET", "json"]:
                return self._send(200, container)
            case ["GET", "logs"]:
                lines = self.server.logs.get(container["Id"], [])
                self.server.followed(container["Id"])
                frames = [f"{stamp} {text}\n".encode() for stamp, text in lines]
                return self._send(200, b"".join(b"\x01\0\0\0" + len(frame).to_bytes(4, "big") + frame for frame in frames))
            case ["POST", "start"]:
                container["State"]["Running"] = True
            case ["POST", "stop"]:
                self.server.end(container["Id"], 143)
            case ["DELETE"]:
                del self.server.containers[container["Id"]]
        return self._send(204, b"")

    def _send(self, status: int, content: Any) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if not isinstance(content, bytes) else "text/plain")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _matches(container: Json, name: str, sign: str, value: str) -> bool:
    labels = container["Config"]["Labels"]
    return name in labels and (not sign or labels[name] == value)
