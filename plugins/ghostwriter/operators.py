"""What the DAGs are made of beyond plain tasks: the GPU stage, its buttons to MLflow, and errors that say whether to retry."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from airflow.sdk import BaseOperator, get_current_context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from ghostwriter.errors import GhostwriterError
from ghostwriter.launch import LocalStage, Stage
from ghostwriter.links import MlflowRunLink, ModelLink, ReportLink, mlflow_urls
from ghostwriter.notify import PROBLEM, on_failure
from ghostwriter.stages import tracking_uri
from ghostwriter.writer import Writer

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")
GPU_POOL, TEACHER_POOL = "gpu", "teacher"
LONGEST_PROBLEM = 1_000
OWNER = "ghostwriter"
LINKS = {
    "train": (MlflowRunLink(), ModelLink()),
    "evaluate": (MlflowRunLink(), ReportLink(), ModelLink()),
    "examine": (MlflowRunLink(), ReportLink()),
}
"""The buttons of each stage."""


def task_defaults(writer: Writer) -> dict[str, Any]:
    """What all tasks of a writer's DAGs share."""
    return {"owner": OWNER, "on_failure_callback": on_failure(writer)}


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
        run_id = read_run_id(self._running.run(self.log.info))
        self.mlflow_urls = mlflow_urls(tracking_uri(), run_id, read_stem(path))
        return {"run_folder": str(path.parent), "request": str(path), "run_id": run_id}

    def on_kill(self) -> None:
        """The task was cleared, marked or timed out: the process saves a checkpoint and ends."""
        if self._running:
            self._running.stop()


DOCS = {
    "train": "Train the adapter, or go on from its last checkpoint.",
    "evaluate": "Answer the held-out questions with each arm, and score the answers.",
    "examine": "Multiply unseen numbers with the base and with each epoch's adapter, and check every line.",
}


def gpu_stage(stage: Stage, request: Any) -> BaseOperator:
    """The task for a GPU stage: the one place that says how it is launched. The retry is for a worker that was killed."""
    return LocalStageOperator(task_id=stage, stage=stage, request=request, pool=GPU_POOL, retries=1, doc_md=DOCS[stage])


def gpu_stages(stage: Stage, requests: Any) -> Any:
    """The same for a list of requests: one task for each, one after the other in the pool."""
    tasks = LocalStageOperator.partial(task_id=stage, stage=stage, pool=GPU_POOL, retries=1, doc_md=DOCS[stage])
    return tasks.expand(request=requests)


def read_run_id(result: Path) -> str:
    """The MLflow run a stage logged to, from its result file; empty without tracking."""
    return str(json.loads(result.read_text())["run_id"] or "")


def read_stem(request: Path) -> str:
    """The writer a request works for; empty when it works for none (the multiplication check)."""
    tracking = json.loads(request.read_text())["tracking"] or {}
    return str(tracking.get("tags", {}).get("ghostwriter.writer", ""))
