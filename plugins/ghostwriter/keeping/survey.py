"""What there is of a writer: his folders and the versions that bear an alias, read into `ghostwriter.keeping.needed.Stored`."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ghostwriter.errors import SnapshotError
from ghostwriter.files import is_going
from ghostwriter.home import Home
from ghostwriter.judging.moves import CHAMPION, PREVIOUS
from ghostwriter.judging.promote import alias_version, version_folder
from ghostwriter.keeping.needed import Dataset, Run, Snapshot, Stored, Version
from ghostwriter.snapshot import folder_name, newest, read_manifest
from training.contract import REQUEST_FILE, RESULT_FILE

if TYPE_CHECKING:
    from mlflow import MlflowClient


def survey(home: Home, stem: str, client: "MlflowClient") -> Stored:
    """What is stored of the writer. Asks MLflow for two aliases."""
    snapshots, datasets = home.answers(stem), home.datasets(stem)
    last = [newest(parent) for parent in (snapshots, datasets)]
    return Stored(
        snapshots={folder.name: Snapshot(last_used(folder)) for folder in folders(snapshots)},
        datasets={folder.name: Dataset(last_used(folder), _snapshot_of(folder)) for folder in folders(datasets)},
        runs={folder.name: _run(home, stem, folder) for folder in folders(home.runs(stem))},
        champions={folder.name: last_used(folder) for folder in folders(home.champions(stem))},
        versions=tuple(_versions(client, home, stem)),
        current_snapshot=last[0].name if last[0] else None,
        current_dataset=last[1].name if last[1] else None,
    )


def folders(parent: Path) -> list[Path]:
    """The folders right below `parent`, without those that are being removed."""
    return sorted(path for path in parent.glob("*") if path.is_dir() and not is_going(path))


def last_used(folder: Path) -> datetime:
    """When anything in the folder was last written, or the folder itself was (`ghostwriter.tasks.chain` marks what a run chose)."""
    return datetime.fromtimestamp(max(_times(folder)), UTC)


def _times(folder: Path) -> Iterator[float]:
    yield folder.stat().st_mtime
    for parent, below, files in os.walk(folder):  # passes over what goes meanwhile: a training renames and removes its checkpoints
        for name in (*below, *files):
            with suppress(FileNotFoundError):
                yield Path(parent, name).lstat().st_mtime


def _snapshot_of(dataset: Path) -> str | None:
    try:
        parents = read_manifest(dataset).parents
    except (SnapshotError, ValidationError):
        return None
    return folder_name(parents[0]) if parents else None


def _run(home: Home, stem: str, folder: Path) -> Run:
    requests = [path for path in (folder / REQUEST_FILE, *folder.glob(f"*/{REQUEST_FILE}")) if path.exists()]
    asked = [_read(path) for path in requests]
    dataset = next((Path(request["dataset"]).name for request in asked if request.get("dataset")), None)
    return Run(
        used=last_used(folder),
        finished=all(path.with_name(RESULT_FILE).exists() for path in requests),
        dataset=dataset,
        mlflow_run=_read(folder / RESULT_FILE).get("run_id"),
        champions=frozenset(name for request in asked for name in _champions(home, stem, request)),
    )


def _champions(home: Home, stem: str, request: dict[str, Any]) -> Iterator[str]:
    for path in (request.get("start"), *(arm.get("adapter") for arm in request.get("arms", []))):
        if path and Path(path).parent == home.champions(stem):
            yield Path(path).name


def _read(path: Path) -> dict[str, Any]:
    """A request or a result; nothing where there is none that can be read."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _versions(client: "MlflowClient", home: Home, stem: str) -> Iterator[Version]:
    for alias in (CHAMPION, PREVIOUS):
        if found := alias_version(client, stem, alias):
            dataset = found.tags.get("dataset")
            folder = version_folder(home, stem, str(found.version))
            yield Version(folder.name, found.run_id or None, folder_name(dataset) if dataset else None)
