"""How many containers there may be, and how much memory they have together."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from guard.engine import Answer, Engine
from guard.parsing import Refused
from guard.quota import Quota
from tests.guard.allowed import OWNED, POLICY
from tests.guard.engine_server import EngineServer


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineServer]:
    with EngineServer(tmp_path / "engine.sock") as running:
        yield running


@pytest.fixture
def quota(engine: EngineServer) -> Quota:
    return Quota(Engine(str(engine.path)), POLICY)


def start(quota: Quota, engine: EngineServer, container: str) -> Answer:
    found = Engine(str(engine.path)).inspect(container)
    assert found
    return quota.start(found)


def test_there_are_only_so_many_containers_running_or_not(
    engine: EngineServer,
    quota: Quota,
) -> None:
    engine.add("postgres", {})
    for name in ("a", "b", "c"):
        engine.add(name, OWNED, running=False)
    with pytest.raises(Refused, match="There are 3 training containers already"):
        quota.create({"name": "d"}, b"{}")
    assert engine.created == []


def test_running_containers_have_only_so_much_memory_together(
    engine: EngineServer,
    quota: Quota,
) -> None:
    engine.add("running", OWNED, memory=2**29)
    engine.add("ended", OWNED, running=False, memory=2**30)
    fits = engine.add("fits", OWNED, running=False, memory=2**29)
    assert start(quota, engine, fits).status == 204
    too_much = engine.add("too much", OWNED, running=False, memory=1)
    words = "would have 1073741825 bytes of memory together, and may have 1073741824"
    with pytest.raises(Refused, match=words):
        start(quota, engine, too_much)


def test_one_that_runs_already_needs_no_more_memory(engine: EngineServer, quota: Quota) -> None:
    assert start(quota, engine, engine.add("running", OWNED, memory=2**30)).status == 204


def test_of_many_starts_at_once_only_as_many_pass_as_there_is_memory_for(
    engine: EngineServer,
    quota: Quota,
) -> None:
    made = [engine.add(str(n), OWNED, running=False, memory=2**29) for n in range(8)]
    refused: list[str] = []

    def attempt(container: str) -> None:
        try:
            start(quota, engine, container)
        except Refused:
            refused.append(container)

    threads = [threading.Thread(target=attempt, args=(container,)) for container in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 6
