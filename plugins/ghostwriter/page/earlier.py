"""Earlier snapshots and datasets of a writer, for a person to pick one (`ghostwriter.page.start`).

They stand here and not in the DAGs' forms: a form that changes with each night would make a new version of the DAG each night.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ghostwriter.errors import SnapshotError
from ghostwriter.snapshot import MANIFEST, finished, newest, read_manifest
from ghostwriter.tasks.chain import trained_in

SHOWN = 20


@dataclass(frozen=True)
class Earlier:
    """A finished snapshot or dataset: its name, when it was written, and its rows."""

    name: str
    when: datetime
    rows: int
    is_newest: bool
    trained: bool = False


def earlier(parent: Path) -> list[Earlier]:
    """The newest finished folders right below `parent`, newest first; without those that cannot be read, or go meanwhile."""
    last = newest(parent)
    latest = sorted(finished(parent), key=_written, reverse=True)[:SHOWN]
    return [found for folder in latest if (found := _read(folder, last))]


def _written(folder: Path) -> float:
    """When a folder was written, in seconds since 1970; 0 once it is gone."""
    try:
        return (folder / MANIFEST).stat().st_mtime
    except FileNotFoundError:
        return 0


def _read(folder: Path, last: Path | None) -> Earlier | None:
    try:
        return Earlier(
            name=folder.name,
            when=datetime.fromtimestamp((folder / MANIFEST).stat().st_mtime, UTC),
            rows=sum(entry.rows for entry in read_manifest(folder).files.values()),
            is_newest=folder == last,
            trained=trained_in(folder) is not None,
        )
    except (OSError, SnapshotError, ValueError):
        return None
