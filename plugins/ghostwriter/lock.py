"""One process at a time may ask a writer's teacher (two would buy the same answers twice), or move the writer's champion.

The lock goes with the process, whatever ends it: an advisory lock of the Postgres session, or of a file beside an SQLite database.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Engine, text

from ghostwriter.errors import GhostwriterError

POLL_SECONDS = 0.2


class AlreadyRunning(GhostwriterError):
    """Another process does the same for the same writer."""

    code = "already_running"
    retryable = True


@contextmanager
def only_one(engine: Engine, writer: str, doing: str = "distilling", *, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock of what is done for the writer; waits `patience` seconds for it. Raises AlreadyRunning when another process does."""
    take = _postgres_lock if engine.dialect.name == "postgresql" else _file_lock
    deadline = time.monotonic() + patience
    with ExitStack() as held:
        while not held.enter_context(take(engine, writer)):
            held.close()
            if time.monotonic() >= deadline:
                raise AlreadyRunning(f"Another process is {doing} for {writer!r}. Wait until it has ended, or end it; then run again.")
            time.sleep(POLL_SECONDS)
        yield


@contextmanager
def _postgres_lock(engine: Engine, writer: str) -> Iterator[bool]:
    number = int.from_bytes(sha256(f"ghostwriter distill {writer}".encode()).digest()[:8], "big", signed=True)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        free = bool(connection.execute(text("SELECT pg_try_advisory_lock(:number)"), {"number": number}).scalar())
        yield free
        if free:
            connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": number})


@contextmanager
def _file_lock(engine: Engine, writer: str) -> Iterator[bool]:
    path = Path(f"{engine.url.database}.{writer}.lock")
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
