"""The guard between a client and an engine: what passes, and what never reaches the socket."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from guard.engine import Engine
from guard.leases import Leases
from guard.proxy import Guard
from tests.guard.engine_server import EngineServer
from tests.guard.test_policy import POLICY, body

OWNED = {"ghostwriter.guard": "gw"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineServer]:
    with EngineServer(tmp_path / "engine.sock") as running:
        yield running


@pytest.fixture
def leases() -> Leases:
    return Leases(lease=0.0)


@pytest.fixture
def url(engine: EngineServer, leases: Leases) -> Iterator[str]:
    guard = Guard(("127.0.0.1", 0), POLICY, Engine(str(engine.path)), leases)
    threading.Thread(target=guard.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{guard.server_address[1]}"
    guard.shutdown()
    guard.server_close()


def test_a_container_is_made_from_the_new_body_only(url: str, engine: EngineServer) -> None:
    answer = requests.post(f"{url}/v1.41/containers/create", params={"name": "one"}, json=body(), timeout=5)
    assert answer.status_code == 201
    assert engine.created == [POLICY.create_body(body())]


def test_a_refusal_says_why_and_nothing_reaches_the_engine(url: str, engine: EngineServer) -> None:
    asked = body(host={"Privileged": True})
    answer = requests.post(f"{url}/v1.41/containers/create", params={"name": "one"}, json=asked, timeout=5)
    assert (answer.status_code, answer.json()["message"]) == (
        403,
        "The guarded Docker API refuses this: HostConfig.Privileged is not allowed.",
    )
    assert engine.calls == []


def test_of_a_key_said_twice_only_the_value_that_was_checked_is_sent(url: str, engine: EngineServer) -> None:
    twice = json.dumps(body())[:-1] + ', "HostConfig": {"Privileged": true}}'
    assert requests.post(f"{url}/containers/create?name=one", data=twice, timeout=5).status_code == 403
    assert engine.calls == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/images/json"),
        ("POST", "/images/create?fromImage=alpine"),
        ("POST", "/build"),
        ("GET", "/info"),
        ("GET", "/volumes"),
        ("POST", "/volumes/create"),
        ("POST", "/networks/create"),
        ("POST", "/containers/one/exec"),
        ("POST", "/exec/1/start"),
        ("POST", "/containers/one/attach"),
        ("GET", "/containers/one/archive?path=/"),
        ("PUT", "/containers/one/archive?path=/"),
        ("POST", "/containers/one/update"),
        ("POST", "/containers/one/rename?name=x"),
        ("POST", "/containers/one%2Fexec/start"),
        ("POST", "/containers/../images/create"),
        ("POST", "/v1.41/v1.41/containers/one/start"),
        ("POST", "/containers/prune"),
    ],
)
def test_every_other_call_is_refused(url: str, engine: EngineServer, method: str, path: str) -> None:
    engine.add("one", OWNED)
    prepared = requests.Request(method, url).prepare()
    prepared.url = url + path
    with requests.Session() as session:
        assert session.send(prepared, timeout=5).status_code in (403, 501)
    assert engine.calls == []


@pytest.mark.parametrize(("method", "action"), [("GET", "/json"), ("GET", "/logs"), ("POST", "/stop"), ("POST", "/start"), ("DELETE", "")])
def test_containers_made_elsewhere_cannot_be_touched(url: str, engine: EngineServer, method: str, action: str) -> None:
    engine.add("postgres", {"com.docker.compose.service": "postgres"})
    engine.add("other", {"ghostwriter.guard": "another project"})
    for name in ("postgres", "other"):
        answer = requests.request(method, f"{url}/containers/{name}{action}", timeout=5)
        assert (answer.status_code, answer.json()["message"][-21:]) == (403, f"{name} was not made here."[-21:])
    assert {path for _, path, _ in engine.calls} == {"/containers/postgres/json", "/containers/other/json"}


def test_only_containers_made_here_are_listed(url: str, engine: EngineServer) -> None:
    engine.add("postgres", {})
    ours = engine.add("train", OWNED)
    assert [one["Id"] for one in requests.get(f"{url}/containers/json?all=1", timeout=5).json()] == [ours]


def test_looking_at_a_container_renews_its_lease(url: str, engine: EngineServer, leases: Leases) -> None:
    ours, other = engine.add("train", OWNED), engine.add("evaluate", OWNED)
    leases.expired([ours, other])
    assert set(leases.expired([ours, other])) == {ours, other}
    leases._lease = 60
    leases._seen = {ours: 0.0, other: 0.0}
    assert requests.get(f"{url}/containers/train/json", timeout=5).status_code == 200
    assert leases.expired([ours, other]) == [other]


def test_an_orphan_is_stopped_with_time_for_a_checkpoint(engine: EngineServer) -> None:
    ours = engine.add("train", OWNED)
    engine.add("postgres", {})
    leases = Leases(lease=0.2, grace=7)
    threading.Thread(target=leases.keep, args=(Engine(str(engine.path)), "gw"), daemon=True).start()
    for _ in range(100):
        if not engine.containers[ours]["State"]["Running"]:
            break
        threading.Event().wait(0.1)
    assert ("POST", f"/containers/{ours}/stop", {"t": "7"}) in engine.calls
    assert engine.find("postgres")["State"]["Running"]  # type: ignore[index]


def test_an_engine_that_is_away_is_said(url: str, engine: EngineServer) -> None:
    engine.path.rename(engine.path.with_name("away.sock"))
    answer = requests.get(f"{url}/version", timeout=5)
    assert answer.status_code == 502
    assert "does not answer" in answer.json()["message"]
    assert "Start it, or mount its socket here." in answer.json()["message"]
