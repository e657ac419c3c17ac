"""MLflow's database brought to the schema of the installed MLflow: on a copy, so that a failed or killed upgrade changes nothing."""

import importlib.metadata
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from ghostwriter.errors import ServiceError

VERSION_FILE = "mlflow-version"
"""Beside the database: the MLflow that it was last made ready for. MLflow's own way to ask takes four seconds."""


def upgrade(database: Path, program: Path, log: Path) -> None:
    """Make the SQLite database ready for the installed MLflow, with its command `program`; one that is not there yet it makes itself.

    What was there stays beside it as `mlflow-before-VERSION.db`. Raises ServiceError, with the database as it was.
    """
    version, recorded = importlib.metadata.version("mlflow"), database.with_name(VERSION_FILE)
    if database.exists() and not (recorded.exists() and recorded.read_text().strip() == version):
        copy = database.with_name(f"{database.name}.upgrading")
        copy.unlink(missing_ok=True)
        _copy(database, copy)
        _run([program, "db", "upgrade", f"sqlite:///{copy}"], database, log)
        kept = database.with_name(f"mlflow-before-{version}.db")
        if not kept.exists():  # it does when an upgrade was killed here
            kept.hardlink_to(database)
        copy.replace(database)
    recorded.write_text(f"{version}\n")


def _copy(database: Path, copy: Path) -> None:
    """SQLite's own backup, which finishes or takes back what a killed server left half written."""
    try:
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except sqlite3.Error as error:
        raise ServiceError(
            f"MLflow's database {database} cannot be copied before its upgrade: {error}. Free space, or put a backup back."
        ) from error


def _run(command: list[str | Path], database: Path, log: Path) -> None:
    with log.open("ab") as said:
        done = subprocess.run(command, stdout=said, stderr=said, env={**os.environ, "GIT_PYTHON_REFRESH": "quiet"}, check=False)
    if done.returncode:
        raise ServiceError(
            f"MLflow's database {database} could not be upgraded; {log} says why. It is as it was:"
            " start the MLflow that wrote it, or put a backup back."
        )
