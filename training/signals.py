"""SIGTERM and SIGINT as a flag that long work looks at between its steps, so that it ends with everything saved."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from training.errors import Stopped

LONGEST_END_SECONDS = 60
"""From the first signal to the end; then the kernel ends the process, wherever it is. Whoever sent the signal may be gone by then."""

Look = Callable[[], object]
"""What long work calls between its parts; it raises where the work is to end."""


def no_look() -> None:
    """For work that nothing ends."""


class StopFlag:
    """Set by the first SIGTERM or SIGINT after `listen`; a second one ends the process at once.

    SIGHUP says that whoever started this process is gone. It may follow one of the others, and hurries nothing; a process that was
    started to outlive its terminal (`nohup`) ignores it.
    """

    def __init__(self) -> None:
        self.signal: int | None = None

    def listen(self) -> "StopFlag":
        heard = [signal.SIGTERM, signal.SIGINT]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            heard.append(signal.SIGHUP)
        for number in heard:
            signal.signal(number, self._arrived)
        return self

    @property
    def is_set(self) -> bool:
        return self.signal is not None

    def raise_if_set(self, kept: str) -> None:
        """Raise Stopped, saying what is kept, if a signal has arrived."""
        if self.is_set:
            self.raise_stopped(kept)

    def raise_stopped(self, kept: str) -> NoReturn:
        """Raise Stopped, saying what is kept; also for a signal that arrived in another process."""
        name = signal.Signals(self.signal).name if self.signal else "a signal to another process"
        raise Stopped(f"Stopped by {name}. {kept}")

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        if not self.is_set:
            self.signal = number
            signal.alarm(LONGEST_END_SECONDS)
        if number != signal.SIGHUP:
            signal.signal(number, signal.SIG_DFL)
