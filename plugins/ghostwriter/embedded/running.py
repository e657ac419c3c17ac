"""Who runs the services of a home folder: one process at a time, which says of itself where they are.

The lock on `running.json` goes with the process, whatever ends it, so what stands in there counts only while it is held.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from ghostwriter.errors import ServiceError

FILE = "running.json"
READ_TRIES, READ_PAUSE = 20, 0.05
CLOCK_SECONDS = 5.0
"""Births are reckoned from the time of the boot, which moves a little with the clock."""


class Running(BaseModel):
    """The process that runs the services, and where they are once they are healthy."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    pid: int
    born: float
    """Seconds since the epoch, as the kernel has it: a process that got the same id later has another."""
    airflow: str | None = None
    mlflow: str | None = None

    def process(self) -> psutil.Process | None:
        """The process; None when it has ended."""
        try:
            found = psutil.Process(self.pid)
            return found if abs(found.create_time() - self.born) < CLOCK_SECONDS else None
        except psutil.NoSuchProcess:
            return None


Tell = Callable[[str, str], None]


@contextmanager
def alone(folder: Path) -> Iterator[Tell]:
    """Be the one who runs the services of `folder`; the yielded function tells where Airflow and MLflow are. Raises ServiceError."""
    folder.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found = running(folder)
            raise ServiceError(
                f"Services for {folder} run already (process {found.pid if found else 'unknown'}). "
                "Use those, or stop them first: make stop."
            ) from None

        def tell(airflow: str | None = None, mlflow: str | None = None) -> None:
            file.seek(0)
            file.write(Running(pid=os.getpid(), born=psutil.Process().create_time(), airflow=airflow, mlflow=mlflow).model_dump_json())
            file.truncate()
            file.flush()

        tell()
        yield tell
        file.truncate(0)


def running(folder: Path) -> Running | None:
    """The process that runs the services of `folder` now; None when there is none."""
    path = folder / FILE
    for _ in range(READ_TRIES):
        if not path.exists() or not _is_locked(path):
            return None
        try:
            return Running.model_validate_json(path.read_bytes())
        except ValidationError:  # it is being written
            time.sleep(READ_PAUSE)
    return None


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
