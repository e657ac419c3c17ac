"""From Airflow's database to how a writer's last night ended: the newest run of each stage, in words, and when the next one is due."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.deadline import Deadline
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from ghostwriter.tasks.notify import PROBLEM

STAGES = {"collect": "Collect", "distill": "Distil", "train": "Train and judge"}
RESULTS = {"collect": "read_site", "train": "judge"}
"""The task of a stage whose result says in words what came of it."""
FIRST = {"distill": "find_answers", "train": "plan"}
"""The task of a stage that looks whether there is anything to do."""
ENDED = ("success", "failed")
OVERDUE = timedelta(minutes=10)
"""Airflow starts a run within seconds."""
GOOD, BAD, BUSY, QUIET = "good", "bad", "busy", "quiet"


@dataclass(frozen=True)
class StageRun:
    """The newest run of a stage; `tone` is one of GOOD, BAD, BUSY, QUIET."""

    stage: str
    title: str
    path: str
    """Of the run's page in Airflow."""
    when: datetime
    tone: str
    words: str
    late: datetime | None = None
    """When it was to be done, while it is not."""


@dataclass(frozen=True)
class Night:
    """The newest run of each stage that has run, in the pipeline's order, and the next collection."""

    runs: tuple[StageRun, ...]
    next_run: datetime | None
    paused: bool
    overdue: bool = False
    """The next collection was due, and has not begun: an earlier run is in its way, or Airflow's scheduler is away."""

    @property
    def began(self) -> datetime | None:
        """When the newest collection started: the night as a person counts it."""
        return next((run.when for run in self.runs if run.stage == "collect"), None)

    @property
    def outcome(self) -> StageRun | None:
        """What happened last: the run that started last."""
        return max(self.runs, key=lambda run: run.when, default=None)


def read_night(session: Session, stem: str) -> Night:
    """How the writer's last night ended."""
    runs = tuple(run for stage in STAGES if (run := _stage_run(session, stem, stage)))
    dag = session.get(DagModel, f"{stem}_collect")
    next_run = dag.next_dagrun_create_after if dag and not dag.is_paused else None
    return Night(runs, next_run, bool(dag and dag.is_paused), bool(next_run and next_run < datetime.now(UTC) - OVERDUE))


def _stage_run(session: Session, stem: str, stage: str) -> StageRun | None:
    dag_id = f"{stem}_{stage}"
    run = session.scalars(
        select(DagRun).where(DagRun.dag_id == dag_id).order_by(DagRun.run_after.desc(), DagRun.id.desc()).limit(1)
    ).first()
    if run is None:
        return None
    tasks = {task.task_id: task.state for task in session.scalars(_of_run(TaskInstance, dag_id, run.run_id))}
    told = {(row.task_id, row.key): XComModel.deserialize_value(row) for row in session.scalars(_of_run(XComModel, dag_id, run.run_id))}
    tone, words = in_words(stage, str(run.state), tasks, told)
    path = f"/dags/{dag_id}/runs/{run.run_id}"
    return StageRun(stage, STAGES[stage], path, run.start_date or run.run_after, tone, words, passed_deadline(session, run))


def passed_deadline(session: Session, run: DagRun) -> datetime | None:
    """The deadline that a run has passed and is not done; read from its time, so that it is seen without a scheduler, too."""
    if run.state in ENDED:
        return None
    passed = select(Deadline.deadline_time).where(Deadline.dagrun_id == run.id, Deadline.deadline_time < datetime.now(UTC))
    return session.scalars(passed.order_by(Deadline.deadline_time).limit(1)).first()


def _of_run(table: Any, dag_id: str, run_id: str) -> Any:
    return select(table).where(table.dag_id == dag_id, table.run_id == run_id)


def in_words(stage: str, state: str, tasks: Mapping[str, str | None], told: Mapping[tuple[str, str], Any]) -> tuple[str, str]:
    """Tone and sentence for a run: `tasks` are the states of its tasks, `told` what they handed on, by task and key."""
    if state == "failed":
        failed = [task for task, task_state in tasks.items() if task_state == "failed"]
        reasons = [str(told[task, PROBLEM]) for task in failed if (task, PROBLEM) in told]
        return BAD, " ".join(reasons) or f"{', '.join(failed) or 'The run'} failed. The log of the task says why."
    if state != "success":
        at_work = [task for task, task_state in tasks.items() if task_state in ("running", "deferred", "up_for_retry")]
        return BUSY, f"At work: {', '.join(at_work)}." if at_work else "Waits for its turn."
    result = told.get((RESULTS.get(stage, ""), "return_value")) or {}
    if stage == "collect":
        nothing_new = tasks.get("snapshot") == "skipped"
        return (QUIET, "Nothing new, so nothing was trained.") if nothing_new else (GOOD, str(result.get("statement", "New answers.")))
    if stage == "train" and result:
        return (GOOD if tasks.get("promote") == "success" else QUIET), str(result["summary"])
    if (stage, tasks.get(FIRST.get(stage, ""))) in (("distill", "skipped"), ("train", "skipped")):
        return QUIET, "Nothing new, so nothing was done."
    if stage == "distill" and tasks.get("ask_teacher") == "skipped":
        return QUIET, "Only the cost was asked for; the log of estimate_cost says it."
    return GOOD, "A dataset is ready." if stage == "distill" else "Done."
