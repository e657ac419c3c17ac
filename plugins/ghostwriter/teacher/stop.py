"""Asking whatever buys in this process to end: from a signal's handler, or from another thread."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[], object]


class Stop:
    """Asked once, for good. A purchase listens for as long as it runs; one that begins later ends at once."""

    def __init__(self) -> None:
        self._asked = False
        self.why = "Interrupted"
        self._listeners: list[Listener] = []

    def ask(self, why: str = "") -> bool:
        """Tell every listener; returns whether there was one."""
        self._asked, self.why = True, why or self.why
        for listener in self._listeners:
            listener()
        return bool(self._listeners)

    @contextmanager
    def told_to(self, listener: Listener) -> Iterator[None]:
        """Call `listener` when, or if, a stop is asked for within the block; it may run in a signal's handler."""
        self._listeners.append(listener)
        if self._asked:
            listener()
        try:
            yield
        finally:
            self._listeners.remove(listener)


STOP = Stop()
"""Of this process: a task of Airflow's is a process of its own."""
