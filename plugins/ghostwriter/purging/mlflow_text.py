"""MLflow: what its runs hold of an answer, or of a writer, is removed there."""

import json
import time
from collections.abc import Iterable, Iterator, Set
from typing import TYPE_CHECKING

from ghostwriter.judging.promote import model_name
from ghostwriter.mlflow_runs.teacher_traces import EXAMPLES_TAG, KIND as TEACHER_CALL, QUESTION_TAG
from ghostwriter.mlflow_runs.traces import find_traces, kind_of, named, traces_with_tags
from ghostwriter.mlflow_runs.vote_traces import trace_names
from ghostwriter.snapshot import folder_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

WITHOUT_TEXT = frozenset(
    {"adapter", "moves", "manifest.json", "measures.json", "loss.png"}
    | {f"{what}.{ending}" for what in ("decision", "comparison", "panel") for ending in ("json", "md")}
)
"""Artifacts of a run that hold figures or weights. All others go (report, samples, previews, verdicts), also what a later version adds."""
MOST_AT_ONCE = 100
"""Traces in one request."""
TABLES_TAG = "mlflow.loggedArtifacts"
PARENT_TAG, DATASET_TAG, DATASET_PARAM = "mlflow.parentRunId", "ghostwriter.dataset", "dataset"


def remove_texts(client: "MlflowClient", stem: str, clean_datasets: Set[str]) -> int:
    """Remove samples, reports and verdicts of every run unless its dataset is known not to hold the answer; returns how many were."""
    removed = 0
    runs = {run.info.run_id: run for experiment in _experiments(client, stem) for run in _runs(client, experiment)}
    for run in runs.values():
        if _dataset(run, runs) not in clean_datasets:
            removed += _remove_artifacts(client, run, WITHOUT_TEXT)
    return removed


def remove_traces(client: "MlflowClient", stem: str, answer: str, question_id: str | None, votes: Iterable[str]) -> int:
    """Remove the traces of teacher calls that ask the question or show the answer, and of these votes; returns how many were."""
    removed = 0
    for experiment in _experiments(client, stem):
        calls = traces_with_tags(client, experiment, kind_of(TEACHER_CALL))
        names = [
            trace_id
            for trace_id, tags in calls.items()
            if (question_id and tags.get(QUESTION_TAG) == question_id) or answer in json.loads(tags.get(EXAMPLES_TAG, "[]"))
        ]
        for vote in votes:
            for name in trace_names(vote):
                names += find_traces(client, experiment, named(name)).values()
        for start in range(0, len(names), MOST_AT_ONCE):
            removed += client.delete_traces(experiment, trace_ids=names[start : start + MOST_AT_ONCE])
    return removed


def remove_experiment(client: "MlflowClient", stem: str) -> int:
    """Remove all artifacts of a writer's runs, the registered model, then the experiment, under a name of its own; returns the runs."""
    runs = 0
    if client.search_registered_models(f"name = '{model_name(stem)}'"):
        client.delete_registered_model(model_name(stem))
    for experiment in _experiments(client, stem):
        for run in _runs(client, experiment):
            _remove_artifacts(client, run, frozenset())
            runs += 1
        for model in client.search_logged_models([experiment], max_results=1_000):
            client.delete_logged_model(model.model_id)
        while client.delete_traces(experiment, max_timestamp_millis=int(time.time() * 1000)):
            pass
        client.rename_experiment(experiment, f"purged {experiment}")  # MLflow keeps the name of a removed experiment taken
        client.delete_experiment(experiment)
    return runs


def trained_versions(client: "MlflowClient", stem: str, clean_datasets: Set[str]) -> list[str]:
    """Versions of the registered model unless their dataset, named as its folder is, is known not to hold the answer."""
    found = client.search_model_versions(f"name = '{model_name(stem)}'")
    doubtful = [version for version in found if folder_name(version.tags.get("dataset", "")) not in clean_datasets]
    return sorted((str(version.version) for version in doubtful), key=int)


def _experiments(client: "MlflowClient", stem: str) -> list[str]:
    experiment = client.get_experiment_by_name(stem)
    return [experiment.experiment_id] if experiment and experiment.lifecycle_stage == "active" else []


def _runs(client: "MlflowClient", experiment: str) -> "Iterator[Run]":
    from mlflow.entities import ViewType

    token = None
    while True:
        page = client.search_runs([experiment], run_view_type=ViewType.ALL, max_results=1_000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _dataset(run: "Run", runs: "dict[str, Run]") -> str | None:
    """Name of the dataset of the pipeline run that a run belongs to; None when that names none."""
    while (parent := run.data.tags.get(PARENT_TAG)) in runs:
        run = runs[str(parent)]
    return run.data.params.get(DATASET_PARAM) or run.data.tags.get(DATASET_TAG)


def _remove_artifacts(client: "MlflowClient", run: "Run", kept: Set[str]) -> int:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    artifacts = [item.path for item in client.list_artifacts(run.info.run_id) if item.path not in kept]
    repository = get_artifact_repository(str(run.info.artifact_uri), tracking_uri=client.tracking_uri)
    for path in artifacts:
        repository.delete_artifacts(path)  # type: ignore[no-untyped-call]
    if artifacts and TABLES_TAG in run.data.tags and run.info.lifecycle_stage == "active":
        client.delete_tag(run.info.run_id, TABLES_TAG)
    return len(artifacts)
