"""Stop training containers that nobody follows: whoever started one looks at it every few seconds, or is gone.

A task that was killed leaves its container running. A retry that comes soon takes it over; otherwise it is asked to save a
checkpoint and end, so that no training runs on unowned, whatever became of Airflow.
"""

import logging
import threading
import time

from guard.engine import Engine, Silent

log = logging.getLogger(__name__)

LEASE_SECONDS = 30.0
"""How long a container may run without being looked at."""
GRACE_SECONDS = 25
"""How long it has to save a checkpoint; with the lease, less than a minute."""
POLL_SECONDS = 2.0


class Leases:
    """When each container was last looked at; one first seen by this process counts as just looked at."""

    def __init__(self, lease: float = LEASE_SECONDS, grace: int = GRACE_SECONDS) -> None:
        self._lease, self._grace = lease, grace
        self._seen: dict[str, float] = {}

    def renew(self, container: str) -> None:
        """Someone looked at the container with this id."""
        self._seen[container] = time.monotonic()

    def expired(self, running: list[str]) -> list[str]:
        """Those of the running containers whose lease has run out; the others' are kept, those of ended ones forgotten."""
        now = time.monotonic()
        self._seen = {container: self._seen.get(container, now) for container in running}
        return [container for container, seen in self._seen.items() if now - seen > self._lease]

    def keep(self, engine: Engine, project: str) -> None:
        """Stop what has expired, for ever."""
        stopping: set[str] = set()
        while True:
            try:
                for container in set(self.expired(engine.running(project))) - stopping:
                    stopping.add(container)
                    log.warning("Nobody has looked at container %s for %.0f s: stopping it.", container[:12], self._lease)
                    threading.Thread(target=engine.stop, args=(container, self._grace), daemon=True).start()
            except Silent as silent:
                log.warning("%s", silent)
            time.sleep(POLL_SECONDS)
