"""The Docker engine behind its Unix socket, one connection a call."""

import json
import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import quote, urlencode

from guard.parsing import Problem
from guard.policy import OWNED

SECONDS = 60.0
LARGEST_ANSWER = 8 * 2**20
PIECE = 64 * 1024
ENDED = {"exited", "dead"}


class Silent(Problem):
    """The engine does not answer, or not as an engine does; the message says what to do."""


class Answer(NamedTuple):
    """What the engine answered."""

    status: int
    kind: str
    """Content type; empty when there is no content."""
    content: bytes


class Container(NamedTuple):
    """What the guard wants to know of a container."""

    id: str
    labels: dict[str, str]
    memory: int
    """Bytes it may have; 0 without a limit."""
    ended: bool
    """Whether it has run, and ended."""


class Reply:
    """An answer whose content is read piece by piece. A context manager."""

    def __init__(self, connection: HTTPConnection, response: HTTPResponse, path: str) -> None:
        self._connection, self._response, self._path = connection, response, path
        self.status = response.status
        self.kind = response.getheader("Content-Type", "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def pieces(self) -> Iterator[bytes]:
        """The content, at most 64 KiB at a time. Raises Silent."""
        while piece := self._read():
            yield piece

    def content(self) -> bytes:
        """The whole content. Raises Silent, also when it is larger than any answer should be."""
        content = b""
        for piece in self.pieces():
            content += piece
            if len(content) > LARGEST_ANSWER:
                raise Silent(f"The Docker engine's answer has more than {LARGEST_ANSWER} bytes.")
        return content

    def _read(self) -> bytes:
        try:
            return self._response.read(PIECE)
        except (OSError, HTTPException) as error:
            raise _away(self._path, error) from error


class Engine:
    """Calls by path, without a version: so the engine's own version of the API holds."""

    def __init__(self, path: str) -> None:
        self.path = path

    def open(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: bytes | None = None,
        seconds: float = SECONDS,
    ) -> Reply:
        """The answer to one call, to be read; `seconds` is how long the engine may say nothing.

        Raises Silent.
        """
        connection = _UnixConnection(self.path, seconds)
        headers = {"Content-Type": "application/json", "Connection": "close"}
        target = f"{quote(path)}?{urlencode(query)}" if query else quote(path)
        try:
            connection.request(method, target, body=body, headers=headers)
            return Reply(connection, connection.getresponse(), self.path)
        except (OSError, HTTPException) as error:
            connection.close()
            raise _away(self.path, error) from error

    def send(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: bytes | None = None,
        seconds: float = SECONDS,
    ) -> Answer:
        """The whole answer to one call. Raises Silent."""
        with self.open(method, path, query, body, seconds) as reply:
            return Answer(reply.status, reply.kind, reply.content())

    def inspect(self, container: str) -> Container | None:
        """The container of that name or id; None when there is none. Raises Silent."""
        answer = self.send("GET", f"/containers/{container}/json", {})
        if answer.status == 404:
            return None
        found = _parsed(answer)
        try:
            return Container(
                id=str(found["Id"]),
                labels=dict(found["Config"]["Labels"] or {}),
                memory=int(found["HostConfig"]["Memory"]),
                ended=found["State"]["Status"] in ENDED,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Silent(f"The Docker engine describes a container without {error}.") from error

    def containers(self, project: str, *, ended: bool = False) -> list[str]:
        """Ids of the containers made through the guard of `project`: those that run, or all.

        Raises Silent.
        """
        query = {"filters": json.dumps({"label": [f"{OWNED}={project}"]}), "all": str(int(ended))}
        found = _parsed(self.send("GET", "/containers/json", query))
        try:
            return [str(container["Id"]) for container in found]
        except (KeyError, TypeError) as error:
            raise Silent(f"The Docker engine lists containers without {error}.") from error

    def stop(self, container: str, seconds: int) -> None:
        """Ask a container to end, and end it after `seconds`. Raises Silent when it does not."""
        path, query = f"/containers/{container}/stop", {"t": str(seconds)}
        answer = self.send("POST", path, query, seconds=seconds + SECONDS)
        if answer.status >= 400 and answer.status != 404:
            words = answer.content.decode(errors="replace")
            raise Silent(f"The Docker engine did not stop {container[:12]}: {words}")


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _away(path: str, error: Exception) -> Silent:
    advice = "Start it, or mount its socket here."
    return Silent(f"The Docker engine at {path} does not answer ({error}). {advice}")


def _parsed(answer: Answer) -> Any:
    if answer.status != 200:
        words = answer.content.decode(errors="replace")
        raise Silent(f"The Docker engine answered {answer.status}: {words}")
    try:
        return json.loads(answer.content)
    except ValueError as error:
        raise Silent(f"The Docker engine answered no JSON ({error}).") from error
