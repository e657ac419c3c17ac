"""Follows the registry: what the aliases name is fetched, proved, loaded and asked; a pointer moves; what nobody wants is unloaded.

A version that cannot be served changes nothing: the one before answers on, and why is said. While MLflow is silent everything answers on.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx2

from ghostwriter.errors import GhostwriterError
from ghostwriter.judging.serving import Tried
from ghostwriter.mlflow_runs.registry import MlflowSilent, Registry
from ghostwriter.serving.asked import CHAMPION, PREVIOUS, Which, no_model
from ghostwriter.serving.engine import Engine
from ghostwriter.serving.exports import Exports
from ghostwriter.serving.level import BASE, Facts, Level, read_level
from ghostwriter.serving.loaded import Loaded
from ghostwriter.serving.probe import probe
from ghostwriter.serving.problem import Problem
from ghostwriter.writer import Writer

log = logging.getLogger(__name__)

REGISTRY_SECONDS = 3.0
AGAIN_SECONDS = 60.0
"""Until a version is tried again that failed for a reason that can pass."""
EXTRAS = 2
"""Versions loaded beside champions and previous ones because somebody asked for them; the one asked longest ago goes first."""
EXTRA_SECONDS = 900.0
LOADING_SECONDS = 5

ROLES = (CHAMPION, PREVIOUS)


@dataclass(frozen=True)
class Failure:
    """Why a version is not served."""

    facts: Facts
    why: str
    when: float
    """Seconds since the epoch."""
    again: float | None
    """When it is tried again, by the monotonic clock; None: not before the alias moves."""


@dataclass
class Followed:
    """One writer: how the registry stands, and what answers under each role."""

    writer: Writer
    level: Level | None = None
    served: dict[str, tuple[Facts, Loaded]] = field(default_factory=dict)
    failure: Failure | None = None


class Follow:
    """All writers. Everything here runs on one event loop; what blocks runs in threads."""

    def __init__(
        self,
        writers: Callable[[], Mapping[str, Writer]],
        registry: Callable[[], Registry],
        exports: Exports,
        engine: Engine,
        client: httpx2.AsyncClient,
        *,
        most: int = 16,
        tell: Callable[[Writer, str, str], None] = lambda _writer, _what, _why: None,
    ) -> None:
        """`tell` is called in a thread when a champion cannot be served; `most` requests are bound to a version at once."""
        self._writers, self._registry, self._exports, self._engine, self._client = writers, registry, exports, engine, client
        self._most, self._tell = most, tell
        self.followed: dict[str, Followed] = {}
        self.heard: float | None = None
        """When the registry last answered, by the monotonic clock."""
        self.silence = "it was not asked yet"
        self._loaded: dict[str, Loaded] = {}
        self._loading: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, Failure] = {}
        self._extras: set[str] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._one_export = asyncio.Semaphore(1)

    async def run(self, every: float) -> None:
        """Look at the registry every so many seconds, for good."""
        while True:
            began = time.monotonic()
            await self.look()
            await asyncio.sleep(max(0.0, every - (time.monotonic() - began)))

    async def look(self) -> None:
        """Ask the registry once about every writer, and act on it."""
        writers = await asyncio.to_thread(self._writers)
        for gone in set(self.followed) - set(writers):
            del self.followed[gone]
        try:
            for stem, writer in writers.items():
                followed = self.followed.setdefault(stem, Followed(writer))
                followed.writer = writer
                followed.level = await asyncio.to_thread(read_level, self._registry(), stem, followed.level)
                self._settle(followed)
            self.heard, self.silence = time.monotonic(), ""
        except MlflowSilent as silent:
            if not self.silence:
                log.warning("%s Serving goes on with the versions that are loaded.", silent)
            self.silence = str(silent)
        self._unload_unwanted()
        if not self.silence:
            await self._prune()

    def bind(self, which: Which) -> tuple[Facts, Loaded]:
        """The version that a request is given to. Raises Problem: there is none, or it is being loaded because it was asked for."""
        followed = self.followed.get(which.writer)
        if followed is None:
            raise no_model(which.writer, f" {self._unknown()}")
        if which.version in followed.served:
            return followed.served[which.version]
        facts = self._facts(followed, which)
        if loaded := self._ready(facts.key):
            return facts, loaded
        failure = self._failed.get(facts.key)
        if failure and not _is_due(failure):
            raise Problem(503, "model_unavailable", f"{facts.name} cannot be served. {failure.why}")
        self._load_soon(followed.writer, facts)
        raise Problem(503, "model_loading", f"{facts.name} is being loaded. Ask again in a few seconds.", retry_after=LOADING_SECONDS)

    async def look_for(self, which: Which) -> None:
        """Ask the registry once more when a version is asked for that is not known. Raises Problem when it does not answer."""
        followed = self.followed.get(which.writer)
        if followed is None or which.version in (*ROLES, BASE) or (followed.level and which.version in followed.level.versions):
            return
        try:
            level = await asyncio.to_thread(read_level, self._registry(), which.writer, followed.level, again=True)
        except MlflowSilent as silent:
            raise Problem(503, "model_unavailable", f"Version {which.version} is not known here. {silent}", retry_after=10) from None
        followed.level = level

    def try_candidate(self, facts: Facts, questions: tuple[str, ...]) -> Tried:
        """How far a version is that no alias names yet, and why it is refused; it is loaded as after its promotion. Raises Problem."""
        if facts.writer not in self.followed:
            raise no_model(facts.writer)
        if loaded := self._ready(facts.key):
            loaded.last_used = time.monotonic()
            return Tried(state="served")
        failure = self._failed.get(facts.key)
        if failure and not _is_due(failure) and facts.key not in self._loading:
            return Tried(state="refused", why=failure.why)
        self._load_soon(self.followed[facts.writer].writer, facts, questions)
        return Tried(state="loading")

    @property
    def loaded(self) -> dict[str, Loaded]:
        """What is loaded, by key."""
        return dict(self._loaded)

    async def close(self) -> None:
        """End everything, without waiting for answers under way."""
        await asyncio.to_thread(self._exports.stop)
        for task in (*self._loading.values(), *self._closing):
            task.cancel()
        await asyncio.gather(*self._loading.values(), *self._closing, return_exceptions=True)
        await asyncio.gather(*(loaded.close(0) for loaded in self._loaded.values()))
        await self._engine.close()

    async def _prune(self) -> None:
        """Remove exports of versions that are neither named by an alias nor loaded."""
        for stem, followed in self.followed.items():
            level = followed.level
            aliased = {facts.key for facts in (level.champion, level.previous) if facts} if level else set()
            await asyncio.to_thread(self._exports.prune, stem, {*self._loaded, *self._loading, *aliased})

    def _facts(self, followed: Followed, which: Which) -> Facts:
        level = followed.level
        if level is None:
            raise no_model(which.name, f" {self._unknown()}")
        found = {CHAMPION: level.champion, PREVIOUS: level.previous, BASE: level.champion and level.champion.under()}
        facts = found[which.version] if which.version in found else level.versions.get(which.version)
        if facts is None:
            lack = f"The registry has no {which.version} of {which.writer}." if which.version in found else ""
            raise no_model(which.name, f" {lack}".rstrip())
        return facts

    def _unknown(self) -> str:
        return f"MLflow has not said yet which there are: {self.silence}" if self.heard is None else "MLflow has none."

    def _settle(self, followed: Followed) -> None:
        """Move the pointers to what is loaded of what the aliases name, and begin to load the rest."""
        level = followed.level
        self._forget_failures(followed)
        if level is None:
            followed.served.clear()
            return
        if level.is_moving:
            return
        for role, facts in ((CHAMPION, level.champion), (PREVIOUS, level.previous)):
            if facts is None:
                followed.served.pop(role, None)
            elif loaded := self._ready(facts.key):
                self._flip(followed, role, facts, loaded)
            elif (failure := self._failed.get(facts.key)) and not _is_due(failure):
                followed.failure = failure if role == CHAMPION else followed.failure
            elif role == CHAMPION or self._is_champion_settled(followed):
                self._load_soon(followed.writer, facts)

    def _flip(self, followed: Followed, role: str, facts: Facts, loaded: Loaded) -> None:
        before = followed.served.get(role)
        followed.served[role] = (facts, loaded)
        loaded.name = facts.name
        if role == CHAMPION:
            followed.failure = None
            if before is None or before[0] != facts:
                log.info("%s now answers as %s.", facts.writer, facts.name)

    def _forget_failures(self, followed: Followed) -> None:
        """What no alias names any more may be tried again when somebody asks for it, after a while."""
        level = followed.level
        aliased = {facts.key for facts in (level.champion, level.previous) if facts} if level else set()
        for key, failure in list(self._failed.items()):
            if failure.facts.writer == followed.writer.stem and key not in aliased and time.time() - failure.when > AGAIN_SECONDS:
                del self._failed[key]

    def _is_champion_settled(self, followed: Followed) -> bool:
        champion = followed.level.champion if followed.level else None
        return champion is None or champion.key not in self._loading

    def _ready(self, key: str) -> Loaded | None:
        return self._loaded.get(key)

    def _load_soon(self, writer: Writer, facts: Facts, questions: tuple[str, ...] = ()) -> "asyncio.Task[None]":
        level = self.followed[writer.stem].level
        if level is None or facts not in (level.champion, level.previous):
            self._extras.add(facts.key)
        if facts.key not in self._loading:
            task = asyncio.create_task(self._load(writer, facts, questions), name=f"loading {facts.name}")
            self._loading[facts.key] = task
            task.add_done_callback(lambda done: self._loading_ended(writer, facts, done))
        return self._loading[facts.key]

    async def _load(self, writer: Writer, facts: Facts, questions: tuple[str, ...]) -> None:
        began = time.monotonic()
        async with self._one_export:
            log.info("%s is fetched and proved.", facts.name)
            made = await asyncio.to_thread(self._exports.make, writer, facts, questions)
            loaded = Loaded(facts.name, lambda: self._engine.load(facts.key, made.folder, facts), self._most)
            asked = self._exports.asked_of(facts)
            try:
                running = await loaded.open()
                await probe(self._client, running, asked.questions, made.proof.ids, asked.max_new_tokens, self._engine.near_tie)
            except BaseException:
                await loaded.close(0)
                raise
        loaded.keep(lambda: self._drop(facts.key, loaded))
        self._loaded[facts.key] = loaded
        log.info("%s is loaded: %d answers as proved, %.1f s.", facts.name, made.proof.questions, time.monotonic() - began)

    def _drop(self, key: str, loaded: Loaded) -> None:
        """An engine that does not stay up: its version is fetched, proved and loaded anew by the next look."""
        if self._loaded.get(key) is loaded:
            del self._loaded[key]

    def _loading_ended(self, writer: Writer, facts: Facts, done: "asyncio.Task[None]") -> None:
        del self._loading[facts.key]
        if done.cancelled():
            return
        error = done.exception()
        if error is None:
            self._failed.pop(facts.key, None)
        else:
            self._note(writer, facts, error)
        if followed := self.followed.get(writer.stem):
            self._settle(followed)
        self._unload_unwanted()

    def _note(self, writer: Writer, facts: Facts, error: BaseException) -> None:
        """Keep why a version is not served. Whatever went wrong, what is served goes on."""
        is_known = isinstance(error, GhostwriterError | MlflowSilent)
        can_pass = isinstance(error, MlflowSilent | OSError) or (isinstance(error, GhostwriterError) and error.retryable)
        why = str(error) if is_known else f"{type(error).__name__}: {error}"
        again = time.monotonic() + AGAIN_SECONDS if can_pass else None
        before = self._failed.get(facts.key)
        self._failed[facts.key] = Failure(facts, why, time.time(), again)
        log.warning("%s cannot be served: %s", facts.name, why, exc_info=None if is_known else error)
        level = self.followed[writer.stem].level if writer.stem in self.followed else None
        if level and facts == level.champion and (before is None or before.why != why):
            asyncio.get_running_loop().run_in_executor(None, self._tell, writer, f"{facts.name} cannot be served", why)

    def _unload_unwanted(self) -> None:
        wanted = {loaded for each in self.followed.values() for _, loaded in each.served.values()}
        aliased = {
            facts.key for each in self.followed.values() if each.level for facts in (each.level.champion, each.level.previous) if facts
        }
        rest = {key: loaded for key, loaded in self._loaded.items() if loaded not in wanted and key not in aliased}
        newest = sorted(rest, key=lambda key: rest[key].last_used, reverse=True)
        recent = [key for key in newest if key in self._extras and time.monotonic() - rest[key].last_used < EXTRA_SECONDS]
        for key in set(rest) - set(recent[:EXTRAS]):
            self._extras.discard(key)
            closing = asyncio.create_task(self._loaded.pop(key).close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


def _is_due(failure: Failure) -> bool:
    return failure.again is not None and time.monotonic() >= failure.again
