"""Versions on their way into the engine, in it, and out again, and why some are not served. Nothing here knows of aliases."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import httpx2

from ghostwriter.errors import GhostwriterError
from ghostwriter.mlflow_runs.registry import MlflowSilent
from ghostwriter.serving.engine import Engine
from ghostwriter.serving.exports import Exports
from ghostwriter.serving.level import Facts
from ghostwriter.serving.loaded import Loaded
from ghostwriter.serving.probe import probe
from ghostwriter.writer import Writer

log = logging.getLogger(__name__)

AGAIN_SECONDS = 60.0
"""Until a version is tried again that failed for a reason that can pass."""
EXTRAS = 2
"""Versions loaded beside champions and previous ones because somebody asked for them; the one asked longest ago goes first."""
EXTRA_SECONDS = 900.0


@dataclass(frozen=True)
class Failure:
    """Why a version is not served."""

    facts: Facts
    why: str
    when: float
    """Seconds since the epoch."""
    again: float | None
    """When it is tried again, by the monotonic clock; None: not before the alias moves."""

    @property
    def is_due(self) -> bool:
        """Whether it may be tried again now."""
        return self.again is not None and time.monotonic() >= self.again


class Versions:
    """All that one engine has or may have, by key. Everything here runs on one event loop; what blocks runs in threads."""

    def __init__(self, exports: Exports, engine: Engine, client: httpx2.AsyncClient, *, most: int) -> None:
        """`most` requests are bound to a version at once."""
        self._exports, self._engine, self._client, self._most = exports, engine, client, most
        self._loaded: dict[str, Loaded] = {}
        self._loading: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, Failure] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._one_export = asyncio.Semaphore(1)

    @property
    def loaded(self) -> dict[str, Loaded]:
        """What is loaded."""
        return dict(self._loaded)

    def is_loading(self, key: str) -> bool:
        """Whether it is on its way."""
        return key in self._loading

    def refused(self, key: str) -> Failure | None:
        """Why it is not served, unless it is being tried or may be tried again."""
        failure = None if key in self._loading else self._failed.get(key)
        return None if failure and failure.is_due else failure

    def forget_failures(self, writer: str, aliased: Collection[str]) -> None:
        """What no alias names any more may be tried again when somebody asks for it, after a while."""
        for key, failure in list(self._failed.items()):
            if failure.facts.writer == writer and key not in aliased and time.time() - failure.when > AGAIN_SECONDS:
                del self._failed[key]

    def load_soon(self, writer: Writer, facts: Facts, ended: Callable[[Failure | None], None], questions: tuple[str, ...] = ()) -> None:
        """Begin to load it, unless that is under way; `ended` is called when it is loaded, or with why it is not, if that is news."""
        if facts.key in self._loading:
            return
        task = asyncio.create_task(self._load(writer, facts, questions), name=f"loading {facts.name}")
        self._loading[facts.key] = task
        task.add_done_callback(lambda done: self._ended(facts, done, ended))

    def unload(self, kept: Collection[str], extras: Collection[str]) -> None:
        """Unload all but what is `kept`, and those of `extras` that somebody asked for lately."""
        rest = {key: loaded for key, loaded in self._loaded.items() if key not in kept}
        newest = sorted(rest, key=lambda key: rest[key].last_used, reverse=True)
        recent = [key for key in newest if key in extras and time.monotonic() - rest[key].last_used < EXTRA_SECONDS]
        for key in set(rest) - set(recent[:EXTRAS]):
            closing = asyncio.create_task(self._loaded.pop(key).close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def prune(self, writer: str, aliased: Collection[str]) -> None:
        """Remove exports that no alias names and nobody uses; not while one is made or loaded, which may be an old one asked for again."""
        if self._one_export.locked():
            return
        async with self._one_export:
            await asyncio.to_thread(self._exports.prune, writer, {*aliased, *self._loaded, *self._loading})

    async def close(self) -> None:
        """End everything, without waiting for answers under way."""
        await asyncio.to_thread(self._exports.stop)
        for task in (*self._loading.values(), *self._closing):
            task.cancel()
        await asyncio.gather(*self._loading.values(), *self._closing, return_exceptions=True)
        await asyncio.gather(*(loaded.close(0) for loaded in self._loaded.values()))
        await self._engine.close()

    async def _load(self, writer: Writer, facts: Facts, questions: tuple[str, ...]) -> None:
        async with self._one_export:
            began = time.monotonic()
            log.info("%s is fetched and proved.", facts.name)
            made = await asyncio.to_thread(self._exports.make, writer, facts, questions)
            proved = time.monotonic()
            loaded = Loaded(facts.name, lambda: self._engine.load(facts.key, made.folder, facts), self._most)
            asked = self._exports.asked_of(facts)
            try:
                running = await loaded.open()
                opened = time.monotonic()
                count, most = self._engine.asked_again
                answers, most = made.proof.ids[:count], min(most, asked.max_new_tokens)
                await probe(self._client, running, asked.questions[:count], answers, most, self._engine.near_tie)
            except BaseException:
                await loaded.close(0)
                raise
        loaded.keep(lambda: self._drop(facts.key, loaded))
        self._loaded[facts.key] = loaded
        seconds = (proved - began, opened - proved, time.monotonic() - opened)
        log.info("%s is loaded: proved in %.1f s, loaded in %.1f s, asked in %.1f s.", facts.name, *seconds)

    def _drop(self, key: str, loaded: Loaded) -> None:
        """An engine that does not stay up: its version is fetched, proved and loaded anew by the next look."""
        if self._loaded.get(key) is loaded:
            del self._loaded[key]

    def _ended(self, facts: Facts, done: "asyncio.Task[None]", ended: Callable[[Failure | None], None]) -> None:
        del self._loading[facts.key]
        if done.cancelled():
            return
        before = self._failed.pop(facts.key, None)
        failure = self._note(facts, error) if (error := done.exception()) else None
        ended(None if failure and before and before.why == failure.why else failure)

    def _note(self, facts: Facts, error: BaseException) -> Failure:
        """Keep why a version is not served. Whatever went wrong, what is served goes on."""
        is_known = isinstance(error, GhostwriterError | MlflowSilent)
        can_pass = isinstance(error, MlflowSilent | OSError) or (isinstance(error, GhostwriterError) and error.retryable)
        why = str(error) if is_known else f"{type(error).__name__}: {error}"
        log.warning("%s cannot be served: %s", facts.name, why, exc_info=None if is_known else error)
        self._failed[facts.key] = Failure(facts, why, time.time(), time.monotonic() + AGAIN_SECONDS if can_pass else None)
        return self._failed[facts.key]
