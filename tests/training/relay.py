"""A port of this machine that carries to a server, and can be cut: connections end in the middle, and new ones are refused."""

import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

CHUNK = 65_536


class Relay:
    """Carries between its own port and `server` (a URL) while it listens."""

    def __init__(self, server: str, port: int = 0) -> None:
        target = urllib.parse.urlsplit(server)
        self._server, self.port = (target.hostname, target.port), port
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._hiccup: tuple[int, float] | None = None
        self.carried = 0
        """Bytes that clients have sent."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def listen(self) -> None:
        """Take connections."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept, self._listener)

    def cut(self) -> None:
        """End all connections and take no more."""
        with self._lock:
            for connection in [*self._connections, *([self._listener] if self._listener else [])]:
                with suppress(OSError):  # it has ended by itself
                    connection.shutdown(socket.SHUT_RDWR)
            self._listener = None

    def end(self) -> None:
        """The same, for good."""
        while self._threads:
            self.cut()
            self._threads.pop().join()

    def cut_for(self, seconds: float, after: int) -> None:
        """Be cut for so long, once, when clients have sent `after` more bytes."""
        self._hiccup = self.carried + after, seconds

    @property
    def was_cut(self) -> bool:
        """Whether what `cut_for` asked for has happened, or never was asked for."""
        return self._hiccup is None

    def _start(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self, listener: socket.socket) -> None:
        with listener, suppress(OSError):  # the listener's end
            while True:
                client, _ = listener.accept()
                self._start(self._connect, client)

    def _connect(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as onward:
            with self._lock:
                self._connections |= {client, onward}
            back = self._start(self._carry, onward, client, lambda _size: None)
            self._carry(client, onward, self._count)
            back.join()
            with self._lock:
                self._connections -= {client, onward}

    def _carry(self, source: socket.socket, target: socket.socket, count: Callable[[int], None]) -> None:
        with suppress(OSError):  # either end's end
            while data := source.recv(CHUNK):
                target.sendall(data)
                count(len(data))
            target.shutdown(socket.SHUT_WR)

    def _count(self, size: int) -> None:
        self.carried += size
        if self._hiccup is not None and self.carried >= self._hiccup[0]:
            seconds, self._hiccup = self._hiccup[1], None
            self._start(self._be_away, seconds)

    def _be_away(self, seconds: float) -> None:
        self.cut()
        time.sleep(seconds)
        self.listen()


@contextmanager
def relay(server: str, port: int = 0) -> Iterator[Relay]:
    """A relay that listens until the block ends."""
    made = Relay(server, port)
    made.listen()
    try:
        yield made
    finally:
        made.end()
