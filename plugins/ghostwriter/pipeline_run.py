"""The MLflow run of one pipeline run: opened before training, its parts below it as child runs, closed with a true status."""

from typing import TYPE_CHECKING

from ghostwriter.writer import Writer
from training.contract import Tracking

if TYPE_CHECKING:
    from mlflow import MlflowClient

AIRFLOW_RUN_TAG = "ghostwriter.airflow_run"


def open_run(client: "MlflowClient", experiment_name: str, name: str, airflow_run: str, airflow_url: str) -> str:
    """The id of the MLflow run that belongs to an Airflow run; made on the first call, found again after a retry."""
    from mlflow.entities import Experiment

    experiment: Experiment | None = client.get_experiment_by_name(experiment_name)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(experiment_name)
    found = client.search_runs([experiment_id], f"tags.`{AIRFLOW_RUN_TAG}` = '{airflow_run}'", max_results=1)
    if found:
        run_id = str(found[0].info.run_id)
        client.update_run(run_id, status="RUNNING")
        return run_id
    tags = {
        AIRFLOW_RUN_TAG: airflow_run,
        "ghostwriter.airflow_url": airflow_url,
        "mlflow.note.content": f"Airflow run: [{airflow_run}]({airflow_url})",
    }
    return str(client.create_run(experiment_id, tags=tags, run_name=name).info.run_id)


def child(writer: Writer, uri: str, parent_run_id: str, name: str) -> Tracking:
    """Where a part of the pipeline run logs to."""
    return Tracking(uri=uri, experiment=writer.stem, run_name=name, parent_run_id=parent_run_id, tags={"ghostwriter.writer": writer.stem})


def close_run(client: "MlflowClient", run_id: str, succeeded: bool) -> None:
    """End the run as FINISHED or FAILED."""
    client.set_terminated(run_id, "FINISHED" if succeeded else "FAILED")
