"""Who follows which container: whoever looks at one every few seconds, until nobody does."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from guard.parsing import Followed

LEASE_SECONDS = 30.0
"""How long a container may run without being looked at."""
CLAIM_SECONDS = 10.0
"""How long after a look the container is the looker's alone. A launcher looks every two seconds; a
retry on another worker takes a killed worker's container over well before the lease has run out."""


class Look(NamedTuple):
    """The last look at a container."""

    time: float
    client: str
    """The client's address; empty before anyone has looked."""


class Leases:
    """When each container was last looked at, and by whom. Used by many threads.

    One first seen by this process counts as just looked at, by nobody.
    """

    def __init__(
        self,
        lease: float = LEASE_SECONDS,
        claim: float = CLAIM_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lease, self._claim, self._clock = lease, claim, clock
        self._looks: dict[str, Look] = {}
        self._lock = threading.Lock()

    def renew(self, container: str, client: str) -> None:
        """A client looked at the container with this id; it counts unless another follows it."""
        with self._lock:
            if not self._follower(container, client):
                self._looks[container] = Look(self._clock(), client)

    def check(self, container: str, client: str) -> None:
        """Raises Followed when another client looked at the container with this id just now."""
        with self._lock:
            if other := self._follower(container, client):
                raise Followed(f"Container {container[:12]} is followed by {other}.")

    def expired(self, running: list[str]) -> list[str]:
        """The running containers whose lease has run out; looks older than that are forgotten."""
        with self._lock:
            now = self._clock()
            looks = {id: self._looks.get(id, Look(now, "")) for id in running}
            past = now - self._lease
            fresh = {id: look for id, look in self._looks.items() if look.time >= past}
            self._looks = fresh | looks
            return [id for id, look in looks.items() if look.time < past]

    def _follower(self, container: str, client: str) -> str:
        """The other client that follows the container; empty when none does."""
        look = self._looks.get(container)
        if look is None or self._clock() - look.time > self._claim:
            return ""
        return look.client if look.client != client else ""
