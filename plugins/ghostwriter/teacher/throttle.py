"""How many calls may be in flight, and how fast they may start.

Three brakes, all learned or set for one teacher:
- concurrency: doubles with every round of answers until the first refusal (429 or an error of the server), then is halved by
  each and grows by one a round (additive increase, multiplicative decrease, as TCP does);
- pace: after a refusal, starts are spread evenly, a little below the rate of answers measured just before, and creep up from there;
- limits: requests and tokens a minute, as the vendor's contract says, each a bucket of one second's worth.

Retry-After stops every start until it has passed.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

START = 16
PACE_AFTER_REFUSAL = 0.95
"""Of the measured rate of answers: low enough for a bucket on the other side to fill again."""
PACE_GROWTH = 0.01
"""Growth of the pace a second without a refusal."""
MEASURED_SECONDS = 5.0
FEWEST_MEASURED = 5
"""Answers needed within the measured time before a rate is believed."""


class Bucket:
    """A rate of so many units a minute, saved up for one second at most. What is larger than a second's worth goes into debt."""

    def __init__(self, per_minute: float, clock: Callable[[], float]) -> None:
        self.rate = per_minute / 60
        self._clock = clock
        self._level = min(self.rate, 1.0)
        self._filled = clock()

    def take(self, amount: float) -> float:
        """Take `amount` and return the seconds to wait before it may be used."""
        self._fill()
        self._level -= amount
        return max(0.0, -self._level / self.rate)

    def give_back(self, amount: float) -> None:
        """Return what was not used after all (or, negative, take what was used beyond)."""
        self._level += amount

    def _fill(self) -> None:
        now = self._clock()
        self._level = min(max(self.rate, 1.0), self._level + (now - self._filled) * self.rate)
        self._filled = now


class Throttle:
    """Says when the next call may start. All methods belong to one event loop."""

    def __init__(
        self,
        most: int,
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = most
        self.limit = float(min(START, most))
        self.in_flight = 0
        self.refusals = 0
        self.pace: float | None = None
        self._clock = clock
        self._requests = Bucket(requests_per_minute, clock) if requests_per_minute else None
        self._tokens = Bucket(tokens_per_minute, clock) if tokens_per_minute else None
        self._answers: deque[float] = deque(maxlen=4096)
        self._halved = -1e9
        self._pace_since = 0.0
        self._next_start = 0.0
        self._closed_until = 0.0
        self._free = asyncio.Condition()
        self._stopped = asyncio.Event()

    async def enter(self, tokens: float) -> float:
        """Wait until a call of about `tokens` may start; returns when it did (on the clock). Each needs one `leave`."""
        async with self._free:
            while self.in_flight >= max(1, int(self.limit)):
                await self._free.wait()
            self.in_flight += 1
        try:
            for bucket, amount in ((self._requests, 1.0), (self._tokens, tokens)):
                if bucket:
                    await self.pause(bucket.take(amount))
            await self._await_turn()
        except asyncio.CancelledError:
            await self.leave()
            raise
        return self._clock()

    async def pause(self, seconds: float) -> None:
        """Sleep, unless the run ends before."""
        if seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stopped.wait()

    def stop(self) -> None:
        """The run ends: whoever waits, for Retry-After or a slow pace, goes on at once to see it."""
        self._stopped.set()

    async def leave(self) -> None:
        """The call has ended, one way or another."""
        async with self._free:
            self.in_flight -= 1
            self._free.notify(max(1, int(self.limit) - self.in_flight))

    def answered(self, tokens_expected: float, tokens_used: float) -> None:
        """An answer came: grow."""
        self._answers.append(self._clock())
        self.limit = min(self.most, self.limit + (1.0 if not self.refusals else 1.0 / self.limit))
        if self._tokens:
            self._tokens.give_back(tokens_expected - tokens_used)

    def refused(self, started: float, retry_after: float | None) -> None:
        """The teacher is overloaded, or says so: halve, once for all calls that started before the last halving, and obey Retry-After."""
        self._closed_until = max(self._closed_until, self._clock() + (retry_after or 0.0))
        self.refusals += 1
        if started < self._halved:
            return
        rate = self._measured_rate()
        if rate is not None:
            self.pace, self._pace_since = rate * PACE_AFTER_REFUSAL, self._clock()
        self.limit = max(1.0, self.limit / 2)
        self._halved = self._clock()

    def _measured_rate(self) -> float | None:
        """Answers a second over the last few seconds; None before there are enough."""
        now = self._clock()
        recent = [moment for moment in self._answers if moment > now - MEASURED_SECONDS]
        return len(recent) / max(now - recent[0], 0.1) if len(recent) >= FEWEST_MEASURED else None

    async def _await_turn(self) -> None:
        """Sleep until Retry-After has passed and this call's turn at the current pace has come."""
        while (closed := self._closed_until - self._clock()) > 0 and not self._stopped.is_set():
            await self.pause(closed)
        if self.pace is None:
            return
        now = self._clock()
        pace = self.pace * (1 + PACE_GROWTH) ** (now - self._pace_since)
        self._next_start = max(self._next_start, now - 1 / pace) + 1 / pace
        await self.pause(self._next_start - now)
