"""Connections of clients that may mean harm: how many, how long, and how much is read from each."""

import io
import logging
import socket
import sys
import threading
import time
from collections import Counter
from http.server import ThreadingHTTPServer
from typing import Any

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 128
"""A thread each; with room for the keeper's below compose's limit of 512."""
MOST_OF_ONE_CLIENT = 32
"""So that no worker can keep another one out."""
LARGEST_REQUEST = 128 * 1024
"""Bytes of request line, headers and body together."""


class Deadline:
    """All reading or writing on a connection, together, is done in time."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        self._end = time.monotonic() + seconds

    def arm(self) -> None:
        """Before the next read or write: let it take what time is left. Raises TimeoutError."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("The connection was open for too long.")
        self._connection.settimeout(left)


class RequestReader(io.RawIOBase):
    """Bytes from a connection before a deadline, and no more than a request may have."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection, self._deadline = connection, Deadline(connection, seconds)
        self._left = LARGEST_REQUEST

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises TimeoutError, or ConnectionError when the request is too large."""
        if self._left <= 0:
            raise ConnectionAbortedError(f"A request has more than {LARGEST_REQUEST} bytes.")
        self._deadline.arm()
        count = self._connection.recv_into(memoryview(buffer)[: self._left])
        self._left -= count
        return count


class BoundedServer(ThreadingHTTPServer):
    """Holds so many connections and no more; one beyond that is closed at once."""

    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, address: tuple[str, int], handler: Any) -> None:
        self._open = Counter[str]()
        self._lock = threading.Lock()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin a thread for the connection, if there is room."""
        client = str(client_address[0])
        if not self._enter(client):
            log.warning("A connection of %s was closed: too many are open.", client)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError as error:  # no thread could be started
            log.warning("A connection of %s was closed: %s.", client, error)
            self.shutdown_request(request)
            self._leave(client)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and make room for the next."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._leave(str(client_address[0]))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, as a killed task does, is not worth a trace in the log."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def _enter(self, client: str) -> bool:
        with self._lock:
            full = self._open.total() >= MOST_CONNECTIONS
            if full or self._open[client] >= MOST_OF_ONE_CLIENT:
                return False
            self._open[client] += 1
            return True

    def _leave(self, client: str) -> None:
        with self._lock:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]
