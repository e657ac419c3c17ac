"""From MLflow's registry to what the page says of a writer's champion: which, since when, how it compares with the one before."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from ghostwriter.judging.moves import BY_HAND, CHAMPION, PREVIOUS
from ghostwriter.judging.promote import model_name
from ghostwriter.mlflow_runs.registry import Json, MlflowSilent, Registry, named

EVALUATION, SAMPLES = "evaluate", "samples.json"
SHOWN_ANSWERS = 3
NO_ANSWER = ("question", "writer")
"""Columns of the samples that no arm gave."""


@dataclass(frozen=True)
class Version:
    """One version of a writer's model; `why` is the verdict it was promoted with."""

    number: int
    made: datetime
    run_id: str
    pipeline_run: str
    why: str


class Examined(Protocol):
    """What leads from a version to its examination: the run that trained it, and that of its night."""

    @property
    def run_id(self) -> str:
        """Of its training."""
        ...

    @property
    def pipeline_run(self) -> str:
        """Of the night that registered it; empty when that is not known."""
        ...


@dataclass(frozen=True)
class Measure:
    """One leading score of the champion, of the version before it, and of the base, on the same questions; None where there is none."""

    name: str
    champion: float
    before: float | None
    base: float | None


@dataclass(frozen=True)
class Champion:
    """A writer's registered model: its versions, newest first, and who is the champion since when and why."""

    model: str
    versions: tuple[Version, ...]
    champion: int | None
    previous: int | None
    since: datetime | None = None
    moved_by: str = ""
    why: str = ""
    measures: tuple[Measure, ...] = ()
    answers: tuple[tuple[str, str], ...] = ()
    """Some held-out questions with the champion's answers."""


@dataclass(frozen=True)
class Evaluation:
    """The MLflow run in which a version was examined, and under which name."""

    run_id: str
    experiment_id: str
    arm: str


def read_champion(registry: Registry, stem: str) -> Champion | None:
    """What the registry says of a writer; None before the first promotion. Raises MlflowSilent."""
    found = read_versions(registry, stem)
    if found is None or not found.champion:
        return found
    measures = tuple(_measures(registry, found.versions, found.champion, found.previous))
    shown = next((version for version in found.versions if version.number == found.champion), None)
    return replace(found, measures=measures, answers=_answers(registry, shown) if shown else ())


def read_versions(registry: Registry, stem: str) -> Champion | None:
    """The same without scores and answers, in two requests. Raises MlflowSilent."""
    name = model_name(stem)
    model = registry.model(name)
    if model is None:
        return None
    versions = tuple(_version(found) for found in registry.versions(name))
    aliases = {alias["alias"]: int(alias["version"]) for alias in model.get("aliases", [])}
    champion = aliases.get(CHAMPION)
    return Champion(name, versions, champion, aliases.get(PREVIOUS), *_last_move(model, champion))


def _answers(registry: Registry, version: Version) -> tuple[tuple[str, str], ...]:
    """Nothing when MLflow has no samples of the version, or is too slow to give them: the rest of the page matters more."""
    try:
        evaluation = find_evaluation(registry, version)
        rows = registry.table(evaluation.run_id, SAMPLES) if evaluation else []
    except MlflowSilent:
        return ()
    arm = evaluation.arm if evaluation else ""
    return tuple((row["question"], row[arm]) for row in rows[:SHOWN_ANSWERS] if arm in row)


def find_evaluation(registry: Registry, version: Examined) -> Evaluation | None:
    """Where a version was examined before it was promoted; None when MLflow no longer has it."""
    training = registry.run(version.run_id)
    if training is None:
        return None
    tags, experiment = named(training["data"].get("tags", [])), training["info"]["experiment_id"]
    arm = named(training["data"].get("params", [])).get("arm", "")
    for parent in dict.fromkeys((version.pipeline_run, tags.get("mlflow.parentRunId", ""))):
        for run in registry.children(experiment, parent) if parent else []:
            if run["info"]["run_name"] == EVALUATION:
                return Evaluation(run["info"]["run_id"], experiment, arm)
    return None


def _measures(registry: Registry, versions: tuple[Version, ...], champion: int | None, previous: int | None) -> Iterator[Measure]:
    """Scores from the examination of the newer of the two, in which the older one, if it was the champion then, answered too."""
    from ghostwriter.mlflow_runs.experiment import SCORES  # brings Airflow with it, which the serving gateway has no use for

    numbers = {version.number: version for version in versions}
    newer, older = max(filter(None, (champion, previous))), min(filter(None, (champion, previous)))
    evaluation = find_evaluation(registry, numbers[newer]) if newer in numbers else None
    if evaluation is None:
        return
    arms = {run["info"]["run_name"]: _metrics(run) for run in registry.children(evaluation.experiment_id, evaluation.run_id)}
    scores = (
        {newer: arms.get(evaluation.arm, {}), older: arms.get(f"champion-v{older}", {})}
        if newer != older
        else {newer: arms.get(evaluation.arm, {})}
    )
    mine, before, base = scores.get(champion or 0, {}), scores.get(previous or 0, {}), arms.get("base", {})
    for name in SCORES:
        if name in mine:
            yield Measure(name, mine[name], before.get(name), base.get(name))


def _metrics(run: Json) -> dict[str, float]:
    return {metric["key"]: float(metric["value"]) for metric in run["data"].get("metrics", [])}


def _version(found: Json) -> Version:
    tags = named(found.get("tags", []))
    made = datetime.fromtimestamp(int(found["creation_timestamp"]) / 1000, UTC)
    return Version(int(found["version"]), made, found.get("run_id", ""), tags.get("pipeline_run", ""), tags.get("why", ""))


def _last_move(model: Json, champion: int | None) -> tuple[datetime | None, str, str]:
    """When, by whom and why the champion became that; of a move by hand that no night has recorded yet only that it was one."""
    moves = [tag["value"] for tag in sorted(model.get("tags", []), key=lambda tag: tag["key"]) if tag["key"].startswith("move.")]
    if not moves:
        return None, "", ""
    move = json.loads(moves[-1])
    if champion is not None and str(champion) != move["to"]:
        return None, BY_HAND, ""
    return datetime.fromisoformat(move["when"]), move["who"], move["why"]
