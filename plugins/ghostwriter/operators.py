"""What the DAGs are made of beyond plain tasks: the GPU stage, its buttons to MLflow, and errors that say whether to retry."""

import functools
import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from airflow.sdk import BaseOperator, get_current_context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from ghostwriter.errors import GhostwriterError, LaunchError
from ghostwriter.launch import LocalStage, Stage
from ghostwriter.links import MlflowRunLink, ModelLink, ReportLink, mlflow_urls
from ghostwriter.stages import tracking_uri
from training.contract import RESULT_FILE

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")
GPU_POOL, TEACHER_POOL = "gpu", "teacher"
PROBLEM = "problem"
"""XCom key under which a failed task leaves what the person should do, for the page."""
LONGEST_PROBLEM = 1_000
LINKS = {
    "train": (MlflowRunLink(), ModelLink()),
    "evaluate": (MlflowRunLink(), ReportLink(), ModelLink()),
    "examine": (MlflowRunLink(), ReportLink()),
}
"""The buttons of each stage."""


def actionable(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """Make a task body end on what the person should do: no retry where a retry cannot help."""

    @functools.wraps(function)
    def call(*arguments: Arguments.args, **named: Arguments.kwargs) -> Returned:
        try:
            return function(*arguments, **named)
        except GhostwriterError as error:
            _leave_for_the_page(str(error))
            kind = AirflowException if error.retryable else AirflowFailException
            raise kind(f"{error.code}: {error}") from None

    return call


def _leave_for_the_page(words: str) -> None:
    """Keep why a task failed where the page finds it; outside a task there is no such place."""
    try:
        task_instance = get_current_context()["ti"]
    except RuntimeError:
        return
    task_instance.xcom_push(PROBLEM, words[:LONGEST_PROBLEM])


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


def launcher() -> str:
    """GHOSTWRITER_LAUNCHER: `local` (the default) or `docker`. Raises LaunchError for anything else."""
    name = os.environ.get("GHOSTWRITER_LAUNCHER") or "local"
    if name not in ("local", "docker"):
        raise LaunchError(f"GHOSTWRITER_LAUNCHER is {name!r}. Set it to `local` or `docker`.")
    return name


def stage_operator() -> type[BaseOperator]:
    """The operator of GPU stages; the one for Docker takes seconds to import."""
    if launcher() == "local":
        return LocalStageOperator
    from ghostwriter.docker_stage import DockerStageOperator

    return DockerStageOperator


def stage_settings(stage: Stage) -> dict[str, Any]:
    """The one place that says how a GPU stage runs. Retries are for killed workers: an error a person must act on is not retried."""
    return {"task_id": stage, "stage": stage, "pool": GPU_POOL, "retries": 3, "retry_delay": timedelta(seconds=5), "doc_md": DOCS[stage]}


def gpu_stage(stage: Stage, request: Any) -> BaseOperator:
    """The task for a GPU stage."""
    return stage_operator()(request=request, **stage_settings(stage))


def gpu_stages(stage: Stage, requests: Any) -> Any:
    """The same for a list of requests: one task for each, one after the other in the pool."""
    return stage_operator().partial(**stage_settings(stage)).expand(request=requests)


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
