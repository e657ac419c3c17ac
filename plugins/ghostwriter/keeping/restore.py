"""A backup onto a machine with nothing on it yet: the same archive, ledger, votes and champions, so that nothing is bought again.

May be killed anywhere and run again with the same backup: what it had begun stands in `restoring.json` in the home folder until it is done.
"""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError
from sqlalchemy import Engine

from ghostwriter.database import open_database
from ghostwriter.files import write_durably
from ghostwriter.home import Home
from ghostwriter.keeping.backup import BESIDE, FILE, HOME, MODELS, TABLES, VERSION, WRITERS, Backup, BackupError, digest
from ghostwriter.keeping.registry_copy import registered, restore_model
from ghostwriter.keeping.tables import is_empty, load
from ghostwriter.writer import load_writer, writers_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient

BEGUN = "restoring.json"


def restore(folder: Path, home: Home, client: "MlflowClient") -> Backup:
    """Restore a backup. Raises BackupError before anything is written, when it is not whole or the machine is not empty."""
    backup = read_backup(folder)
    engine = open_database(home.database_url)
    try:
        begun = _begun(home) == _name(backup)
        if not begun:
            _check_empty(backup, folder, home, client, engine)
            home.path.mkdir(parents=True, exist_ok=True)
            write_durably(home.path / BEGUN, json.dumps({"backup": _name(backup)}).encode())
        _copy_files(folder, home)
        if is_empty(engine):
            load(engine, folder / TABLES)
    finally:
        engine.dispose()
    for stem in backup.writers:
        restore_model(client, load_writer(stem), folder / MODELS / stem)
    (home.path / BEGUN).unlink()
    return backup


def read_backup(folder: Path) -> Backup:
    """What a backup says of itself, its files checked. Raises BackupError."""
    try:
        backup = Backup.model_validate_json((folder / FILE).read_bytes())
    except FileNotFoundError:
        raise BackupError(f"{folder} holds no whole backup (no {FILE}). Name the folder that `backup` wrote to its end.") from None
    except ValidationError as error:
        raise BackupError(f"{folder / FILE} cannot be read: {error.errors()[0]['msg']}. It may be a newer version's.") from None
    if backup.version != VERSION:
        raise BackupError(f"{folder} is a backup of format {backup.version}, and this version reads format {VERSION}.")
    for name, wanted in backup.files.items():
        if not (folder / name).is_file() or digest(folder / name) != wanted:
            raise BackupError(f"{folder / name} is missing or was changed since the backup was made. Nothing was restored.")
    return backup


def _check_empty(backup: Backup, folder: Path, home: Home, client: "MlflowClient", engine: Engine) -> None:
    there = [str(home.path / part) for part in ("answers", "datasets", "runs") if any((home.path / part).glob("*/*"))]
    if not is_empty(engine):
        there.append("rows in the database")
    there += [f"{stem}'s model in MLflow" for stem in backup.writers if registered(client, stem)]
    for path in (folder / WRITERS).glob("*.toml"):
        target = writers_folder() / path.name
        if target.exists() and target.read_bytes() != path.read_bytes():
            there.append(f"another {target}")
    if there:
        raise BackupError(f"A backup is restored where nothing is yet, and there is {', '.join(there)}. Nothing was changed.")


def _copy_files(folder: Path, home: Home) -> None:
    for part, target in ((HOME, home.path), (WRITERS, writers_folder()), (BESIDE, writers_folder().resolve().parent)):
        if (folder / part).exists():
            shutil.copytree(folder / part, target, dirs_exist_ok=True)


def _begun(home: Home) -> str | None:
    try:
        return str(json.loads((home.path / BEGUN).read_bytes())["backup"])
    except (OSError, ValueError, KeyError):
        return None


def _name(backup: Backup) -> str:
    return backup.made.isoformat()
