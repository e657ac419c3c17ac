"""Who may ask the gateway: this machine, or whoever bears the key; one gateway serves a home folder."""

import asyncio
import stat
from pathlib import Path
from typing import cast

import httpx2
import pytest

from ghostwriter.errors import ServiceError
from ghostwriter.home import Home, read_serving_key
from ghostwriter.mlflow_runs.registry import Registry
from ghostwriter.serving.engine import Engine
from ghostwriter.serving.exports import Exports
from ghostwriter.serving.follow import Follow
from ghostwriter.serving.gateway import Gateway
from ghostwriter.serving.llama import LlamaEngine
from ghostwriter.serving.server import Settings, chosen, read_key, serve
from ghostwriter.serving.versions import Versions
from ghostwriter.writer import writers_folder

BODY = {"model": "odessa", "messages": [{"role": "user", "content": "Why?"}]}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_key_is_made_when_one_is_wanted_and_kept(home: Home) -> None:
    assert read_key(home, is_wanted=False) == ""
    key = read_key(home, is_wanted=True)
    assert len(key) > 30
    assert stat.S_IMODE(home.serving_key.stat().st_mode) == 0o600
    assert read_key(home, is_wanted=True) == key == read_serving_key(home)
    assert read_key(home, is_wanted=False) == key  # where it stands it is wanted on this machine too


def test_a_key_that_others_can_read_or_that_is_empty_is_refused(home: Home) -> None:
    home.serving_key.write_text("known\n")
    home.serving_key.chmod(0o644)
    with pytest.raises(ServiceError, match="chmod 600"):
        read_key(home, is_wanted=True)
    home.serving_key.write_text("\n")
    home.serving_key.chmod(0o600)
    with pytest.raises(ServiceError, match="is empty"):
        read_key(home, is_wanted=True)


def test_a_writer_whose_file_is_being_edited_is_served_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "lamplight.toml"
    file.write_bytes((writers_folder() / "lamplight.toml").read_bytes())
    monkeypatch.setenv("GHOSTWRITER_WRITERS", str(tmp_path))
    read = chosen([])
    whole = read()
    file.write_text("[source")
    assert read() == whole != {}
    file.unlink()
    assert read() == {}


def asked(key: str = "", given: str = "", host: str = "127.0.0.1:8910") -> list[httpx2.Response]:
    """What a gateway without writers answers to one of each route."""

    async def ask() -> list[httpx2.Response]:
        async with httpx2.AsyncClient() as client:
            home = Home(Path("/nowhere"))
            versions = Versions(Exports(home, "gguf"), cast(Engine, None), client, most=16)
            follow = Follow(dict, lambda: Registry("http://x"), versions)
            gateway = Gateway(follow, client, poll=1, key=key, hosts=["127.0.0.1", "localhost"])
            headers = {"Authorization": f"Bearer {given}", "Host": host} if given else {"Host": host}
            transport = httpx2.ASGITransport(gateway.app, raise_app_exceptions=False)
            async with httpx2.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as asking:
                return [
                    await asking.get("/v1/models"),
                    await asking.post("/v1/chat/completions", json=BODY),
                    await asking.post("/v1/ghostwriter/candidates", json={}),
                    await asking.get("/healthz"),
                ]

    return asyncio.run(ask())


def test_without_the_key_nothing_is_told_but_whether_it_is_ready() -> None:
    answers = asked(key="right", given="wrong")
    assert [answer.status_code for answer in answers] == [401, 401, 401, 503]
    assert answers[1].json()["error"]["code"] == "invalid_api_key"
    assert answers[3].json() == {"status": "starting"}


def test_with_the_key_requests_are_read() -> None:
    models, answer, candidate, health = asked(key="right", given="right")
    assert models.json() == {"object": "list", "data": []}
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert candidate.json()["error"]["message"].startswith("This is no candidate: ")
    assert health.json()["registry"] == {"is_stale": True, "seconds": None, "why": "it was not asked yet"}


def test_a_page_that_calls_this_machine_by_another_name_gets_nothing() -> None:
    assert {answer.status_code for answer in asked(host="evil.example:8910")} == {400}


def test_a_port_that_is_taken_and_a_second_gateway_are_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl
    import socket

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    engine = LlamaEngine(home.path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServiceError, match=rf"cannot be listened on .*--port {port + 10}"):
            serve(home, engine, [], Settings(port=port))
    with (home.path / "serving.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ServiceError, match=r"serves .* already"):
            serve(home, engine, [], Settings(port=0))
