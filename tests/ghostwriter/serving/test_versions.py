"""Versions are loaded one after the other; no export is removed meanwhile, and of a failure that comes again nobody is told twice."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import httpx2
import pytest

from ghostwriter.errors import TrackingError
from ghostwriter.home import Home
from ghostwriter.serving import versions as module
from ghostwriter.serving.engine import Engine, EngineFailed
from ghostwriter.serving.exports import Exports
from ghostwriter.serving.level import Facts
from ghostwriter.serving.versions import Failure, Versions
from ghostwriter.writer import load_writer
from training.contract import ExportResult

FACTS = Facts("lamplight", "7", "a" * 64, "tiny", None, 0)


class Failing(Exports):
    """Exports that take until `go_on`, and come to nothing."""

    def __init__(self, home: Home, why: Exception) -> None:
        super().__init__(home, "gguf")
        self.why, self.begun, self.go_on = why, threading.Event(), threading.Event()

    def make(self, *_asked: object) -> ExportResult:
        self.begun.set()
        assert self.go_on.wait(20)
        raise self.why


def run(exports: Exports, work: Callable[[Versions], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        async with httpx2.AsyncClient() as client:
            await asyncio.wait_for(work(Versions(exports, cast(Engine, None), client, most=1)), 20)

    asyncio.run(all_of_it())


async def failure_of(versions: Versions) -> Failure | None:
    """What is told when the version's loading has ended."""
    told: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()
    versions.load_soon(load_writer("lamplight"), FACTS, told.set_result)
    return await told


def test_an_old_export_is_removed_but_not_while_one_is_made(tmp_path: Path) -> None:
    home = Home(tmp_path)
    old = home.exports("lamplight") / "served-gguf-old"
    old.mkdir(parents=True)
    os.utime(old, (0, 0))
    exports = Failing(home, EngineFailed("no"))

    async def work(versions: Versions) -> None:
        ending = asyncio.create_task(failure_of(versions))
        await asyncio.to_thread(exports.begun.wait)
        await versions.prune("lamplight", ())
        assert old.exists()  # it may be the one that was asked for again
        exports.go_on.set()
        await ending
        await versions.prune("lamplight", ())
        assert not old.exists()

    run(exports, work)


def test_a_failure_that_can_pass_is_tried_again_and_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.0)
    exports = Failing(Home(tmp_path), TrackingError("MLflow is away"))
    exports.go_on.set()

    async def work(versions: Versions) -> None:
        first = await failure_of(versions)
        assert first and first.why == "MLflow is away"
        assert versions.refused(FACTS.key) is None
        assert await failure_of(versions) is None
        exports.why = EngineFailed("It is broken.")
        assert await failure_of(versions) is not None
        refused = versions.refused(FACTS.key)
        assert refused and refused.why == "It is broken."

    run(exports, work)
