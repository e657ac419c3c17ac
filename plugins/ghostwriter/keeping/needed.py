"""What of a writer's folders is still needed. Nothing here touches a file: it is decided from a survey, and can be asked what it would do.

A thing is needed when the nights go on from it, when a version with an alias came from it, when it is among the newest, when it was
used lately, or when something that is needed was made from it. All else can go: a stage that wanted it again would make it again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ghostwriter.keep_settings import Keep


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of answers."""

    used: datetime
    """When it was written, or last chosen for a run."""


@dataclass(frozen=True)
class Dataset:
    """A dataset, and the name of the snapshot it was made from, where that is known."""

    used: datetime
    snapshot: str | None = None


@dataclass(frozen=True)
class Run:
    """A run folder with the evaluations in it."""

    used: datetime
    """When anything in it was last written."""
    finished: bool
    """Whether each stage that was asked for in it has its result."""
    dataset: str | None = None
    mlflow_run: str | None = None
    """That of its training, once it has ended."""
    champions: frozenset[str] = frozenset()
    """Names of the champions' folders that it starts from or compares with."""


@dataclass(frozen=True)
class Version:
    """A version that bears an alias, `champion` or `previous`."""

    folder: str
    mlflow_run: str | None = None
    dataset: str | None = None


@dataclass(frozen=True)
class Stored:
    """What there is of a writer, by name; and the snapshot and dataset that the nights go on from."""

    snapshots: Mapping[str, Snapshot] = field(default_factory=dict)
    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    runs: Mapping[str, Run] = field(default_factory=dict)
    champions: Mapping[str, datetime] = field(default_factory=dict)
    """Adapters of versions fetched from MLflow, and when."""
    versions: tuple[Version, ...] = ()
    current_snapshot: str | None = None
    current_dataset: str | None = None


@dataclass(frozen=True)
class Names:
    """Names of things of each kind: what is needed, or what can go."""

    snapshots: frozenset[str] = frozenset()
    datasets: frozenset[str] = frozenset()
    runs: frozenset[str] = frozenset()
    champions: frozenset[str] = frozenset()


def needed(stored: Stored, keep: Keep, now: datetime) -> Names:
    """What must stay; a name in it need not be there."""
    runs = _runs(stored, keep, now)
    datasets = _datasets(stored, keep, now, [stored.runs[name] for name in runs])
    snapshots = _snapshots(stored, keep, now, [stored.datasets[name] for name in datasets if name in stored.datasets])
    return Names(snapshots, datasets, runs, _champions(stored, keep, now, [stored.runs[name] for name in runs]))


def unneeded(stored: Stored, keep: Keep, now: datetime) -> Names:
    """What can go."""
    stays = needed(stored, keep, now)
    return Names(
        frozenset(stored.snapshots) - stays.snapshots,
        frozenset(stored.datasets) - stays.datasets,
        frozenset(stored.runs) - stays.runs,
        frozenset(stored.champions) - stays.champions,
    )


def _runs(stored: Stored, keep: Keep, now: datetime) -> frozenset[str]:
    of_versions = {version.mlflow_run for version in stored.versions} - {None}
    patience = {True: keep.days, False: keep.unfinished_days}
    chosen = {
        name
        for name, run in stored.runs.items()
        if _is_recent(run.used, patience[run.finished], now)
        or run.mlflow_run in of_versions
        or (stored.current_dataset is not None and run.dataset == stored.current_dataset)
    }
    return frozenset(chosen | _newest({name: run.used for name, run in stored.runs.items()}, keep.candidates))


def _datasets(stored: Stored, keep: Keep, now: datetime, runs: Iterable[Run]) -> frozenset[str]:
    used = {name: dataset.used for name, dataset in stored.datasets.items()}
    recent = {name for name, when in used.items() if _is_recent(when, keep.days, now)}
    named = {stored.current_dataset, *(run.dataset for run in runs), *(version.dataset for version in stored.versions)}
    return frozenset(name for name in recent | _newest(used, keep.candidates) | named if name is not None)


def _snapshots(stored: Stored, keep: Keep, now: datetime, datasets: Iterable[Dataset]) -> frozenset[str]:
    used = {name: snapshot.used for name, snapshot in stored.snapshots.items()}
    recent = {name for name, when in used.items() if _is_recent(when, keep.days, now)}
    named = {stored.current_snapshot, *(dataset.snapshot for dataset in datasets)}
    return frozenset(name for name in recent | _newest(used, keep.candidates) | named if name is not None)


def _champions(stored: Stored, keep: Keep, now: datetime, runs: Iterable[Run]) -> frozenset[str]:
    """Of what only an ended evaluation compared with, the adapter can be fetched again."""
    at_work = (run.champions for run in runs if not run.finished)
    recent = {name for name, when in stored.champions.items() if _is_recent(when, keep.days, now)}
    return frozenset(recent.union(*at_work, (version.folder for version in stored.versions)))


def _newest(used: Mapping[str, datetime], number: int) -> set[str]:
    return set(sorted(used, key=lambda name: (used[name], name), reverse=True)[:number])


def _is_recent(used: datetime, days: int, now: datetime) -> bool:
    return now - used <= timedelta(days=days)
