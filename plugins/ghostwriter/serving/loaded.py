"""A version in an engine: who is being answered by it, and what happens when its engine ends.

It is started again at once, and requests wait for it a few seconds. It is unloaded only when nobody is being answered any more.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from ghostwriter.errors import GhostwriterError
from ghostwriter.serving.engine import Running
from ghostwriter.serving.problem import Problem

log = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds a request waits for an engine that is being started again."""
DELAYS = (0.0, 1.0, 2.0, 5.0, 15.0)
"""Before the first, second ... try to start an engine again; after the last it is given up."""
STEADY_SECONDS = 60.0
"""An engine that ran this long counts as one that never ended."""
DRAIN_SECONDS = 900.0
"""For answers that are under way when a version is no longer wanted."""


class Loaded:
    """One version, loaded; `most` requests may be bound to it at once."""

    def __init__(self, name: str, start: Callable[[], Awaitable[Running]], most: int) -> None:
        self.name, self.why_down, self.last_used, self.in_flight = name, "", time.monotonic(), 0
        self._start, self._most = start, most
        self._running: Running | None = None
        self._is_up, self._is_idle = asyncio.Event(), asyncio.Event()
        self._is_idle.set()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def is_up(self) -> bool:
        """Whether its engine runs."""
        return self._is_up.is_set()

    async def open(self) -> Running:
        """Load it. Raises EngineFailed."""
        self._running = await self._start()
        self._is_up.set()
        return self._running

    def keep(self, give_up: Callable[[], None]) -> None:
        """From now on start its engine again when it ends; `give_up` is called when that does not help."""
        self._keeper = asyncio.create_task(self._keep_up(give_up), name=f"keeper of {self.name}")

    async def running(self) -> Running:
        """The engine. Raises Problem when it is down for longer than a request should wait."""
        try:
            await asyncio.wait_for(self._is_up.wait(), PATIENCE)
        except TimeoutError:
            words = f"The engine of {self.name} is being started again. {self.why_down}"
            raise Problem(503, "model_unavailable", words, retry_after=5) from None
        assert self._running
        return self._running

    @contextmanager
    def bound(self) -> Iterator[None]:
        """Count a request until it is answered. Raises Problem when there are too many."""
        if self.in_flight >= self._most:
            words = f"{self.name} is answering {self.in_flight} requests, the most it takes at once. Ask again."
            raise Problem(429, "too_many_requests", words, retry_after=2)
        self.in_flight += 1
        self._is_idle.clear()
        try:
            yield
        finally:
            self.in_flight -= 1
            self.last_used = time.monotonic()
            if not self.in_flight:
                self._is_idle.set()

    async def close(self, patience: float = DRAIN_SECONDS) -> None:
        """Wait until nobody is being answered, then take it out of memory."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._is_idle.wait(), patience)
        if self._keeper:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        if self._running:
            await self._running.stop()
        log.info("%s is unloaded.", self.name)

    async def _keep_up(self, give_up: Callable[[], None]) -> None:
        tries = 0
        while self._running:
            began = time.monotonic()
            self.why_down = await self._running.ended()
            self._is_up.clear()
            tries = 0 if time.monotonic() - began > STEADY_SECONDS else tries
            log.warning("The engine of %s ended and is started again: %s", self.name, self.why_down)
            while not self._is_up.is_set():
                if tries == len(DELAYS):
                    log.warning("The engine of %s does not stay up: %s", self.name, self.why_down)
                    give_up()
                    return
                await asyncio.sleep(DELAYS[tries])
                tries += 1
                try:
                    await self.open()
                except GhostwriterError as error:
                    self.why_down = str(error)
