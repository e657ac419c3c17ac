"""Adapters in MLflow of candidates that were never registered: near all of what a year of nights would fill its store with."""

import logging
from collections.abc import Iterator, Set
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ghostwriter.judging.promote import model_name
from ghostwriter.keep_settings import Keep
from ghostwriter.mlflow_runs.experiment import KIND_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

log = logging.getLogger(__name__)

ADAPTER, ADAPTER_TAG, REMOVED = "adapter", "ghostwriter.adapter", "removed"
"""The artifact, and the tag of a run whose adapter was removed."""
PAGE = 1_000


def unregistered(client: "MlflowClient", stem: str, kept_runs: Set[str], keep: Keep, now: datetime) -> list["Run"]:
    """Trainings whose adapter can go: no version of the model, nor a run folder that stays, is theirs, and they ended days ago."""
    registered = {version.run_id for version in _versions(client, stem)}
    trainings = sorted(_trainings(client, stem), key=lambda run: -run.info.start_time)
    return [run for run in trainings[keep.candidates :] if _can_go(run, registered | kept_runs, keep, now)]


def remove_adapter(client: "MlflowClient", run: "Run") -> None:
    """Remove a training's adapter from MLflow's store; its figures stay. May be cut off and called again."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    if any(item.path == ADAPTER for item in client.list_artifacts(run.info.run_id)):
        repository = get_artifact_repository(str(run.info.artifact_uri), tracking_uri=client.tracking_uri)
        repository.delete_artifacts(ADAPTER)  # type: ignore[no-untyped-call]
    client.set_tag(run.info.run_id, ADAPTER_TAG, REMOVED)


def _can_go(run: "Run", wanted: Set[str | None], keep: Keep, now: datetime) -> bool:
    ended = run.info.end_time or run.info.start_time
    is_old = now - datetime.fromtimestamp(ended / 1000, UTC) > timedelta(days=keep.days)
    return is_old and run.info.run_id not in wanted and run.data.tags.get(ADAPTER_TAG) != REMOVED


def _versions(client: "MlflowClient", stem: str) -> Iterator["ModelVersion"]:
    token = None
    while True:
        page = client.search_model_versions(f"name = '{model_name(stem)}'", max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _trainings(client: "MlflowClient", stem: str) -> Iterator["Run"]:
    experiment = client.get_experiment_by_name(stem)
    token = None
    while experiment:
        query = f"tags.`{KIND_TAG}` = 'train'"
        page = client.search_runs([experiment.experiment_id], query, max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
