"""How far a distillation is: figures for whoever asks, a log line every few seconds, or a live line on a terminal."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from ghostwriter.teacher.budget import money

log = logging.getLogger(__name__)

LOG_SECONDS = 10.0


@dataclass(frozen=True)
class Progress:
    """Calls `planned` so far, of which `done` have ended; money in the vendor's currency; `seconds_left` is None before a rate is known."""

    wanted: int
    planned: int
    done: int
    accepted: int
    rejected: int
    failed: int
    in_flight: int
    answers_a_second: float
    spent: Decimal
    projected: Decimal
    seconds_left: float | None

    def __str__(self) -> str:
        left = "" if self.seconds_left is None else f", {duration(self.seconds_left)} left"
        cost = f", spent {money(self.spent)} of about {money(self.projected)}" if self.projected else ""
        return (
            f"{self.done}/{self.planned} calls: {self.accepted} accepted, {self.rejected} rejected, {self.failed} failed, "
            f"{self.in_flight} in flight, {self.answers_a_second:.1f} answers/s{cost}{left}"
        )


Listener = Callable[[Progress], None]


class LogLines:
    """A listener that logs a line every few seconds."""

    def __init__(self, seconds: float = LOG_SECONDS, say: Callable[[str], None] = log.info) -> None:
        self._seconds = seconds
        self._say = say
        self._last = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        """Log the progress, if the last line is old enough or all is done."""
        if time.monotonic() - self._last >= self._seconds or progress.done == progress.planned:
            self._last = time.monotonic()
            self._say(str(progress))


def duration(seconds: float) -> str:
    """Like 45 s, 3 min 20 s, 2 h 5 min."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
