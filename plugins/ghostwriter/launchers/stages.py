"""What the DAGs are made of beyond plain tasks: the stages of the training side, and their buttons to MLflow."""

import logging
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator

from ghostwriter.errors import LaunchError
from ghostwriter.launchers.local import LocalStage
from ghostwriter.launchers.outcome import LINKS, stage_outcome
from ghostwriter.tasks.body import GPU_POOL, actionable
from ghostwriter.tasks.stoppable import end_with_worker
from ghostwriter.tasks.time_limits import LONG
from training.contract import WITHOUT_MODEL, Stage

log = logging.getLogger(__name__)


class LocalStageOperator(BaseOperator):
    """A stage in the training environment on this machine; returns the run folder, the request and the MLflow run."""

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
        end_with_worker()
        path = Path(self.request)
        self._running = LocalStage(self.stage, path)
        self._running.run(self.log.info)
        returned, self.mlflow_urls = stage_outcome(self.stage, path)
        return returned

    def on_kill(self) -> None:
        """The task was cleared, marked or timed out: the process saves a checkpoint and ends."""
        if self._running:
            self._running.stop()


DOCS = {
    "train": "Train the adapter, or go on from its last checkpoint.",
    "evaluate": "Answer the held-out questions with each arm.",
    "measure": "Score the answers of all arms; needs no GPU.",
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
    """The operator of a stage; those for Docker and Kubernetes take seconds to import."""
    if launcher() == "local":
        return LocalStageOperator
    if launcher() == "docker":
        from ghostwriter.launchers.docker import DockerStageOperator

        return DockerStageOperator
    from ghostwriter.launchers.kubernetes.job import KubernetesJobStageOperator
    from ghostwriter.launchers.kubernetes.settings import PodSettings
    from ghostwriter.launchers.kubernetes.stage import KubernetesStageOperator

    several = stage == "train" and PodSettings.from_environment().nodes > 1
    return KubernetesJobStageOperator if several else KubernetesStageOperator


def stage_settings(stage: Stage, limit: timedelta) -> dict[str, Any]:
    """The one place that says how a stage runs.

    Retries are for killed workers and for a stage that was ended by its time limit: an error a person must act on is not retried.
    """
    pool = {} if stage in WITHOUT_MODEL else {"pool": GPU_POOL}
    again = {"retries": 3, "retry_delay": timedelta(seconds=5)}
    return {"task_id": stage, "stage": stage, **pool, **again, "execution_timeout": limit, "doc_md": DOCS[stage]}


def stage_task(stage: Stage, request: Any, limit: timedelta = LONG) -> BaseOperator:
    """The task for a stage: in the pool of the GPU, where the stage needs one."""
    return stage_operator(stage)(request=request, **stage_settings(stage, limit))


def stage_tasks(stage: Stage, requests: Any, limit: timedelta) -> Any:
    """The same for a list of requests: one task for each, one after the other in the pool."""
    return stage_operator(stage).partial(**stage_settings(stage, limit)).expand(request=requests)
