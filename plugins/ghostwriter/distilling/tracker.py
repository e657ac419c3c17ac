"""Counts a run as it goes and tells a listener, twice a second at most, and also while nothing comes."""

import asyncio
import time
from collections import deque
from contextlib import suppress
from decimal import Decimal
from types import TracebackType
from typing import Self

from ghostwriter.distilling.harvest import Harvest
from ghostwriter.distilling.plan import Planner
from ghostwriter.teacher.budget import Purse
from ghostwriter.teacher.buy import Deliver
from ghostwriter.teacher.call import Call
from ghostwriter.teacher.health import Outcome
from ghostwriter.teacher.progress import Listener, Progress
from ghostwriter.teacher.throttle import Throttle

TICK_SECONDS = 0.5
RATE_SECONDS = 20.0


class Tracker:
    """Use as an async context manager around the run; `start` opens each batch."""

    def __init__(self, wanted: int, harvest: Harvest, purse: Purse, throttle: Throttle, planner: Planner, listener: Listener) -> None:
        self._wanted = wanted
        self._harvest = harvest
        self._purse = purse
        self._throttle = throttle
        self._planner = planner
        self._listener = listener
        self._left = 0
        self._bought = 0
        self._spent_before = purse.spent
        self._ends: deque[float] = deque(maxlen=10_000)
        self._ticker: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._ticker = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._ticker:
            self._ticker.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticker
        self._listener(self.progress())

    def start(self, calls: int) -> None:
        """A batch with so many calls to buy begins."""
        self._left = calls

    def counting(self, deliver: Deliver) -> Deliver:
        """`deliver`, counted."""

        def delivered(call: Call, outcome: Outcome) -> None:
            deliver(call, outcome)
            self._left -= 1
            self._bought += 1
            self._ends.append(time.monotonic())

        return delivered

    def progress(self) -> Progress:
        """The figures now."""
        rate = self._rate()
        done = self._planner.planned - self._left
        rejected, failed = self._harvest.rejected.total(), self._harvest.failed.total()
        each = (self._purse.spent - self._spent_before) / self._bought if self._bought else Decimal(0)
        return Progress(
            wanted=self._wanted,
            planned=self._planner.planned,
            done=done,
            accepted=done - rejected - failed,
            rejected=rejected,
            failed=failed,
            in_flight=self._throttle.in_flight,
            answers_a_second=rate,
            spent=self._purse.spent,
            projected=self._purse.spent + each * self._left,
            seconds_left=self._left / rate if rate else None,
        )

    def _rate(self) -> float:
        """Calls ended a second, over the last 20 seconds."""
        now = time.monotonic()
        while self._ends and self._ends[0] < now - RATE_SECONDS:
            self._ends.popleft()
        return len(self._ends) / max(now - self._ends[0], TICK_SECONDS) if self._ends else 0.0

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._listener(self.progress())
