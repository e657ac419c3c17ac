"""A version whose engine ends is started again; one that does not stay up is given up. The engine here is a hand-written one."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ghostwriter.serving import loaded as module
from ghostwriter.serving.engine import EngineFailed
from ghostwriter.serving.loaded import Loaded
from ghostwriter.serving.problem import Problem


class Engine:
    """Runs until `end` is called."""

    address, key, model = "http://127.0.0.1:1/v1", "k", "m"

    def __init__(self) -> None:
        self.over, self.stopped = asyncio.Event(), False
        self.extra: dict[str, object] = {}

    async def ended(self) -> str:
        await self.over.wait()
        return "It was ended."

    async def stop(self) -> None:
        self.stopped = True


class Starter:
    """Starts engines, but for the tries named."""

    def __init__(self, *failing: int) -> None:
        self.failing, self.started, self.tries = failing, list[Engine](), 0

    async def __call__(self) -> Engine:
        self.tries += 1
        if self.tries in self.failing:
            raise EngineFailed("no memory")
        self.started.append(Engine())
        return self.started[-1]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DELAYS", (0.0, 0.01, 0.01))
    monkeypatch.setattr(module, "PATIENCE", 0.2)


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 20))  # type: ignore[arg-type]


def test_an_engine_that_ended_is_started_again_and_requests_wait_for_it() -> None:
    async def work() -> None:
        starter = Starter(2)
        version = Loaded("odessa@v1", starter, 2)
        await version.open()
        version.keep(lambda: pytest.fail("given up"))
        starter.started[0].over.set()
        while version.is_up:
            await asyncio.sleep(0)
        assert await version.running() is starter.started[1]
        assert starter.tries == 3
        await version.close()
        assert starter.started[1].stopped

    run(work)


def test_one_that_does_not_stay_up_is_given_up_and_says_why() -> None:
    async def work() -> None:
        starter, given_up = Starter(2, 3, 4), asyncio.Event()
        version = Loaded("odessa@v1", starter, 2)
        await version.open()
        version.keep(given_up.set)
        starter.started[0].over.set()
        await given_up.wait()
        with pytest.raises(Problem, match="no memory") as refused:
            await version.running()
        assert (refused.value.status, refused.value.retry_after) == (503, 5)
        await version.close(0)

    run(work)


def test_it_is_unloaded_when_the_last_answer_has_ended() -> None:
    async def work() -> None:
        starter = Starter()
        version = Loaded("odessa@v1", starter, 2)
        await version.open()
        version.keep(lambda: None)
        with version.bound():
            closing = asyncio.create_task(version.close())
            await asyncio.sleep(0.05)
            assert not starter.started[0].stopped
        await closing
        assert starter.started[0].stopped

    run(work)


def test_more_requests_than_it_takes_are_told_to_ask_again() -> None:
    async def work() -> None:
        version = Loaded("odessa@v1", Starter(), 1)
        with version.bound():
            with pytest.raises(Problem) as refused, version.bound():
                pass
            assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "2"})
        with version.bound():
            assert version.in_flight == 1

    run(work)
