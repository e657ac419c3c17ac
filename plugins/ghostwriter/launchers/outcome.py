"""What a finished stage leaves behind: its result for the next task, and the buttons that lead to its MLflow run."""

import json
from pathlib import Path
from typing import Any

from airflow.sdk.observability import stats

from ghostwriter.mlflow_runs.links import MlflowRunLink, ModelLink, ReportLink, mlflow_urls
from ghostwriter.mlflow_runs.server import tracking_uri
from training.contract import Stage, last_file

LINKS = {
    "train": (MlflowRunLink(), ModelLink()),
    "evaluate": (MlflowRunLink(), ReportLink(), ModelLink()),  # the report for what an earlier version evaluated
    "measure": (MlflowRunLink(), ReportLink(), ModelLink()),
    "examine": (MlflowRunLink(), ReportLink()),
}
"""The buttons of each stage."""


def stage_outcome(stage: Stage, request: Path) -> tuple[dict[str, str], dict[str, str]]:
    """What the task of a finished stage returns (run folder, request, MLflow run), and the addresses of its buttons."""
    last = last_file(request.parent, stage)
    assert last  # a launcher has seen it
    run_id, stem = read_run_id(last), read_stem(request)
    measure(stage, stem, json.loads(last.read_text()))
    returned = {"run_folder": str(request.parent), "request": str(request), "run_id": run_id}
    return returned, mlflow_urls(tracking_uri(), run_id, stem)


def measure(stage: Stage, stem: str, result: dict[str, Any]) -> None:
    """Tell Airflow's metrics what a stage took: its seconds of work, and tokens where it counts them. Nothing where they are off."""
    for name in ("seconds", "tokens"):
        if name in result:
            stats.gauge(f"ghostwriter.stage.{name}", result[name], tags={"writer": stem, "stage": stage})


def read_run_id(last: Path) -> str:
    """The MLflow run a stage logged to, from the file it wrote last; empty without tracking."""
    return str(json.loads(last.read_text())["run_id"] or "")


def read_stem(request: Path) -> str:
    """The writer a request works for; empty when it works for none (the multiplication check)."""
    tracking = json.loads(request.read_text())["tracking"] or {}
    return str(tracking.get("tags", {}).get("ghostwriter.writer", ""))
