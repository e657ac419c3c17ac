"""Follow the asset-chained runs from collecting to promotion, and show which stage runs, how far it is, and how long it took."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live
from rich.table import Table

from ghostwriter.embedded.airflow_api import FINISHED, AirflowApi, Json
from ghostwriter.embedded.services import Supervisor
from ghostwriter.errors import ServiceError
from ghostwriter.writer import Writer

START_SECONDS = 90
POLL_SECONDS = 2.0
LINE_SECONDS = 20.0
LOG_LINES = 20
DETAIL_CHARACTERS = 110
MARKS = {
    "success": "done",
    "skipped": "skipped",
    "failed": "failed",
    "upstream_failed": "not reached",
    "running": "running",
    None: "waiting",
}


WAKING = {"collect": "snapshot", "distill": "wake_training"}
"""The task of a DAG that wakes the next; skipped when there is nothing new, and then the next is triggered as a person would."""


@dataclass(frozen=True)
class Stage:
    """One line of the display: the tasks of a DAG that make up one step of the loop."""

    name: str
    dag: str
    tasks: tuple[str, ...]


STAGES = (
    Stage("collect", "collect", ("read_site", "snapshot")),
    Stage("distil", "distill", ("ask_teacher",)),
    Stage("train", "train", ("plan", "train")),
    Stage("evaluate", "train", ("plan_evaluation", "evaluate")),
    Stage("measure", "train", ("measure",)),
    Stage("judge", "train", ("judge",)),
    Stage("promote", "train", ("promote",)),
)


@dataclass
class Loop:
    """The runs of one pass through the loop, by DAG (`collect`, `distill`, `train`), and their task instances."""

    runs: dict[str, str] = field(default_factory=dict)
    tasks: dict[str, dict[str, Json]] = field(default_factory=dict)


def follow(console: Console, api: AirflowApi, writer: Writer, supervisor: Supervisor) -> Loop:
    """Trigger collecting and follow what it sets off until the last run has ended. Raises ServiceError with a failed task's log."""
    loop = Loop()
    known = {dag: {run["dag_run_id"] for run in api.runs(f"{writer.stem}_{dag}")} for dag in ("distill", "train")}
    with Display(console, api, writer, loop) as display:
        loop.runs["collect"] = api.trigger(f"{writer.stem}_collect")
        _wait(api, writer, "collect", loop, display, supervisor)
        for before, dag in (("collect", "distill"), ("distill", "train")):
            woken = loop.tasks[before][WAKING[before]]["state"] != "skipped"
            loop.runs[dag] = _started(api, f"{writer.stem}_{dag}", known[dag]) if woken else api.trigger(f"{writer.stem}_{dag}")
            _wait(api, writer, dag, loop, display, supervisor)
    return loop


class Display:
    """A live table on a terminal; elsewhere a line when a stage changes, and one now and then while it works."""

    def __init__(self, console: Console, api: AirflowApi, writer: Writer, loop: Loop) -> None:
        self._console, self._api, self._writer, self._loop = console, api, writer, loop
        self._live = Live(console=console, refresh_per_second=2) if console.is_terminal else None
        self._said: dict[str, tuple[str, float]] = {}

    def __enter__(self) -> "Display":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._live:
            self._live.stop()

    def show(self) -> None:
        """Bring the display up to date with the loop."""
        rows = [(stage.name, *self._line(stage)) for stage in STAGES]
        if self._live:
            table = Table("stage", "state", "seconds", "", box=None, pad_edge=False)
            for row in rows:
                table.add_row(*row)
            self._live.update(table)
            return
        for name, state, seconds, detail in rows:
            self._say(name, state, seconds, detail)

    def _say(self, name: str, state: str, seconds: str, detail: str) -> None:
        before, when = self._said.get(name, ("waiting", 0.0))
        if state != before or (state == "running" and time.monotonic() - when > LINE_SECONDS):
            self._console.print(f"{name:<9} {state:<12} {seconds:>6} s  {detail}".rstrip(), soft_wrap=True)
            self._said[name] = (state, time.monotonic())

    def _line(self, stage: Stage) -> tuple[str, str, str]:
        instances = [self._loop.tasks.get(stage.dag, {}).get(task) for task in stage.tasks]
        state = stage_state([instance["state"] if instance else None for instance in instances])
        seconds = sum(_seconds(instance) for instance in instances if instance)
        return state, f"{seconds:.0f}" if seconds else "", self._detail(stage) if state == "running" else ""

    def _detail(self, stage: Stage) -> str:
        """The last line the running task has logged: every stage logs how far it is."""
        for task in stage.tasks:
            instance = self._loop.tasks.get(stage.dag, {}).get(task)
            if instance and instance["state"] == "running":
                lines = self._api.log_lines(f"{self._writer.stem}_{stage.dag}", self._loop.runs[stage.dag], task, instance["try_number"])
                return next((line for line in reversed(lines) if line.strip()), "")[:DETAIL_CHARACTERS]
        return ""


def stage_state(states: list[str | None]) -> str:
    """One word for the states of a stage's tasks: the first that failed, runs or is skipped, else done when all are."""
    words = [MARKS.get(state, "waiting") for state in states]
    for word in ("failed", "not reached", "skipped"):
        if word in words:
            return word
    if all(word == "done" for word in words):
        return "done"
    return "waiting" if all(word == "waiting" for word in words) else "running"


def _wait(api: AirflowApi, writer: Writer, dag: str, loop: Loop, display: Display, supervisor: Supervisor) -> None:
    dag_id, run_id = f"{writer.stem}_{dag}", loop.runs[dag]
    state = ""
    while state not in FINISHED:
        supervisor.check()
        state = str(api.run(dag_id, run_id)["state"])
        loop.tasks[dag] = {task["task_id"]: task for task in api.tasks(dag_id, run_id)}
        display.show()
        time.sleep(POLL_SECONDS if state not in FINISHED else 0)
    if state == "failed":
        raise ServiceError(f"{dag_id} failed.\n" + "\n".join(_failed_logs(api, dag_id, run_id, loop.tasks[dag].values())))


def _started(api: AirflowApi, dag_id: str, known: set[str]) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for run in api.runs(dag_id):
            if run["dag_run_id"] not in known:
                return str(run["dag_run_id"])
        time.sleep(POLL_SECONDS)
    raise ServiceError(f"{dag_id} was not started by its asset within {START_SECONDS} s.")


def _failed_logs(api: AirflowApi, dag_id: str, run_id: str, tasks: Iterable[Json]) -> list[str]:
    lines: list[str] = []
    for task in tasks:
        if task["state"] == "failed":
            log = api.log_lines(dag_id, run_id, task["task_id"], task["try_number"])
            lines += [f"  {task['task_id']}, the end of its log:", *(f"    {line}" for line in log[-LOG_LINES:])]
    return lines


def _seconds(instance: Json) -> float:
    if not instance["start_date"]:
        return 0.0
    end = datetime.fromisoformat(instance["end_date"]) if instance["end_date"] else datetime.now(UTC)
    return (end - datetime.fromisoformat(instance["start_date"])).total_seconds()
