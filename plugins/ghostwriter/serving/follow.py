"""Follows the registry: what the aliases name is loaded and asked; a pointer moves; what nobody wants is unloaded.

A version that cannot be served changes nothing: the one before answers on, and why is said. While MLflow is silent everything answers on.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from ghostwriter.judging.serving import Tried
from ghostwriter.mlflow_runs.registry import MlflowSilent, Registry
from ghostwriter.serving.asked import CHAMPION, PREVIOUS, Which, no_model
from ghostwriter.serving.level import BASE, Facts, Level, read_level
from ghostwriter.serving.loaded import Loaded
from ghostwriter.serving.problem import Problem
from ghostwriter.serving.versions import Failure, Versions
from ghostwriter.words.sentences import say_sentence
from ghostwriter.writer import Writer

log = logging.getLogger(__name__)

REGISTRY_SECONDS = 3.0
LOADING_SECONDS = 5

ROLES = (CHAMPION, PREVIOUS)


@dataclass
class Followed:
    """One writer: how the registry stands, and what answers under each role."""

    writer: Writer
    level: Level | None = None
    served: dict[str, tuple[Facts, Loaded]] = field(default_factory=dict)
    failure: Failure | None = None

    @property
    def aliased(self) -> set[str]:
        """Keys of what the aliases name."""
        return {facts.key for facts in (self.level.champion, self.level.previous) if facts} if self.level else set()


class Follow:
    """All writers. Everything here runs on one event loop; what blocks runs in threads."""

    def __init__(
        self,
        writers: Callable[[], Mapping[str, Writer]],
        registry: Callable[[], Registry],
        versions: Versions,
        tell: Callable[[Writer, str, str], None] = lambda _writer, _what, _why: None,
    ) -> None:
        """`tell` is called in a thread when a champion cannot be served."""
        self._writers, self._registry, self._versions, self._tell = writers, registry, versions, tell
        self.followed: dict[str, Followed] = {}
        self.heard: float | None = None
        """When the registry last answered, by the monotonic clock."""
        self.silence = "it was not asked yet"
        self._extras: set[str] = set()

    async def run(self, every: float) -> None:
        """Look at the registry every so many seconds, for good."""
        while True:
            began = time.monotonic()
            await self.look()
            await asyncio.sleep(max(0.0, every - (time.monotonic() - began)))

    async def look(self) -> None:
        """Ask the registry once about every writer, and act on it."""
        try:
            await self._ask_all(await asyncio.to_thread(self._writers))
            self.heard, self.silence = time.monotonic(), ""
        except (MlflowSilent, OSError) as silent:  # OSError: the folder of the writers' files
            if not self.silence:
                log.warning("%s Serving goes on with the versions that are loaded.", silent)
            self.silence = str(silent)
        self._unload_unwanted()
        if not self.silence:
            for stem, followed in list(self.followed.items()):
                await self._versions.prune(stem, followed.aliased)

    async def _ask_all(self, writers: Mapping[str, Writer]) -> None:
        for gone in set(self.followed) - set(writers):
            del self.followed[gone]
        for stem, writer in writers.items():
            followed = self.followed.setdefault(stem, Followed(writer))
            followed.writer = writer
            followed.level = await asyncio.to_thread(read_level, self._registry(), stem, followed.level)
            self._settle(followed)

    def bind(self, which: Which) -> tuple[Facts, Loaded]:
        """The version that a request is given to. Raises Problem: there is none, or it is being loaded because it was asked for."""
        followed = self.followed.get(which.writer)
        if followed is None:
            raise no_model(which.writer, f" {self._unknown()}")
        if which.version in followed.served:
            return followed.served[which.version]
        facts = self._facts(followed, which)
        if loaded := self.loaded.get(facts.key):
            return facts, loaded
        if failure := self._versions.refused(facts.key):
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
        if loaded := self.loaded.get(facts.key):
            loaded.last_used = time.monotonic()
            return Tried(state="served")
        if failure := self._versions.refused(facts.key):
            return Tried(state="refused", why=failure.why)
        self._load_soon(self.followed[facts.writer].writer, facts, questions)
        return Tried(state="loading")

    @property
    def loaded(self) -> dict[str, Loaded]:
        """What is loaded, by key."""
        return self._versions.loaded

    async def close(self) -> None:
        """End everything, without waiting for answers under way."""
        await self._versions.close()

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
        self._versions.forget_failures(followed.writer.stem, followed.aliased)
        if level is None:
            followed.served.clear()
            return
        if level.is_moving:
            return
        for role, facts in ((CHAMPION, level.champion), (PREVIOUS, level.previous)):
            if facts is None:
                followed.served.pop(role, None)
            elif loaded := self.loaded.get(facts.key):
                self._flip(followed, role, facts, loaded)
            elif failure := self._versions.refused(facts.key):
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

    def _is_champion_settled(self, followed: Followed) -> bool:
        champion = followed.level.champion if followed.level else None
        return champion is None or not self._versions.is_loading(champion.key)

    def _load_soon(self, writer: Writer, facts: Facts, questions: tuple[str, ...] = ()) -> None:
        if facts.key not in self.followed[writer.stem].aliased:
            self._extras.add(facts.key)
        self._versions.load_soon(writer, facts, partial(self._loading_ended, writer), questions)

    def _loading_ended(self, writer: Writer, failure: Failure | None) -> None:
        if followed := self.followed.get(writer.stem):
            if failure and followed.level and followed.level.champion == failure.facts:
                what = say_sentence(f"{failure.facts.name} cannot be served", writer.tongue)
                asyncio.get_running_loop().run_in_executor(None, self._tell, writer, what, failure.why)
            self._settle(followed)
        self._unload_unwanted()

    def _unload_unwanted(self) -> None:
        served = {loaded for each in self.followed.values() for _, loaded in each.served.values()}
        aliased = {key for each in self.followed.values() for key in each.aliased}
        kept = aliased | {key for key, loaded in self.loaded.items() if loaded in served}
        self._versions.unload(kept, self._extras)
        self._extras.intersection_update({*self.loaded, *(key for key in self._extras if self._versions.is_loading(key))})
