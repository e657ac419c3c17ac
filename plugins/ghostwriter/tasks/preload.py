"""MLflow imported once by the scheduler, before it forks its workers: in each task the import would cost four seconds of a core."""

import importlib
from typing import Any

from airflow.listeners import hookimpl

SCHEDULER = "SchedulerJob"


@hookimpl
def on_starting(component: Any) -> None:
    """What Airflow calls in each of its components, and in each task, before they begin."""
    if getattr(component, "job_type", None) == SCHEDULER:
        importlib.import_module("mlflow")
