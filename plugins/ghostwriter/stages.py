"""The bodies of the training DAG's tasks: what they read from and say to MLflow. Arguments are locations and small values."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghostwriter.errors import ConnectionMissing
from ghostwriter.gate import ALREADY_CHAMPION, Decision, decide
from ghostwriter.handover import request_evaluation, request_training
from ghostwriter.home import Home
from ghostwriter.pipeline_run import child, close_run as close_pipeline_run, open_run
from ghostwriter.promote import fetch_champion, promote as promote_version, roll_back as roll_back_version, same_adapter
from ghostwriter.writer import Writer
from training.contract import RESULT_FILE, Arm, EvaluateRequest, EvaluateResult, TrainResult, load_recipe, read_json

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)


def tracking_uri() -> str:
    """Address of the MLflow server. Raises ConnectionMissing when MLFLOW_TRACKING_URI is not set."""
    try:
        return os.environ["MLFLOW_TRACKING_URI"]
    except KeyError:
        raise ConnectionMissing("MLFLOW_TRACKING_URI is not set. Name your MLflow server there, like http://127.0.0.1:5000.") from None


def plan_training(writer: Writer, dataset: Path, arm: Arm, recipe: str, dag_run: Any) -> dict[str, str]:
    """Open (or, after a retry, find) the MLflow run of an Airflow run, and write the training request: their `run_id` and `request`."""
    from airflow.configuration import conf

    url = f"{conf.get('api', 'base_url', fallback='')}/dags/{dag_run.dag_id}/runs/{dag_run.run_id}"
    run_id = open_run(_client(), writer.stem, f"{dag_run.run_after:%Y-%m-%d %H:%M}", f"{dag_run.dag_id}/{dag_run.run_id}", url)
    tracking = child(writer, tracking_uri(), run_id, f"train {arm}")
    request = request_training(Home.default(), writer, dataset, arm, load_recipe(recipe), tracking)
    return {"run_id": run_id, "request": str(request)}


def plan_evaluation(writer: Writer, training_request: str, run_id: str) -> str:
    """Fetch the champion's adapter and write the evaluation request; returns its path."""
    home = Home.default()
    champion = fetch_champion(_client(), home, writer.stem)
    tracking = child(writer, tracking_uri(), run_id, "evaluate")
    return str(request_evaluation(home, writer, Path(training_request), champion, tracking))


def judge(writer: Writer, evaluation_request: str, run_id: str) -> dict[str, Any]:
    """Put the scores through the gate; decision and candidate's scores go to the MLflow run, the decision is returned as JSON."""
    request = read_json(EvaluateRequest, Path(evaluation_request))
    scores = read_json(EvaluateResult, request.run_folder / RESULT_FILE).scores
    candidate, rival = request.arms[1].name, request.arms[-1].name if len(request.arms) > 2 else request.arms[0].name
    champion = fetch_champion(_client(), Home.default(), writer.stem)
    if champion and request.arms[1].adapter and same_adapter(champion[1], request.arms[1].adapter):
        decision = ALREADY_CHAMPION
    else:
        decision = decide(scores[candidate], scores[rival], scores["writer"], writer.gate, rival)
    for reason in (*decision.reasons, decision.summary):
        log.info(reason)
    client = _client()
    client.set_tag(run_id, "ghostwriter.decision", decision.summary)
    for measure, value in scores[candidate].items():
        client.log_metric(run_id, measure, value)
    return decision.model_dump(mode="json")


def promote(writer: Writer, trained: dict[str, str], verdict: dict[str, Any], run_id: str, dag_run: Any) -> str:
    """Move the alias `champion` to the trained adapter if the verdict says so; returns the version, else raises AirflowSkipException."""
    from airflow.sdk.exceptions import AirflowSkipException

    decision = Decision.model_validate(verdict)
    if not decision.promote:
        raise AirflowSkipException(decision.summary)
    result = read_json(TrainResult, Path(trained["run_folder"]) / RESULT_FILE)
    tags = {"base": result.base, "pipeline_run": run_id, "why": decision.summary}
    version = promote_version(_client(), writer, trained["run_id"], result.adapter, tags, who=_who(dag_run), why=decision.summary)
    log.info("Version %s is the champion of %s.", version, writer.name)
    return version


def roll_back(writer: Writer, why: str, dag_run: Any) -> str:
    """Make the previous champion the champion again; returns its version."""
    version = roll_back_version(_client(), writer.stem, who=_who(dag_run), why=why)
    log.info("Version %s is the champion of %s again.", version, writer.name)
    return version


def close_run(run_id: str, task_instance: Any) -> None:
    """End the MLflow run: FINISHED when a verdict was reached and carried out, FAILED otherwise."""
    verdict, version = (task_instance.xcom_pull(task_ids=task) for task in ("judge", "promote"))
    close_pipeline_run(_client(), run_id, succeeded=bool(verdict and (version or not verdict["promote"])))


def _client() -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri())


def _who(dag_run: Any) -> str:
    return str(getattr(dag_run, "triggering_user_name", None) or dag_run.run_type)
