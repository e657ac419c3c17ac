"""The MLflow run of one pipeline run: opened before training, its parts below it as child runs, closed with a true status."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ghostwriter.links import run_page
from ghostwriter.writer import Writer
from training.contract import Tracking

if TYPE_CHECKING:
    from mlflow import MlflowClient

AIRFLOW_RUN_TAG = "ghostwriter.airflow_run"


def airflow_run(dag_run: Any) -> tuple[str, str]:
    """The name of an Airflow run and the address of its page."""
    from airflow.configuration import conf

    url = f"{conf.get('api', 'base_url', fallback='')}/dags/{dag_run.dag_id}/runs/{dag_run.run_id}"
    return f"{dag_run.dag_id}/{dag_run.run_id}", url


def open_run(client: "MlflowClient", experiment_name: str, name: str, airflow_name: str, airflow_url: str) -> str:
    """The id of the MLflow run that belongs to an Airflow run; made on the first call, found again after a retry."""
    from mlflow.entities import Experiment

    experiment: Experiment | None = client.get_experiment_by_name(experiment_name)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(experiment_name)
    found = client.search_runs([experiment_id], f"tags.`{AIRFLOW_RUN_TAG}` = '{airflow_name}'", max_results=1)
    if found:
        run_id = str(found[0].info.run_id)
        client.update_run(run_id, status="RUNNING")
        return run_id
    tags = {
        AIRFLOW_RUN_TAG: airflow_name,
        "ghostwriter.airflow_url": airflow_url,
        "mlflow.note.content": f"Airflow run: [{airflow_name}]({airflow_url})",
    }
    return str(client.create_run(experiment_id, tags=tags, run_name=name).info.run_id)


def child(writer: Writer, uri: str, parent_run_id: str, name: str, tags: Mapping[str, str] | None = None) -> Tracking:
    """Where a part of the pipeline run logs to."""
    tags = {"ghostwriter.writer": writer.stem, **(tags or {})}
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
    client.set_terminated(run_id, "FINISHED" if succeeded else "FAILED")
