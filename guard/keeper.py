"""Stop training containers that nobody follows.

A task that was killed leaves its container running. A retry that comes soon takes it over;
otherwise it is asked to save a checkpoint and end, so that no training runs on unowned, whatever
became of Airflow.
"""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from guard.engine import Engine, Silent
from guard.leases import Leases

log = logging.getLogger(__name__)

GRACE_SECONDS = 25
"""How long a container has to save a checkpoint; with the lease, less than a minute."""
POLL_SECONDS = 2.0
DEAD_SECONDS = 180.0
"""Two calls to an engine that says nothing, and more."""


def start_thread(work: Callable[[], None]) -> None:
    """Do `work` beside everything else. Raises RuntimeError when no thread can be started."""
    threading.Thread(target=work, daemon=True).start()


class Keeper:
    """Looks every two seconds which leases have run out; `start` does work beside that."""

    def __init__(
        self,
        engine: Engine,
        project: str,
        leases: Leases,
        grace: int = GRACE_SECONDS,
        start: Callable[[Callable[[], None]], None] = start_thread,
    ) -> None:
        self._engine, self._project, self._leases = engine, project, leases
        self._grace, self._start = grace, start
        self._stopping: set[str] = set()
        self._looked = time.monotonic()

    def run(self) -> NoReturn:
        """Look, for ever. What ends this should end the process, so that it is started again."""
        while True:
            self.look()
            time.sleep(POLL_SECONDS)

    def look(self) -> None:
        """Begin to stop what has expired; whatever fails is tried again at the next look."""
        try:
            expired = self._leases.expired(self._engine.containers(self._project))
        except Silent as silent:
            log.warning("%s", silent)
            expired = []
        for container in expired:
            if container not in self._stopping:
                self._begin_stop(container)
        self._looked = time.monotonic()

    def check(self, now: float | None = None) -> None:
        """Raises Silent when the last look is too long ago."""
        past = (time.monotonic() if now is None else now) - self._looked
        if past > DEAD_SECONDS:
            raise Silent(f"No lease was looked at for {past:.0f} s. Start the guard again.")

    def _begin_stop(self, container: str) -> None:
        self._stopping.add(container)
        log.warning("Nobody follows container %s: stopping it.", container[:12])
        try:
            self._start(partial(self._stop, container))
        except RuntimeError as error:
            self._stopping.discard(container)
            log.warning("Container %s is not stopped yet: %s.", container[:12], error)

    def _stop(self, container: str) -> None:
        try:
            self._engine.stop(container, self._grace)
        except Silent as silent:
            log.warning("%s", silent)
        finally:
            self._stopping.discard(container)
