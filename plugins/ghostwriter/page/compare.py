"""From two versions to their answers to the same held-out questions, side by side with the writer's own."""

from collections.abc import Mapping
from dataclasses import dataclass

from ghostwriter.mlflow_runs.registry import Registry
from ghostwriter.page.champions import SAMPLES, Version, find_evaluation


@dataclass(frozen=True)
class Sample:
    """One held-out question, and what was answered to it."""

    question: str
    writer: str
    one: str
    other: str


def compare(registry: Registry, one: Version, other: Version) -> list[Sample]:
    """The questions both versions were examined on, in the order of `one`'s examination. Raises MlflowSilent."""
    given, rival = _answers(registry, one), _answers(registry, other)
    return [Sample(question, *answers, rival[question][1]) for question, answers in given.items() if question in rival]


def _answers(registry: Registry, version: Version) -> Mapping[str, tuple[str, str]]:
    """The writer's and the version's answer by question; empty when MLflow no longer has the samples."""
    evaluation = find_evaluation(registry, version)
    rows = registry.table(evaluation.run_id, SAMPLES) if evaluation else []
    arm = evaluation.arm if evaluation else ""
    return {row["question"]: (row["writer"], row[arm]) for row in rows if arm in row}
