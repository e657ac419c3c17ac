"""The MLflow run of one pipeline run: opened before training, its parts below it as child runs, closed with a true status."""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghostwriter.mlflow_runs.experiment import KIND_TAG, Kind, describe_experiment, experiment_of
from ghostwriter.mlflow_runs.links import run_page
from ghostwriter.snapshot import read_manifest
from ghostwriter.writer import Writer
from training.contract import Tracking

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

log = logging.getLogger(__name__)

AIRFLOW_RUN_TAG = "ghostwriter.airflow_run"


@dataclass(frozen=True)
class RunByHand:
    """Stands where an Airflow run would: a command's run, called like one, without a page."""

    dag_id: str
    run_id: str
    run_after: datetime
    run_type: str = "by hand"


def airflow_run(dag_run: Any) -> tuple[str, str]:
    """The name of an Airflow run and the address of its page, which a run by hand has not."""
    if isinstance(dag_run, RunByHand):
        return f"{dag_run.dag_id}/{dag_run.run_id}", ""
    from airflow.configuration import conf

    url = f"{conf.get('api', 'base_url', fallback='')}/dags/{dag_run.dag_id}/runs/{dag_run.run_id}"
    return f"{dag_run.dag_id}/{dag_run.run_id}", url


def open_writer_run(
    client: "MlflowClient", writer: Writer, kind: Kind, dag_run: Any, uri: str, *, name: str = "", dataset: str = ""
) -> str:
    """The run of an Airflow run in the writer's experiment, called `KIND DATE`, and `name` after it; its experiment is described.

    An Airflow run that is cleared works on the newest `dataset`; another one than before has a run of its own.
    """
    title = f"{kind} {dag_run.run_after:%Y-%m-%d %H:%M} {name}".rstrip()
    run_id = open_run(client, writer.stem, title, *airflow_run(dag_run), dataset)
    log_at_once(client, run_id, tags={KIND_TAG: kind, "ghostwriter.writer": writer.stem})
    describe_experiment(client, client.get_run(run_id).info.experiment_id, writer, uri)
    return run_id


def open_run(client: "MlflowClient", experiment_name: str, name: str, airflow_name: str, airflow_url: str, dataset: str = "") -> str:
    """The id of the MLflow run that belongs to an Airflow run and a dataset; made on the first call, found again after a retry."""
    experiment_id = experiment_of(client, experiment_name)
    runs = _runs_of(client, experiment_id, airflow_name)
    found = [run for run in runs if not dataset or run.data.params.get("dataset", dataset) == dataset]
    if found:
        run_id = str(found[0].info.run_id)
        client.update_run(run_id, status="RUNNING")
        return run_id
    note = f"Airflow run: [{airflow_name}]({airflow_url})" if airflow_url else f"Run by hand: {airflow_name}"
    tags = {AIRFLOW_RUN_TAG: airflow_name, "ghostwriter.airflow_url": airflow_url, "mlflow.note.content": note}
    return str(client.create_run(experiment_id, tags=tags, run_name=name).info.run_id)


def log_at_once(
    client: "MlflowClient",
    run_id: str,
    *,
    metrics: Mapping[str, float] | None = None,
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Everything in one request: each is a transaction of MLflow's, and twenty nights wait for one another there."""
    from mlflow.entities import Metric, Param, RunTag

    moment = time.time_ns() // 1_000_000
    client.log_batch(
        run_id,
        [Metric(name, value, moment, 0) for name, value in (metrics or {}).items()],
        [Param(name, value) for name, value in (params or {}).items()],
        [RunTag(name, value) for name, value in (tags or {}).items()],
    )


def finished_run(client: "MlflowClient", experiment_name: str, params: Mapping[str, str]) -> str | None:
    """The id of a run of a candidate with these parameters whose verdict was carried out; None when there is none."""
    experiment = client.get_experiment_by_name(experiment_name)
    if experiment is None:
        return None
    wanted = [f"params.{name} = '{value}'" for name, value in params.items()]
    query = " and ".join(["attributes.status = 'FINISHED'", f"tags.`{KIND_TAG}` = 'candidate'", *wanted])
    found = client.search_runs([experiment.experiment_id], query, max_results=1)
    return str(found[0].info.run_id) if found else None


def is_run_of(client: "MlflowClient", experiment_name: str, run_id: str, dag_run: Any) -> bool:
    """Whether the MLflow run is there, and that of the Airflow run."""
    experiment = client.get_experiment_by_name(experiment_name)
    found = _runs_of(client, experiment.experiment_id, airflow_run(dag_run)[0]) if experiment else []
    return run_id in [run.info.run_id for run in found]


def _runs_of(client: "MlflowClient", experiment_id: str, airflow_name: str) -> "list[Run]":
    """The MLflow runs of an Airflow run: one a dataset that it worked on."""
    return list(client.search_runs([experiment_id], f"tags.`{AIRFLOW_RUN_TAG}` = '{airflow_name}'"))


def log_input(client: "MlflowClient", run_id: str, folder: Path, context: str) -> None:
    """Name a snapshot as input of a run, by the digest under which training names it too: `context` is like `training`."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    manifest = read_manifest(folder)
    rows = json.dumps({name: entry.rows for name, entry in manifest.files.items()})
    source = json.dumps({"uri": str(folder)})
    dataset = Dataset(name=manifest.writer, digest=manifest.digest[:32], source_type="local", source=source, profile=rows)
    client.log_inputs(run_id, [DatasetInput(dataset, tags=[InputTag("mlflow.data.context", context)])])


def child(writer: Writer, uri: str, parent_run_id: str, kind: Kind, name: str, tags: Mapping[str, str] | None = None) -> Tracking:
    """Where a part of the pipeline run logs to."""
    tags = {"ghostwriter.writer": writer.stem, KIND_TAG: kind, **(tags or {})}
    return Tracking(uri=uri, experiment=writer.stem, run_name=name, parent_run_id=parent_run_id, tags=dict(tags))


def describe(client: "MlflowClient", run_id: str, text: str) -> None:
    """Put `text` below the first line of a run's description, in place of what stood there."""
    note = str(client.get_run(run_id).data.tags.get("mlflow.note.content", "")).partition("\n\n")[0]
    client.set_tag(run_id, "mlflow.note.content", f"{note}\n\n{text}")


def shown_again(client: "MlflowClient", uri: str, run_id: str, part_run_id: str | None) -> str:
    """A paragraph that leads to the earlier run whose part (an evaluation, an examination) is shown again; empty for a part of its own."""
    if not part_run_id:
        return ""
    part = client.get_run(part_run_id)
    parent = part.data.tags.get("mlflow.parentRunId", run_id)
    if parent == run_id:
        return ""
    page = run_page(uri, part.info.experiment_id, parent)
    return f"\nThe same was asked for before, so nothing was computed again: curves, tables and pictures stand below [that run]({page}).\n"


def close_run(client: "MlflowClient", run_id: str, succeeded: bool) -> None:
    """End the run as FINISHED or FAILED."""
    status = "FINISHED" if succeeded else "FAILED"
    client.set_terminated(run_id, status)
    log.info("MLflow run %s: %s.", run_id, status)
