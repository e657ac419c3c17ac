"""The assets that chain a writer's DAGs. Each event carries the location of the snapshot, run or version it announces."""

from pathlib import Path
from typing import Any

from airflow.sdk import Asset

from ghostwriter.errors import SnapshotError


def answers_asset(stem: str) -> Asset:
    """A new snapshot of the writer's answers."""
    return Asset(name=f"answers/{stem}", uri=f"ghostwriter://answers/{stem}")


def dataset_asset(stem: str) -> Asset:
    """A new dataset, ready to train on."""
    return Asset(name=f"dataset/{stem}", uri=f"ghostwriter://dataset/{stem}")


def champion_asset(stem: str) -> Asset:
    """A new champion in the registry."""
    return Asset(name=f"champion/{stem}", uri=f"ghostwriter://champion/{stem}")


def last_location(events: Any) -> str | None:
    """The location the newest event of an asset names; None before the first."""
    return str(events[-1].extra["location"]) if len(events) else None


def location(chosen: str | None, triggering: Any, earlier: Any, what: str) -> Path:
    """The folder a DAG run works on: the one the form names, else the one of the event that started it, else the latest.

    Raises SnapshotError when there is none.
    """
    found = chosen or next((events[-1].extra["location"] for events in triggering.values() if events), None) or last_location(earlier)
    if not found:
        raise SnapshotError(f"There are no {what} yet. Run the DAG before this one, or name a folder in the form.")
    return Path(str(found))
