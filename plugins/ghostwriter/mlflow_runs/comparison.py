"""The bodies of the comparison DAG's tasks: several arms trained on one split, examined in one evaluation, shown in one table."""

import logging
from pathlib import Path
from typing import Any

from ghostwriter.mlflow_runs.decision_page import interval
from ghostwriter.mlflow_runs.pipeline_run import close_run as close_pipeline_run, describe, open_writer_run, shown_again
from ghostwriter.mlflow_runs.server import mlflow_client, tracking_uri
from ghostwriter.writer import Writer
from training.contract import RESULT_FILE, EvaluateRequest, EvaluateResult, read_json

log = logging.getLogger(__name__)


def open_comparison(writer: Writer, dag_run: Any) -> str:
    """Open (or, after a retry, find) the MLflow run of an Airflow run; returns its id."""
    return open_writer_run(mlflow_client(), writer, "comparison", dag_run, tracking_uri())


def summarise(evaluation_request: str, run_id: str) -> int:
    """Give the MLflow run the table of arms by measures; returns the number of questions."""
    request = read_json(EvaluateRequest, Path(evaluation_request))
    result = read_json(EvaluateResult, request.run_folder / RESULT_FILE)
    table, client = comparison_table(result), mlflow_client()
    log.info("\n%s", table)
    client.log_text(run_id, table, "comparison.md")
    client.log_dict(run_id, result.model_dump(mode="json", include={"scores", "differences", "withheld", "questions"}), "comparison.json")
    describe(client, run_id, f"{table}{shown_again(client, tracking_uri(), run_id, result.run_id)}")
    return result.questions


def comparison_table(result: EvaluateResult) -> str:
    """Markdown: a row a measure, a column an arm, each figure with its 95 % interval."""
    measures = list(dict.fromkeys(measure for figures in result.scores.values() for measure in figures))
    rows = [f"| measure | {' | '.join(result.scores)} |", "|---" * (len(result.scores) + 1) + "|"]
    rows += [f"| {measure} | {' | '.join(interval(arm.get(measure)) for arm in result.scores.values())} |" for measure in measures]
    notes = [f"Not measured: {measure}, {why}." for measure, why in result.withheld.items()]
    head = f"{result.questions} held-out questions; bootstrap 95 % intervals over questions."
    return "\n\n".join([head, "\n".join(rows), *notes]) + "\n"


def close_run(run_id: str, task_instance: Any) -> None:
    """End the MLflow run: FINISHED when the table was written, FAILED otherwise."""
    close_pipeline_run(mlflow_client(), run_id, succeeded=bool(task_instance.xcom_pull(task_ids="summarise")))
