"""A folder with all that cannot be made again: archive, ledger, votes, champions, writer files. Made while all runs; it holds no secret.

tables/TABLE.jsonl               the database, as it stood at one moment
models/STEM/model.json           the registered model; beside it the adapters of champion and previous
home/answers, datasets, contrast the snapshot and the dataset that the nights go on from, what was trained on, other people's answers
writers/, beside/                the writer files, and the files that they name
backup.json                      written last: what the rest is, with the digest of each file
"""

import hashlib
import logging
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from ghostwriter.database import open_database
from ghostwriter.distilling.trained_on import KEPT_FILE, trained_on
from ghostwriter.errors import GhostwriterError
from ghostwriter.files import write_durably
from ghostwriter.home import Home
from ghostwriter.keeping.registry_copy import copy_model
from ghostwriter.keeping.tables import dump
from ghostwriter.snapshot import CURRENT, newest
from ghostwriter.writer import Writer, beside_writers, readable_writers, writers_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

FILE, VERSION = "backup.json", 1
TABLES, MODELS, HOME, WRITERS, BESIDE = "tables", "models", "home", "writers", "beside"


class BackupError(GhostwriterError):
    """A backup cannot be written there, or what lies there is none that can be restored."""

    code = "backup"


class Backup(BaseModel):
    """What a backup holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int
    made: datetime
    writers: tuple[str, ...]
    rows: dict[str, int]
    champions: dict[str, int]
    """By writer: the version that was the champion."""
    files: dict[str, str]
    """Path below the backup to SHA-256 (hex)."""


def back_up(home: Home, client: "MlflowClient", folder: Path) -> Backup:
    """Write a backup into a folder that is empty or not there. Raises BackupError; without `backup.json` a folder is no backup."""
    if folder.exists() and any(folder.iterdir()):
        raise BackupError(f"{folder} is not empty. Name a new folder: each backup is whole by itself.")
    folder.mkdir(parents=True, exist_ok=True)
    writers = readable_writers()
    champions = {}
    for writer in writers:  # before the ledger: what a promotion was bought with is in there then
        if (model := copy_model(client, home, writer.stem, folder / MODELS / writer.stem)) and "champion" in model.aliases:
            champions[writer.stem] = model.aliases["champion"]
        _copy_state(home, writer.stem, Home(folder / HOME))
        _copy_named(writer, folder / BESIDE)
    if writers_folder().exists():
        shutil.copytree(writers_folder(), folder / WRITERS, ignore=shutil.ignore_patterns(".*"), dirs_exist_ok=True)
    (folder / TABLES).mkdir()
    engine = open_database(home.database_url)
    try:
        rows = dump(engine, folder / TABLES)
    finally:
        engine.dispose()
    files = {name: digest(folder / name) for name in file_names(folder)}
    stems = tuple(writer.stem for writer in writers)
    made = Backup(version=VERSION, made=datetime.now(UTC), writers=stems, rows=rows, champions=champions, files=files)
    write_durably(folder / FILE, (made.model_dump_json(indent=1) + "\n").encode())
    return made


def file_names(folder: Path) -> Iterator[str]:
    """The files of a backup but its list of them, by their paths below it."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / FILE:
            yield path.relative_to(folder).as_posix()


def digest(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy_state(home: Home, stem: str, copy: Home) -> None:
    """What the nights go on from: so that the next one neither trains on it again, nor holds out what was trained on."""
    for parent, target in ((home.answers(stem), copy.answers(stem)), (home.datasets(stem), copy.datasets(stem))):
        if current := newest(parent):
            shutil.copytree(current, target / current.name)
            write_durably(target / CURRENT, f'{{"folder": "{current.name}"}}\n'.encode())
    if learned := sorted(trained_on(home.datasets(stem))):
        copy.datasets(stem).mkdir(parents=True, exist_ok=True)
        write_durably(copy.datasets(stem) / KEPT_FILE, "".join(f"{name}\n" for name in learned).encode())
    if home.contrast(stem).exists():
        shutil.copytree(home.contrast(stem), copy.contrast(stem))


def _copy_named(writer: Writer, folder: Path) -> None:
    """Files that a writer file names by a relative path; an absolute one stays where it is, which is said."""
    named = (writer.teacher.extra_questions, writer.evaluation.heldout_questions, writer.evaluation.twins, writer.evaluation.contrast)
    for path in filter(None, named):
        found = beside_writers(path)
        if path.expanduser().is_absolute() or ".." in path.parts:
            log.warning("%s, which %s.toml names, is not in the backup: it lies elsewhere. Keep a copy of it.", found, writer.stem)
        elif found.is_dir():
            shutil.copytree(found, folder / path, dirs_exist_ok=True)
        elif found.exists():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(found, folder / path)
