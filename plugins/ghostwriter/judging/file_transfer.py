"""Files of gigabytes to and from MLflow: its server answers when it has passed the whole file on, to or from its own store."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
FILE_SECONDS = 1800
"""For the first byte of an answer. Other calls have seconds, so that a server that is away is soon known to be."""

_lock = threading.Lock()
_before: list[str | None] = []
"""What was set before each transfer that is under way."""


@contextmanager
def time_for_files() -> Iterator[None]:
    """While the block runs, calls of MLflow's client, which reads its timeout anew for each, wait for a file.

    Several threads may be in it; the last one sets back what the first one found.
    """
    with _lock:
        _before.append(_before[0] if _before else os.environ.get(TIMEOUT))
        os.environ[TIMEOUT] = str(max(FILE_SECONDS, int(_before[0] or 0)))
    try:
        yield
    finally:
        with _lock:
            found = _before.pop()
            if not _before and found is None:
                del os.environ[TIMEOUT]
            elif not _before and found is not None:
                os.environ[TIMEOUT] = found
