"""From MLflow's runs to how a writer's nights went: each candidate's style and loss with its interval, and which became the champion."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ghostwriter.mlflow_runs.registry import Json, Registry, named

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
    """The newest nights with figures, the oldest first. Raises MlflowSilent."""
    runs = registry.runs(stem, "candidate", NIGHTS)
    found = (_night(run) for run in runs)
    return tuple(sorted((night for night in found if night.figures), key=lambda night: night.when))


def champions(nights: Sequence[CandidateNight], measure: str) -> list[Figure | None]:
    """For each night the champion after it, as it was scored when it became that; None while there was none."""
    line: list[Figure | None] = []
    for night in nights:
        before = line[-1] if line else None
        line.append(night.figures.get(measure, before) if night.version else before)
    return line


def _night(run: Json) -> CandidateNight:
    metrics = {metric["key"]: float(metric["value"]) for metric in run["data"].get("metrics", [])}
    version = named(run["data"].get("tags", [])).get(PROMOTED_TAG)
    when = datetime.fromtimestamp(int(run["info"]["start_time"]) / 1000, UTC)
    figures = {
        name: Figure(metrics[name], metrics[f"{name}/low"], metrics[f"{name}/high"])
        for name in MEASURES
        if {name, f"{name}/low", f"{name}/high"} <= metrics.keys()
    }
    return CandidateNight(when, figures, version)
