"""How many containers there may be, and how much memory all that run may have together."""

import threading

from guard.engine import Answer, Container, Engine
from guard.parsing import Refused
from guard.policy import Policy


class Quota:
    """Makes and starts containers one after the other, so that no two pass on the same room."""

    def __init__(self, engine: Engine, policy: Policy) -> None:
        self._engine, self._policy = engine, policy
        self._lock = threading.Lock()

    def create(self, query: dict[str, str], body: bytes | None) -> Answer:
        """The engine's answer to a create call. Raises Refused, or Silent."""
        with self._lock:
            count = len(self._engine.containers(self._policy.project, ended=True))
            if count >= self._policy.containers:
                advice = "The DAG maintenance removes those that no task needs."
                raise Refused(f"There are {count} training containers already. {advice}")
            return self._engine.send("POST", "/containers/create", query, body)

    def start(self, container: Container) -> Answer:
        """The engine's answer to a start call. Raises Refused, or Silent."""
        with self._lock:
            running = self._engine.containers(self._policy.project)
            others = [self._engine.inspect(id) for id in running if id != container.id]
            total = container.memory + sum(other.memory for other in others if other)
            if total > self._policy.total_memory:
                words = f"Training containers would have {total} bytes of memory together,"
                advice = "Wait until one has ended, or raise TRAINING_TOTAL_MEMORY."
                raise Refused(f"{words} and may have {self._policy.total_memory}. {advice}")
            return self._engine.send("POST", f"/containers/{container.id}/start", {})
