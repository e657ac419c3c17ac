"""The bodies of the distilling DAG's tasks. Arguments are locations and small values."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ghostwriter.writer import Writer
from ghostwriter.writer_settings import Mode

log = logging.getLogger(__name__)


def distill(writer: Writer, answers: str, mode: Mode) -> str:
    """Build the dataset; returns its folder. Mode `direct` needs no connection, `self-instruct` the student's."""
    from ghostwriter.distilling.distill import distill as distill_answers
    from ghostwriter.home import Home
    from ghostwriter.tasks.connections import teacher_endpoint

    home = Home.default()
    home.check_space()
    endpoint = None if mode == "direct" else teacher_endpoint(writer.asking(mode).teacher.connection)
    return str(distill_answers(writer, home, Path(answers), endpoint, mode=mode, buy_again=True))  # estimate_cost has asked


def estimate_cost(writer: Writer, answers: str, form: Mapping[str, Any], task_instance: Any) -> bool:
    """Log the plan and its cost, leave the figures in the XCom `estimate`; returns whether the form wants the answers, too.

    Raises BuysAgain unless the form allows it.
    """
    from ghostwriter.distilling.distill import estimate
    from ghostwriter.home import Home

    plan = estimate(writer, Home.default(), Path(answers), mode=form["mode"])
    for line in str(plan).splitlines():
        log.info(line)
    figures = plan.model_dump(mode="json", include={"wanted", "in_ledger", "to_buy", "cost", "worst_cost", "spent", "cap"})
    task_instance.xcom_push("estimate", figures)
    if not (form["only_estimate"] or form["buy_again"]):
        plan.check_buys_again()
    return not form["only_estimate"]


def record(writer: Writer, dataset: str, dag_run: Any) -> str:
    """Log a dataset's totals to MLflow; returns the run's id."""
    from ghostwriter.mlflow_runs.dataset_run import record_dataset
    from ghostwriter.mlflow_runs.server import mlflow_client, tracking_uri

    return record_dataset(mlflow_client(), writer, Path(dataset), dag_run, tracking_uri())
