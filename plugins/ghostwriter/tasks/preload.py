"""What is large, imported once by the scheduler before it forks its workers.

In each task that speaks to MLflow the import would cost four seconds of a core, in each that speaks to a teacher one.
"""

import importlib
import os
import sys
from typing import Any

from airflow.listeners import hookimpl

LIBRARIES = ("mlflow", "openai", "aiohttp")


@hookimpl
def on_starting(component: Any) -> None:
    """What Airflow calls in each of its components, and in each task, before they begin.

    A component is a `Job` that does not know yet of which kind it is, so the command line says which.
    """
    if type(component).__name__ == "Job" and sys.argv[1:2] == ["scheduler"]:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # its thread must not be at work while workers are forked
        for library in LIBRARIES:
            importlib.import_module(library)
