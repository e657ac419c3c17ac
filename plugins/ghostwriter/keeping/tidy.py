"""Removes what no champion, no newest candidate and nothing at work needs: folders here, and adapters in MLflow.

May be killed anywhere: what is going bears another name first, under which no stage looks for it, and the next run finishes it.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ghostwriter.database import open_database
from ghostwriter.distilling.trained_on import keep_trained_on
from ghostwriter.files import remove, remove_leftovers
from ghostwriter.home import Home
from ghostwriter.judging.promote import registry_lock
from ghostwriter.keeping.adapters import remove_adapter, unregistered
from ghostwriter.keeping.needed import Names, unneeded
from ghostwriter.keeping.survey import folders, survey
from ghostwriter.lock import only_one
from ghostwriter.purging.folders import StillAtWork, check_idle
from ghostwriter.writer import Writer

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

MIB = 2**20


@dataclass(frozen=True)
class Tidied:
    """What went, or with a dry run what would go."""

    folders: tuple[str, ...]
    """Below the home folder."""
    bytes: int
    """Of the folders."""
    adapters: tuple[str, ...]
    """MLflow runs whose adapter went."""


def tidy(writer: Writer, home: Home, client: "MlflowClient", now: datetime, *, dry_run: bool = False) -> Tidied:
    """Remove what of a writer's nights can go. Raises AlreadyRunning while the writer is distilled or his champion is moved."""
    with _alone(home, writer.stem):
        stored = survey(home, writer.stem, client)
        going = unneeded(stored, writer.keep, now)
        paths = list(_paths(home, writer.stem, going))
        stay = {run.mlflow_run for name, run in stored.runs.items() if name not in going.runs and run.mlflow_run}
        adapters = unregistered(client, writer.stem, stay, writer.keep, now)
        told = Tidied(
            tuple(str(path.relative_to(home.path)) for path in paths), sum(map(size, paths)), tuple(run.info.run_id for run in adapters)
        )
        if dry_run:
            return told
        if going.datasets:
            keep_trained_on(home.datasets(writer.stem), None)
        for path in paths:
            remove(path)
        for run in adapters:
            remove_adapter(client, run)
        for parent in _parents(home, writer.stem):
            remove_leftovers(parent)
        return told


def say(done: Tidied, *, dry_run: bool) -> None:
    """Log what went, a line each."""
    word = "Would remove" if dry_run else "Removed"
    for folder in done.folders:
        log.info("%s %s", word, folder)
    for run in done.adapters:
        log.info("%s the adapter of MLflow run %s", word, run)
    log.info("%s %d folders (%.1f MiB) and %d adapters in MLflow.", word, len(done.folders), done.bytes / MIB, len(done.adapters))


def size(path: Path) -> int:
    """Bytes of a folder's files, or of a file."""
    return sum(each.lstat().st_size for each in ([path] if path.is_file() else path.rglob("*")) if not each.is_dir())


@contextmanager
def _alone(home: Home, stem: str) -> Iterator[None]:
    """Nothing distils or promotes for the writer meanwhile."""
    engine = open_database(home.database_url)
    try:
        with ExitStack() as held:
            held.enter_context(only_one(engine, stem))
            held.enter_context(registry_lock(home, stem))
            yield
    finally:
        engine.dispose()


def _paths(home: Home, stem: str, going: Names) -> Iterator[Path]:
    """In the order they go: what was made from others first."""
    runs, datasets, snapshots, champions = _parents(home, stem)
    kinds = ((runs, going.runs), (champions, going.champions), (datasets, going.datasets), (snapshots, going.snapshots))
    for parent, names in kinds:
        yield from (folder for folder in folders(parent) if folder.name in names and _is_idle(folder))


def _parents(home: Home, stem: str) -> tuple[Path, ...]:
    return home.runs(stem), home.datasets(stem), home.answers(stem), home.champions(stem)


def _is_idle(folder: Path) -> bool:
    try:
        check_idle(folder)
    except StillAtWork as at_work:
        log.info("%s stays: %s", folder, at_work)
        return False
    return True
