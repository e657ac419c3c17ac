"""From MLflow's runs to how a writer's nights went: each candidate's style and loss with its interval, and which became the champion."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ghostwriter.mlflow_runs.experiment import KIND_TAG
from ghostwriter.mlflow_runs.registry import Json, Registry, named

if TYPE_CHECKING:
    from mlflow import MlflowClient

NIGHTS = 60
"""The newest that are drawn."""
MEASURES = ("style", "heldout_loss_nats_per_token")
PROMOTED_TAG = "ghostwriter.promoted_version"


@dataclass(frozen=True)
class Figure:
    """A measure and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class CandidateNight:
    """One candidate: when it was judged, its measures, and the version it became, if it did."""

    when: datetime
    figures: dict[str, Figure]
    version: str | None


def read_history(registry: Registry, stem: str) -> tuple[CandidateNight, ...]:
    """The newest nights with figures, the oldest first, before them the one whose champion was there then. Raises MlflowSilent."""
    runs = registry.runs(stem, "candidate", NIGHTS)
    if len(runs) == NIGHTS:
        runs += registry.runs(stem, "candidate", 1, promoted_before(int(runs[-1]["info"]["start_time"])))
    return in_order(_night(int(run["info"]["start_time"]), _metrics(run), named(run["data"].get("tags", []))) for run in runs)


def client_history(client: "MlflowClient", experiment_id: str) -> tuple[CandidateNight, ...]:
    """The same by MLflow's own client, for a task."""
    query, newest_first = f"tags.`{KIND_TAG}` = 'candidate'", ["attributes.start_time DESC"]
    runs = list(client.search_runs([experiment_id], query, max_results=NIGHTS, order_by=newest_first))
    if len(runs) == NIGHTS:
        earlier = f"{query} and {promoted_before(runs[-1].info.start_time)}"
        runs += client.search_runs([experiment_id], earlier, max_results=1, order_by=newest_first)
    return in_order(_night(run.info.start_time, run.data.metrics, run.data.tags) for run in runs)


def promoted_before(start_ms: int) -> str:
    """The search for nights that made a champion before then."""
    return f"tags.`{PROMOTED_TAG}` != '' and attributes.start_time < {start_ms}"


def in_order(nights: Iterable[CandidateNight]) -> tuple[CandidateNight, ...]:
    """Those with figures, the oldest first."""
    return tuple(sorted((night for night in nights if night.figures), key=lambda night: night.when))


def champions(nights: Sequence[CandidateNight], measure: str) -> list[Figure | None]:
    """For each night the champion after it, as it was scored when it became that; None while there was none."""
    line: list[Figure | None] = []
    for night in nights:
        before = line[-1] if line else None
        line.append(night.figures.get(measure, before) if night.version else before)
    return line


def _metrics(run: Json) -> dict[str, float]:
    return {metric["key"]: float(metric["value"]) for metric in run["data"].get("metrics", [])}


def _night(start_ms: int, metrics: Mapping[str, float], tags: Mapping[str, str]) -> CandidateNight:
    figures = {
        name: Figure(metrics[name], metrics[f"{name}/low"], metrics[f"{name}/high"])
        for name in MEASURES
        if {name, f"{name}/low", f"{name}/high"} <= metrics.keys()
    }
    return CandidateNight(datetime.fromtimestamp(start_ms / 1000, UTC), figures, tags.get(PROMOTED_TAG))
