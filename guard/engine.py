"""The Docker engine behind its Unix socket, one connection a call."""

import json
import socket
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from guard.policy import OWNED

SECONDS = 60.0


class Silent(Exception):
    """The engine does not answer; the message says what to do."""


class Answer(NamedTuple):
    """What the engine answered."""

    status: int
    kind: str
    """Content type; empty when there is no content."""
    content: bytes


class Engine:
    """Calls by path; the version in a client's path is left out, so that the engine's own holds."""

    def __init__(self, path: str) -> None:
        self.path = path

    def send(self, method: str, path: str, query: dict[str, str], body: bytes | None = None, seconds: float = SECONDS) -> Answer:
        """The open answer to one call. Raises Silent."""
        connection = _UnixConnection(self.path, seconds)
        headers = {"Content-Type": "application/json", "Connection": "close"}
        try:
            connection.request(method, f"{quote(path)}?{urlencode(query)}" if query else quote(path), body=body, headers=headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheader("Content-Type", ""), answer.read())
        except (OSError, HTTPException) as error:
            raise Silent(f"The Docker engine at {self.path} does not answer ({error}). Start it, or mount its socket here.") from error
        finally:
            connection.close()

    def inspect(self, container: str) -> tuple[int, Any]:
        """Status and parsed answer of an inspect call."""
        answer = self.send("GET", f"/containers/{container}/json", {})
        return answer.status, json.loads(answer.content or b"null")

    def running(self, project: str) -> list[str]:
        """Ids of the running containers that were made through the guard of `project`."""
        answer = self.send("GET", "/containers/json", {"filters": json.dumps({"label": [f"{OWNED}={project}"]})})
        return [str(one["Id"]) for one in json.loads(answer.content)] if answer.status == 200 else []

    def stop(self, container: str, seconds: int) -> None:
        """Ask a container to end, and end it after `seconds`."""
        self.send("POST", f"/containers/{container}/stop", {"t": str(seconds)}, seconds=seconds + SECONDS)


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
