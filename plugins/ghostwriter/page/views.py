"""What Airflow shows in a tab of a DAG and of a run: the page of its writer, and the report of the run's examination.

Airflow draws a tab as a frame and knows no more than the ids; views are offered on every DAG, also on one that no writer has.
"""

from typing import Any

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.models.xcom import XComModel
from fastapi import APIRouter, HTTPException, status
from fastapi.responses import HTMLResponse
from sqlalchemy import select
from sqlalchemy.orm import Session

from ghostwriter.mlflow_runs.links import REPORT_FILE
from ghostwriter.mlflow_runs.registry import MlflowSilent, Registry
from ghostwriter.page.access import Language, Writers
from ghostwriter.page.champions import EVALUATION
from ghostwriter.page.overview import cards, open_registry
from ghostwriter.page.rendering import REPORT_HEADERS, render
from ghostwriter.writer import Writer

EXAMINED = {"train": "plan", "compare": "open_run"}
"""The stages that examine, and the task of each that hands on the MLflow run which holds everything."""
REPORT_SECONDS = 10.0
"""A report may be megabytes; somebody asked for it and waits."""
NO_REPORT = (
    "This run has no report: only {stages} make one, once their task `measure` has ended, and it stays as long as its MLflow run does."
)
router = APIRouter()


@router.get("/dag/{dag_id}")
def writer_of_dag(dag_id: str, writers: Writers, session: SessionDep, accepted: Language = "") -> HTMLResponse:
    """How the writer of a DAG stands; of a DAG that is no writer's, all of them."""
    owner = owner_of(dag_id, writers)
    chosen = [owner] if owner else writers
    shown = cards(session, chosen)
    silent = sorted({problem for card in shown for problem in card.problems})
    return render("overview.html", accepted=accepted, writers=chosen, cards=shown, silent=silent)


@router.get("/report/{dag_id}/{run_id}")
def report_of_run(dag_id: str, run_id: str, writers: Writers, session: SessionDep) -> HTMLResponse:
    """The report of a run, which runs its own script and can neither see nor send anything."""
    owner, stage = owner_of(dag_id, writers), dag_id.rpartition("_")[2]
    mlflow_run = _mlflow_run(session, dag_id, run_id, EXAMINED[stage]) if owner and stage in EXAMINED else ""
    try:
        page = find_report(open_registry(REPORT_SECONDS), mlflow_run) if mlflow_run else None
    except MlflowSilent as silent:
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, str(silent)) from None
    if page is None:
        stages = " and ".join(f"`<writer>_{stage}`" for stage in EXAMINED)
        raise HTTPException(status.HTTP_404_NOT_FOUND, NO_REPORT.format(stages=stages))
    return HTMLResponse(page, headers=REPORT_HEADERS)


def owner_of(dag_id: str, writers: list[Writer]) -> Writer | None:
    """The writer whose DAG it is, of those the user may see."""
    return next((writer for writer in writers if writer.stem == dag_id.rpartition("_")[0]), None)


def find_report(registry: Registry, mlflow_run: str) -> bytes | None:
    """The newest report below an MLflow run; None when there is none. Raises MlflowSilent."""
    parent = registry.run(mlflow_run)
    children = registry.children(parent["info"]["experiment_id"], mlflow_run) if parent else []
    examined = [run["info"]["run_id"] for run in children if run["info"]["run_name"] == EVALUATION]
    return next((page for run in examined if (page := registry.artifact(run, REPORT_FILE)) is not None), None)


def _mlflow_run(session: Session, dag_id: str, run_id: str, task_id: str) -> str:
    chosen = select(XComModel.value).where(XComModel.dag_id == dag_id, XComModel.run_id == run_id)
    row = session.execute(chosen.where(XComModel.task_id == task_id, XComModel.key == "return_value")).first()
    told: Any = XComModel.deserialize_value(row) if row else ""
    return str(told["run_id"] if isinstance(told, dict) else told)
