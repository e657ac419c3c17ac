"""Logs: those of tasks go when they are old, and those of services that run for months are cut to their last part."""

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from ghostwriter.files import remove, remove_leftovers
from ghostwriter.home import Home
from ghostwriter.keeping.survey import folders, last_used

LONGEST_LOG, KEPT_OF_LOG = 20 * 2**20, 2 * 2**20
"""Bytes of a service's log from which on it is cut, and how many of its last ones stay."""


def old_logs(logs: Path, now: datetime, days: int) -> list[Path]:
    """Folders of Airflow's logs nothing was written to for so many days: of task runs, and the DAG processor's of one day each."""
    return [folder for folder in _log_folders(logs) if now - last_used(folder) > timedelta(days=days)]


def long_logs(home: Home) -> list[Path]:
    """Logs of the services of `make start` that have grown too long."""
    return [path for path in sorted((home.path / "logs").glob("*.log")) if path.stat().st_size > LONGEST_LOG]


def tidy_logs(home: Home, logs: Path, now: datetime, days: int, *, dry_run: bool = False) -> list[Path]:
    """Remove old logs, cut long ones; returns them."""
    old, long = old_logs(logs, now, days), long_logs(home)
    if not dry_run:
        for folder in old:
            remove(folder)
            if not any(folder.parent.iterdir()) and folder.parent != logs:
                folder.parent.rmdir()
        for parent in {logs, *folders(logs)}:
            remove_leftovers(parent)
        for path in long:
            cut(path)
    return [*old, *long]


def cut(path: Path) -> None:
    """Leave the last part of a file that others append to; a line they write in this moment may be lost."""
    with path.open("r+b") as file:
        file.seek(-KEPT_OF_LOG, os.SEEK_END)
        last = file.read().partition(b"\n")[2]
        file.seek(0)
        file.truncate()
        file.write(last)


def _log_folders(logs: Path) -> Iterator[Path]:
    for folder in folders(logs):
        if not folder.is_symlink():
            yield from (each for each in folders(folder) if not each.is_symlink())
