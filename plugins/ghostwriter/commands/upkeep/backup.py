"""`backup` and `restore`: all that cannot be made again, into a folder or an object store, and from there onto an empty machine."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ghostwriter.commands.options import home_of
from ghostwriter.keeping.backup import Backup, BackupError, back_up
from ghostwriter.keeping.restore import restore
from ghostwriter.mlflow_runs.server import mlflow_client
from ghostwriter.writer import load_writer

if TYPE_CHECKING:
    from training.remote.object_store import Store


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `backup` and `restore`."""
    for name, words, run in (
        ("backup", "copy archive, ledger, votes, champions and writer files, while everything runs; no secrets", run_backup),
        ("restore", "bring a backup onto a machine with nothing on it yet", run_restore),
    ):
        parser = commands.add_parser(name, help=words)
        parser.add_argument("place", metavar="FOLDER|URL", help="a folder, or a URL like s3://bucket/folder")
        parser.add_argument("--home", type=Path, metavar="DIR", help="folder of all state (default: var/, or GHOSTWRITER_HOME)")
        parser.set_defaults(run=run)


def run_backup(arguments: argparse.Namespace) -> int:
    """Write it, and say what is in it."""
    home, place = home_of(arguments), arguments.place
    if "://" not in place:
        _say("Backed up", back_up(home, mlflow_client(), Path(place)), place)
        return 0
    home.check_space()
    with TemporaryDirectory(dir=home.path) as scratch, _in_words():
        store, name = _store(place)
        if name in store.folders(""):
            raise BackupError(f"{place} holds a backup already. Name a new folder: each backup is whole by itself.")
        made = back_up(home, mlflow_client(), Path(scratch) / "backup")
        store.send_folder(Path(scratch) / "backup", name)
        _say("Backed up", made, place)
    return 0


def run_restore(arguments: argparse.Namespace) -> int:
    """Restore it, and say what is left to do by hand."""
    home, place = home_of(arguments), arguments.place
    if "://" not in place:
        done = restore(Path(place), home, mlflow_client())
    else:
        home.path.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=home.path) as scratch, _in_words():
            store, name = _store(place)
            if not store.fetch_folder(name, Path(scratch) / "backup"):
                raise BackupError(f"{place} holds no whole backup. Name the URL that `backup` was given.")
            done = restore(Path(scratch) / "backup", home, mlflow_client())
    _say("Restored", done, place)
    connections = sorted({name for stem in done.writers for name in _connections(stem)})
    print(f"Secrets are in no backup. Make these Airflow connections again: {', '.join(connections) or 'none'}.")
    print("Then switch <writer>_collect on: the next night goes on from here.")
    return 0


def _store(url: str) -> tuple["Store", str]:
    """The store that a URL's last folder lies in, and that folder's name."""
    from training.remote.object_store import Store

    if not urlsplit(url).path.strip("/"):
        raise BackupError(f"{url} names no folder. Name one, like {url.rstrip('/')}/2026-12-01.")
    above, _, name = url.rstrip("/").rpartition("/")
    return Store(above), name


@contextmanager
def _in_words() -> Iterator[None]:
    from training.errors import RemoteDataError

    try:
        yield
    except RemoteDataError as error:
        raise BackupError(str(error)) from None


def _say(done: str, backup: Backup, place: str) -> None:
    print(f"{done} {place}, made {backup.made.astimezone(UTC):%Y-%m-%d %H:%M} UTC ({(datetime.now(UTC) - backup.made).days} days old):")
    for table, rows in backup.rows.items():
        if rows:
            print(f"  {rows:>9,} rows of {table}")
    for stem in backup.writers:
        champion = backup.champions.get(stem)
        print(f"  {stem}: {f'champion is version {champion}' if champion else 'no champion'}")


def _connections(stem: str) -> Iterator[str]:
    writer = load_writer(stem)
    named = [writer.source.connection, writer.teacher.connection]
    named += [part.connection for part in (writer.judge, writer.student) if part]
    named += [writer.notify.mail, writer.notify.webhook] if writer.notify else []
    yield from (name for name in named if name)
