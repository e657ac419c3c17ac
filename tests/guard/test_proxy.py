"""The guard between a client and an engine: what passes, and what never reaches the socket."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from guard.engine import Engine
from guard.keeper import DEAD_SECONDS
from guard.leases import Leases
from guard.parsing import Followed
from guard.proxy import Guard
from tests.guard.allowed import NAME, OWNED, POLICY, body
from tests.guard.engine_server import EngineServer
from tests.guard.test_leases import Clock


class Racing(EngineServer):
    """The container `racing` is made by someone else just after it was looked for."""

    racing = ""

    def missed(self, name: str) -> None:
        if name == self.racing:
            self.add(name, {})


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Racing]:
    with Racing(tmp_path / "engine.sock") as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(clock: Clock) -> Leases:
    return Leases(clock=clock)


@pytest.fixture
def guard(engine: EngineServer, leases: Leases) -> Iterator[Guard]:
    running = Guard(("127.0.0.1", 0), POLICY, Engine(str(engine.path)), leases)
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def url(guard: Guard) -> str:
    return f"http://127.0.0.1:{guard.server_address[1]}"


def test_a_container_is_made_from_the_new_body_only(url: str, engine: EngineServer) -> None:
    create = f"{url}/v1.41/containers/create"
    answer = requests.post(create, params={"name": NAME}, json=body(), timeout=5)
    assert answer.status_code == 201
    assert engine.created == [POLICY.create_body(body())]


def test_a_refusal_says_why_and_nothing_reaches_the_engine(url: str, engine: EngineServer) -> None:
    asked, create = body(host={"Privileged": True}), f"{url}/v1.41/containers/create"
    answer = requests.post(create, params={"name": NAME}, json=asked, timeout=5)
    words = "The guarded Docker API refuses this: HostConfig.Privileged is not allowed."
    assert (answer.status_code, answer.json()["message"]) == (403, words)
    assert engine.calls == []


LOOKS = [("GET", "/json"), ("GET", "/logs"), ("POST", "/start")]
ACTIONS = [*LOOKS, ("POST", "/stop"), ("DELETE", "")]
FOREIGN = "ghostwriter-train-0123456789abcdef"


@pytest.mark.parametrize(("method", "action"), ACTIONS)
@pytest.mark.parametrize("labels", [{}, {"ghostwriter.guard": "another project"}])
def test_containers_made_elsewhere_cannot_be_touched(
    url: str, engine: EngineServer, method: str, action: str, labels: dict[str, str]
) -> None:
    container = engine.add(FOREIGN, labels)
    for name in (FOREIGN, container):
        answer = requests.request(method, f"{url}/containers/{name}{action}", timeout=5)
        assert answer.status_code == 403
        assert answer.json()["message"].endswith(f"Container {name} was not made here.")
        assert engine.calls.pop() == ("GET", f"/containers/{name}/json", {})
    assert engine.calls == []


@pytest.mark.parametrize(("method", "action"), ACTIONS)
def test_a_container_that_appears_after_it_was_looked_for_is_not_touched(
    url: str,
    engine: Racing,
    method: str,
    action: str,
) -> None:
    engine.racing = FOREIGN
    answer = requests.request(method, f"{url}/containers/{FOREIGN}{action}?force=1", timeout=5)
    assert (answer.status_code, answer.json()["message"]) == (404, f"No such container: {FOREIGN}")
    assert engine.calls == [("GET", f"/containers/{FOREIGN}/json", {})]
    assert engine.find(FOREIGN)


@pytest.mark.parametrize("answer", [500, b"<html>", b"{}", b'{"Id": "1", "Config": null}'])
def test_nothing_is_sent_on_when_the_engine_cannot_say_whose_a_container_is(
    url: str,
    engine: EngineServer,
    answer: bytes | int,
) -> None:
    engine.add(NAME, OWNED)
    engine.answers[f"/containers/{NAME}/json"] = answer
    assert requests.delete(f"{url}/containers/{NAME}", timeout=5).status_code == 502
    assert len(engine.calls) == 1


def test_only_containers_made_here_are_listed(url: str, engine: EngineServer) -> None:
    engine.add("postgres", {})
    ours = engine.add(NAME, OWNED)
    listed = requests.get(f"{url}/containers/json?all=1", timeout=5).json()
    assert [one["Id"] for one in listed] == [ours]


@pytest.mark.parametrize(("method", "action"), LOOKS)
def test_looking_at_a_container_and_starting_it_renew_its_lease(
    url: str, engine: EngineServer, leases: Leases, clock: Clock, method: str, action: str
) -> None:
    ours, other = engine.add(NAME, OWNED), engine.add("other", OWNED)
    leases.expired([ours, other])
    clock.now = 31
    assert requests.request(method, f"{url}/containers/{NAME}{action}", timeout=5).ok
    assert leases.expired([ours, other]) == [other]


def test_another_worker_cannot_stop_or_remove_what_one_follows(
    url: str,
    engine: EngineServer,
    leases: Leases,
) -> None:
    ours = engine.add(NAME, OWNED)
    leases.renew(ours, "10.0.0.9")
    for method, action in (("POST", "/stop"), ("DELETE", "")):
        answer = requests.request(method, f"{url}/containers/{NAME}{action}", timeout=5)
        assert answer.status_code == 409
        assert "is followed by 10.0.0.9" in answer.json()["message"]
    assert requests.get(f"{url}/containers/{NAME}/json", timeout=5).status_code == 200
    engine.end(ours, 0)
    assert requests.delete(f"{url}/containers/{NAME}", timeout=5).status_code == 204


def test_whoever_makes_a_container_follows_it(
    url: str,
    engine: EngineServer,
    leases: Leases,
) -> None:
    create = f"{url}/containers/create?name={NAME}"
    made = requests.post(create, json=body(), timeout=5).json()["Id"]
    with pytest.raises(Followed, match=r"is followed by 127\.0\.0\.1"):
        leases.check(made, "10.0.0.9")


def test_containers_and_memory_are_bounded(url: str, engine: EngineServer) -> None:
    create = f"{url}/containers/create?name={NAME}"
    made = requests.post(create, json=body(), timeout=5).json()["Id"]
    engine.add("a", OWNED, memory=2**30)
    engine.add("b", OWNED)
    assert requests.post(f"{url}/containers/{made}/start", timeout=5).status_code == 403
    answer = requests.post(create, json=body(), timeout=5)
    assert "There are 3 training containers already" in answer.json()["message"]


def raw(url: str, request: bytes) -> bytes:
    """All of the answer to a request that no client library would send."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET http://[::1/ HTTP/1.1",
        b"GET //[::1/ HTTP/1.1",
        b'GET /containers/json?filters={"label":[null]} HTTP/1.1',
        b"POST /containers/%s/stop?t=%s HTTP/1.1" % (NAME.encode(), b"5" * 5000),
        b"POST /containers/create HTTP/1.1\r\nContent-Length: %s" % (b"5" * 5000),
        b"GET /version HTTP/1.0",
    ],
)
def test_no_request_goes_without_an_answer(url: str, request_line: bytes) -> None:
    assert raw(url, request_line + b"\r\nHost: g\r\n\r\n").startswith(b"HTTP/1.1 403 ")


def test_a_refusal_is_one_line_of_the_log(url: str, caplog: pytest.LogCaptureFixture) -> None:
    forged = body(**{"x\nForged \x1b[31m": 1})
    requests.post(f"{url}/containers/create?name={NAME}", json=forged, timeout=5)
    raw(url, b"GET /\x1b[31m HTTP/1.1\r\nHost: g\r\n\r\n")
    assert requests.get(f"{url}/containers/{NAME}/json", timeout=5).status_code == 404
    assert caplog.messages == [
        f"POST /containers/create?name={NAME}: x\\nForged \\x1b[31m is not allowed.",
        r"GET /\x1b[31m: 'GET' '/\x1b[31m' is not allowed.",
    ]


def test_an_engine_that_is_away_is_said(url: str, engine: EngineServer) -> None:
    engine.path.rename(engine.path.with_name("away.sock"))
    answer = requests.get(f"{url}/version", timeout=5)
    assert answer.status_code == 502
    assert "does not answer" in answer.json()["message"]
    assert "Start it, or mount its socket here." in answer.json()["message"]


def test_health_says_whether_the_keeper_lives(guard: Guard, url: str) -> None:
    assert requests.get(f"{url}/_ping", timeout=5).status_code == 200
    guard.keeper._looked -= DEAD_SECONDS + 1
    answer = requests.get(f"{url}/_ping", timeout=5)
    assert (answer.status_code, answer.json()["message"][:24]) == (502, "No lease was looked at f")
