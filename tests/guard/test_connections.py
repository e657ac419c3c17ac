"""What a client that means harm can do to the guard with connections: not much."""

import io
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from guard import connections
from guard.connections import Deadline, RequestReader
from guard.engine import Engine
from guard.leases import Leases
from guard.proxy import Guard
from tests.guard.allowed import NAME, OWNED, POLICY
from tests.guard.engine_server import EngineServer


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineServer]:
    with EngineServer(tmp_path / "engine.sock") as running:
        yield running


@pytest.fixture
def guard(engine: EngineServer) -> Iterator[Guard]:
    running = Guard(("127.0.0.1", 0), POLICY, Engine(str(engine.path)), Leases())
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


def connect(guard: Guard) -> socket.socket:
    return socket.create_connection(("127.0.0.1", guard.server_address[1]), timeout=5)


def is_closed(connection: socket.socket, within: float = 5) -> bool:
    connection.settimeout(within)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False


def test_one_client_holds_only_so_many_connections(guard: Guard) -> None:
    held = [connect(guard) for _ in range(connections.MOST_OF_ONE_CLIENT + 5)]
    for connection in held:
        connection.sendall(b"GET /version HTTP/1.1\r\nHost: g")
    assert sum(map(is_closed, held[-5:])) == 5
    assert not is_closed(held[0], within=0.3)
    for connection in held:
        connection.close()
    for _ in range(100):
        if not guard._open:
            break
        time.sleep(0.05)
    url = f"http://127.0.0.1:{guard.server_address[1]}/version"
    assert requests.get(url, timeout=5).status_code == 200


def test_a_request_that_comes_a_byte_at_a_time_is_cut_off() -> None:
    ours, theirs = socket.socketpair()
    reader, enough = RequestReader(ours, seconds=0.4), threading.Event()

    def drip() -> None:
        for _ in range(200):
            theirs.sendall(b"x")
            if enough.wait(0.05):
                break

    dripping = threading.Thread(target=drip)
    dripping.start()
    with pytest.raises(TimeoutError):
        while reader.read(1):
            pass
    assert dripping.is_alive()
    enough.set()
    dripping.join()
    ours.close()
    theirs.close()


def test_a_request_has_only_so_many_bytes() -> None:
    ours, theirs = socket.socketpair()
    request = b"x" * (connections.LARGEST_REQUEST + 1)
    sending = threading.Thread(target=theirs.sendall, args=(request,))
    sending.start()
    reader = io.BufferedReader(RequestReader(ours, seconds=5))
    assert reader.read(connections.LARGEST_REQUEST) == request[:-1]
    with pytest.raises(ConnectionAbortedError, match="more than 131072 bytes"):
        reader.read(1)
    theirs.close()
    sending.join()
    ours.close()


def test_a_client_that_sends_headers_without_end_is_cut_off(guard: Guard) -> None:
    connection = connect(guard)
    line = b"X-%d: " + b"x" * 60_000 + b"\r\n"
    connection.sendall(b"GET /version HTTP/1.1\r\n")
    with pytest.raises(ConnectionError):
        for number in range(90):
            connection.sendall(line % number)
            time.sleep(0.01)
    connection.close()


def test_a_deadline_is_for_all_reads_and_writes_together() -> None:
    ours, theirs = socket.socketpair()
    deadline = Deadline(ours, 0.05)
    deadline.arm()
    assert ours.gettimeout() == pytest.approx(0.05, abs=0.02)
    time.sleep(0.06)
    with pytest.raises(TimeoutError):
        deadline.arm()
    ours.close()
    theirs.close()


def test_logs_that_nobody_reads_take_little_memory(guard: Guard, engine: EngineServer) -> None:
    container = engine.add(NAME, OWNED)
    log = b"x" * (32 * 2**20)
    engine.answers[f"/containers/{container}/logs"] = log
    tracemalloc.start()
    readers = [connect(guard) for _ in range(8)]
    for reader in readers:
        reader.sendall(f"GET /containers/{NAME}/logs HTTP/1.1\r\nHost: g\r\n\r\n".encode())
    assert {reader.recv(12) for reader in readers} == {b"HTTP/1.1 200"}
    time.sleep(0.5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for reader in readers:
        reader.close()
    assert peak < 8 * 2**20


def test_a_long_log_arrives_whole(guard: Guard, engine: EngineServer) -> None:
    container = engine.add(NAME, OWNED)
    log = bytes(range(256)) * 4096
    engine.answers[f"/containers/{container}/logs"] = log
    url = f"http://127.0.0.1:{guard.server_address[1]}/containers/{NAME}/logs"
    assert requests.get(url, timeout=5).content == log
