"""What the DAGs are made of beyond plain tasks: the GPU stage, its buttons to MLflow, and errors that say whether to retry."""

import functools
import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from airflow.sdk import BaseOperator, get_current_context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from ghostwriter.errors import GhostwriterError, LaunchError, TrackingError
from ghostwriter.launch import LocalStage, Stage
from ghostwriter.links import MlflowRunLink, ModelLink, ReportLink, mlflow_urls
from ghostwriter.notify import PROBLEM, on_failure
from ghostwriter.progress import duration
from ghostwriter.stages import tracking_uri
from ghostwriter.writer import Writer
from training.contract import RESULT_FILE

log = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")
GPU_POOL, TEACHER_POOL = "gpu", "teacher"
LONGEST_PROBLEM = 1_000
OWNER = "ghostwriter"
AGAIN = {"retries": 2, "retry_delay": timedelta(minutes=1), "retry_exponential_backoff": 2.0}
"""For what is away for a moment (MLflow, a worker that was killed). What a person must act on is never tried again: see `actionable`."""
LINKS = {
    "train": (MlflowRunLink(), ModelLink()),
    "evaluate": (MlflowRunLink(), ReportLink(), ModelLink()),
    "examine": (MlflowRunLink(), ReportLink()),
}
"""The buttons of each stage."""


def dag_defaults(writer: Writer, kind: str) -> dict[str, Any]:
    """What a writer's DAGs share. `kind` is a tag to filter the list of DAGs by: `nightly` or `by hand`."""
    return {
        "max_active_runs": 1,
        "tags": [OWNER, writer.stem, kind],
        "default_args": {"owner": OWNER, "on_failure_callback": on_failure(writer), **AGAIN},
    }


def actionable(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """Make a task body say what it does and how long it took, and end on what the person should do: no retry where none can help."""

    @functools.wraps(function)
    def call(*arguments: Arguments.args, **named: Arguments.kwargs) -> Returned:
        task_instance, started = _task_instance(), time.monotonic()
        if task_instance:
            log.info("%s: %s", task_instance.task_id, _purpose(task_instance.task))
        try:
            with _mlflow_in_words():
                returned = function(*arguments, **named)
        except GhostwriterError as error:
            if task_instance:
                task_instance.xcom_push(PROBLEM, str(error)[:LONGEST_PROBLEM])
            kind = AirflowException if error.retryable else AirflowFailException
            raise kind(f"{error.code}: {error}") from None
        if task_instance:
            log.info("%s: done in %s.", task_instance.task_id, duration(time.monotonic() - started))
        return returned

    return call


@contextmanager
def _mlflow_in_words() -> Iterator[None]:
    """Turn an error of MLflow's client into one that says what to do. MLflow is not imported for it: who raised it has."""
    try:
        yield
    except Exception as error:
        module = sys.modules.get("mlflow.exceptions")
        if module is None or not isinstance(error, module.MlflowException):
            raise
        words = re.sub(r"//[^/@\s]+@", "//", str(error).splitlines()[0][:300])  # an address may carry a password
        raise TrackingError(
            f"MLflow did not do what was asked of it: {words} See that it runs, then clear this task; what is done stays done."
        ) from error


def _task_instance() -> Any:
    """Of the task that runs; None outside one, where there is no page to leave a word for."""
    try:
        return get_current_context()["ti"]
    except RuntimeError:
        return None


def _purpose(operator: Any) -> str:
    """The task's line on its page."""
    return next(iter((operator.doc_md or "").strip().splitlines()), "")


class LocalStageOperator(BaseOperator):
    """Train, evaluate or examine in the training environment on this machine; returns the run folder, the request and the MLflow run."""

    template_fields = ("request",)
    ui_color = "#d7ccf5"

    def __init__(self, *, stage: Stage, request: Any, **settings: Any) -> None:
        super().__init__(**settings)
        self.stage, self.request = stage, request
        self.operator_extra_links = LINKS[stage]
        self.mlflow_urls: dict[str, str] = {}
        self._running: LocalStage | None = None

    @actionable
    def execute(self, context: Any) -> dict[str, str]:
        """Run the stage to its end."""
        path = Path(self.request)
        self._running = LocalStage(self.stage, path)
        self._running.run(self.log.info)
        returned, self.mlflow_urls = stage_outcome(path)
        return returned

    def on_kill(self) -> None:
        """The task was cleared, marked or timed out: the process saves a checkpoint and ends."""
        if self._running:
            self._running.stop()


DOCS = {
    "train": "Train the adapter, or go on from its last checkpoint.",
    "evaluate": "Answer the held-out questions with each arm, and score the answers.",
    "examine": "Multiply unseen numbers with the base and with each epoch's adapter, and check every line.",
}


LAUNCHERS = ("local", "docker", "kubernetes")


def launcher() -> str:
    """GHOSTWRITER_LAUNCHER: `local` (the default), `docker` or `kubernetes`. Raises LaunchError for anything else."""
    name = os.environ.get("GHOSTWRITER_LAUNCHER") or "local"
    if name not in LAUNCHERS:
        raise LaunchError(f"GHOSTWRITER_LAUNCHER is {name!r}. Set it to `local`, `docker` or `kubernetes`.")
    return name


def stage_operator(stage: Stage) -> type[BaseOperator]:
    """The operator of a GPU stage; those for Docker and Kubernetes take seconds to import."""
    if launcher() == "local":
        return LocalStageOperator
    if launcher() == "docker":
        from ghostwriter.docker_stage import DockerStageOperator

        return DockerStageOperator
    from ghostwriter.kubernetes_job import KubernetesJobStageOperator
    from ghostwriter.kubernetes_settings import PodSettings
    from ghostwriter.kubernetes_stage import KubernetesStageOperator

    several = stage == "train" and PodSettings.from_environment().nodes > 1
    return KubernetesJobStageOperator if several else KubernetesStageOperator


def stage_settings(stage: Stage) -> dict[str, Any]:
    """The one place that says how a GPU stage runs. Retries are for killed workers: an error a person must act on is not retried."""
    return {"task_id": stage, "stage": stage, "pool": GPU_POOL, "retries": 3, "retry_delay": timedelta(seconds=5), "doc_md": DOCS[stage]}


def gpu_stage(stage: Stage, request: Any) -> BaseOperator:
    """The task for a GPU stage."""
    return stage_operator(stage)(request=request, **stage_settings(stage))


def gpu_stages(stage: Stage, requests: Any) -> Any:
    """The same for a list of requests: one task for each, one after the other in the pool."""
    return stage_operator(stage).partial(**stage_settings(stage)).expand(request=requests)


def stage_outcome(request: Path) -> tuple[dict[str, str], dict[str, str]]:
    """What the task of a finished stage returns (run folder, request, MLflow run), and the addresses of its buttons."""
    run_id = read_run_id(request.parent / RESULT_FILE)
    returned = {"run_folder": str(request.parent), "request": str(request), "run_id": run_id}
    return returned, mlflow_urls(tracking_uri(), run_id, read_stem(request))


def read_run_id(result: Path) -> str:
    """The MLflow run a stage logged to, from its result file; empty without tracking."""
    return str(json.loads(result.read_text())["run_id"] or "")


def read_stem(request: Path) -> str:
    """The writer a request works for; empty when it works for none (the multiplication check)."""
    tracking = json.loads(request.read_text())["tracking"] or {}
    return str(tracking.get("tags", {}).get("ghostwriter.writer", ""))
