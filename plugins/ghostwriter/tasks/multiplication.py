"""The bodies of the multiplication DAG's tasks: from the form to requests, and from the examination to the MLflow run above it."""

import logging
from pathlib import Path
from typing import Any

from ghostwriter.home import Home
from ghostwriter.mlflow_runs.pipeline_run import airflow_run, close_run as close_pipeline_run, describe, log_at_once, open_run, shown_again
from ghostwriter.mlflow_runs.server import mlflow_client, tracking_uri
from training.arithmetic.data import NAME
from training.arithmetic.plan import TABLE_FILE, headline, plan_examination as plan_exam, plan_training
from training.contract import (
    REQUEST_FILE,
    RESULT_FILE,
    ExamineRequest,
    ExamineResult,
    MultiplicationData,
    Tracking,
    TrainRequest,
    TrainResult,
    read_json,
)

log = logging.getLogger(__name__)


def plan(form: dict[str, Any], dag_run: Any) -> dict[str, str]:
    """Open (or, after a retry, find) the MLflow run, write the dataset and the training request: their `run_id` and `request`."""
    home = Home.default()
    home.check_space()
    data = MultiplicationData.model_validate({name: form[name] for name in MultiplicationData.model_fields if name in form})
    client = mlflow_client()
    run_id = open_run(client, NAME, f"{form['recipe']} {dag_run.run_after:%Y-%m-%d %H:%M}", *airflow_run(dag_run))
    facts = {**data.model_dump(), "recipe": form["recipe"], "epochs": form["epochs"]}
    log_at_once(client, run_id, params={name: str(value) for name, value in facts.items()})
    request = plan_training(home.path, data, form["recipe"], form["epochs"], _child(run_id, "train"), home.models)
    log.info("Dataset %s; run folder %s", request.dataset, request.run_folder.parent)
    return {"run_id": run_id, "request": str(request.run_folder / REQUEST_FILE)}


def plan_examination(training_request: str, run_id: str, *, ability: bool) -> str:
    """Write the request that examines what a finished training left; returns its path."""
    training = read_json(TrainRequest, Path(training_request))
    result = read_json(TrainResult, training.run_folder / RESULT_FILE)
    request = plan_exam(training, result, _child(run_id, "examine"), ability=ability)
    return str(request.run_folder / REQUEST_FILE)


def summarise(examination_request: str, run_id: str) -> dict[str, float]:
    """Give the MLflow run the headline figures, and the article's table as its description; returns the figures."""
    request = read_json(ExamineRequest, Path(examination_request))
    result, client = read_json(ExamineResult, request.run_folder / RESULT_FILE), mlflow_client()
    figures, again = headline(result), shown_again(client, tracking_uri(), run_id, result.run_id)
    log_at_once(client, run_id, metrics=figures)
    table = (request.run_folder / TABLE_FILE).read_text(encoding="utf-8")
    log.info("\n%s%s", table, again)
    describe(client, run_id, f"{table}{again}")
    return figures


def close_run(run_id: str, task_instance: Any) -> None:
    """End the MLflow run: FINISHED when the examination was summed up, FAILED otherwise."""
    close_pipeline_run(mlflow_client(), run_id, succeeded=bool(task_instance.xcom_pull(task_ids="summarise")))


def _child(run_id: str, name: str) -> Tracking:
    return Tracking(uri=tracking_uri(), experiment=NAME, run_name=name, parent_run_id=run_id)
