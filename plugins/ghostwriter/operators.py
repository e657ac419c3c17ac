"""What the DAGs are made of beyond plain tasks: the GPU stage, its button to MLflow, and errors that say whether to retry."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from ghostwriter.errors import GhostwriterError
from ghostwriter.launch import LocalStage, Stage
from ghostwriter.stages import tracking_uri

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")
GPU_POOL, TEACHER_POOL = "gpu", "teacher"


def actionable(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """Make a task body end on what the person should do: no retry where a retry cannot help."""

    @functools.wraps(function)
    def call(*arguments: Arguments.args, **named: Arguments.kwargs) -> Returned:
        try:
            return function(*arguments, **named)
        except GhostwriterError as error:
            kind = AirflowException if error.retryable else AirflowFailException
            raise kind(f"{error.code}: {error}") from None

    return call


class MlflowRunLink(BaseOperatorLink):
    """A button on the task's page that leads to its MLflow run."""

    name = "MLflow run"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """The run's page. Asked in the task's own process after it ran, so the operator knows; Airflow keeps the answer."""
        return str(getattr(operator, "mlflow_url", ""))


class LocalStageOperator(BaseOperator):
    """Train, evaluate or examine in the training environment on this machine; returns the run folder, the request and the MLflow run."""

    template_fields = ("request",)
    operator_extra_links = (MlflowRunLink(),)
    ui_color = "#d7ccf5"

    def __init__(self, *, stage: Stage, request: Any, **settings: Any) -> None:
        super().__init__(**settings)
        self.stage, self.request = stage, request
        self.mlflow_url = ""
        self._running: LocalStage | None = None

    @actionable
    def execute(self, context: Any) -> dict[str, str]:
        """Run the stage to its end."""
        path = Path(self.request)
        self._running = LocalStage(self.stage, path)
        run_id = read_run_id(self._running.run(self.log.info))
        self.mlflow_url = run_url(tracking_uri(), run_id)
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


def run_url(uri: str, run_id: str) -> str:
    """The page of an MLflow run; empty without one."""
    if not run_id:
        return ""
    from mlflow import MlflowClient

    return f"{uri}/#/experiments/{MlflowClient(uri).get_run(run_id).info.experiment_id}/runs/{run_id}"
