"""The buttons on a GPU stage's page: to its MLflow run, to the report of an evaluation, to the writer's registered model.

A button's address is asked for in the task's own process, right after it ran, and kept by Airflow.
"""

import logging
import os
from typing import Any

from airflow.sdk import BaseOperator, BaseOperatorLink

from ghostwriter.judging.promote import model_name

log = logging.getLogger(__name__)

REPORT_FILE = "report.html"


class MlflowLink(BaseOperatorLink):
    """A button whose address the operator knows once it ran (`mlflow_urls`, by the button's name)."""

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """The address; empty when the task ended without an MLflow run."""
        urls: dict[str, str] = getattr(operator, "mlflow_urls", {})
        return urls.get(self.name, "")


class MlflowRunLink(MlflowLink):
    """To the run of the stage."""

    name = "MLflow run"


class ReportLink(MlflowLink):
    """To the page with the answers side by side."""

    name = "Report"


class ModelLink(MlflowLink):
    """To the registered model: versions, aliases, moves."""

    name = "Registered model"


def public_address(uri: str) -> str:
    """Where a person's browser finds MLflow: GHOSTWRITER_MLFLOW_URL, else the address the tasks use (in a container that may differ)."""
    return (os.environ.get("GHOSTWRITER_MLFLOW_URL") or uri).rstrip("/")


def run_page(uri: str, experiment_id: str, run_id: str, part: str = "") -> str:
    """Address of an MLflow run, or a part of it. Its end makes MLflow show the run and not the experiment's traces."""
    return f"{public_address(uri)}/#/experiments/{experiment_id}/runs/{run_id}{part}?workflowType=machine_learning"


def mlflow_urls(uri: str, run_id: str, stem: str) -> dict[str, str]:
    """The buttons' addresses for a run of the writer `stem` (empty: none); MLflow's front page while it does not answer at `uri`."""
    if not run_id:
        return {}
    from ghostwriter.mlflow_runs.registry import MlflowSilent, Registry

    try:
        run = Registry(uri).run(run_id)
    except MlflowSilent as silent:
        log.warning("%s The buttons of this task lead to its front page.", silent)
        run = None
    front, experiment = public_address(uri), run["info"]["experiment_id"] if run else ""
    page, report = (run_page(uri, experiment, run_id, part) if run else front for part in ("", f"/artifacts/{REPORT_FILE}"))
    model = {ModelLink.name: f"{front}/#/models/{model_name(stem)}"} if stem else {}
    return {MlflowRunLink.name: page, ReportLink.name: report, **model}
