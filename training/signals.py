"""SIGTERM and SIGINT as a flag that long work looks at between its steps, so that it ends with everything saved."""

import signal
from types import FrameType
from typing import NoReturn

from training.errors import Stopped


class StopFlag:
    """Set by the first SIGTERM or SIGINT after `listen`; a second one ends the process at once."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def listen(self) -> "StopFlag":
        for number in (signal.SIGTERM, signal.SIGINT):
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
        self.signal = number
        signal.signal(number, signal.SIG_DFL)
