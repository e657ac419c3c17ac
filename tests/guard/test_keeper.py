"""Orphans are stopped, whatever else happens."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guard.engine import Engine, Silent
from guard.keeper import DEAD_SECONDS, Keeper
from guard.leases import Leases
from tests.guard.allowed import OWNED
from tests.guard.engine_server import EngineServer
from tests.guard.test_leases import Clock


def at_once(work: Callable[[], None]) -> None:
    """Instead of a thread."""
    work()


class Threads:
    """None can be started the first time."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, work: Callable[[], None]) -> None:
        self.asked += 1
        if self.asked == 1:
            raise RuntimeError("can't start new thread")
        work()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineServer]:
    with EngineServer(tmp_path / "engine.sock") as running:
        yield running


def expired_keeper(
    engine: EngineServer,
    start: Callable[[Callable[[], None]], None] = at_once,
) -> Keeper:
    """A keeper to whom every container's lease has run out."""
    clock = Clock()
    leases = Leases(lease=-1, clock=clock)
    return Keeper(Engine(str(engine.path)), "gw", leases, grace=7, start=start)


def stops(engine: EngineServer) -> int:
    return sum(path.endswith("/stop") for _, path, _ in engine.calls)


def test_an_orphan_is_stopped_with_time_for_a_checkpoint(engine: EngineServer) -> None:
    ours = engine.add("train", OWNED)
    engine.add("postgres", {})
    expired_keeper(engine).look()
    assert ("POST", f"/containers/{ours}/stop", {"t": "7"}) in engine.calls
    assert engine.find("postgres")["State"]["Running"]  # type: ignore[index]


def test_a_container_that_was_stopped_once_and_runs_again_is_stopped_again(
    engine: EngineServer,
) -> None:
    ours, keeper = engine.add("train", OWNED), expired_keeper(engine)
    keeper.look()
    engine.containers[ours]["State"] |= {"Running": True, "Status": "running"}
    keeper.look()
    assert stops(engine) == 2


def test_a_stop_that_fails_is_said_and_tried_again(
    engine: EngineServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ours, keeper = engine.add("train", OWNED), expired_keeper(engine)
    engine.answers[f"/containers/{ours}/stop"] = 500
    keeper.look()
    assert "The Docker engine did not stop 000000000000" in caplog.text
    engine.answers.clear()
    keeper.look()
    assert (stops(engine), engine.containers[ours]["State"]["Running"]) == (2, False)


def test_a_stop_for_which_there_is_no_thread_is_tried_again(engine: EngineServer) -> None:
    ours, keeper = engine.add("train", OWNED), expired_keeper(engine, Threads())
    keeper.look()
    assert engine.containers[ours]["State"]["Running"]
    keeper.look()
    assert not engine.containers[ours]["State"]["Running"]


@pytest.mark.parametrize("answer", [b"<html>", b"{}", b"[{}]", b"[null]", b"7", b"", 500])
def test_answers_of_the_engine_that_cannot_be_read_do_not_end_the_keeper(
    engine: EngineServer,
    answer: bytes | int,
) -> None:
    ours, keeper = engine.add("train", OWNED), expired_keeper(engine)
    engine.answers["/containers/json"] = answer
    keeper.look()
    assert stops(engine) == 0
    engine.answers.clear()
    keeper.look()
    assert not engine.containers[ours]["State"]["Running"]


def test_a_keeper_that_looks_no_more_is_said(engine: EngineServer) -> None:
    keeper = expired_keeper(engine)
    keeper.look()
    keeper.check()
    with pytest.raises(Silent, match="No lease was looked at for"):
        keeper.check(now=keeper._looked + DEAD_SECONDS + 1)
