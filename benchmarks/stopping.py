"""Every row of docs/stopping.md on a real Airflow: `python benchmarks/stopping.py [ROW ...]`.

While a task buys from a slow teacher, and another trains (a stand-in), something stops them. Printed for each row: calls sent later
than two seconds after it, how the calls in flight ended, whether the training saved its checkpoint and is gone, and what is tried again.
"""

import argparse
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from sqlalchemy import select

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "plugins")]

from benchmarks.parts.buyer_and_trainee import BUYER, TRAINEE, buyer_and_trainee  # noqa: E402
from ghostwriter.database import open_database  # noqa: E402
from ghostwriter.embedded.services import wait_until  # noqa: E402
from ghostwriter.errors import ServiceError  # noqa: E402
from ghostwriter.teacher.ledger import SendRow  # noqa: E402
from tests.stack.installation import Installation  # noqa: E402
from tests.teacher_server import TeacherServer  # noqa: E402

TEACHER = "answers = 3000\nconcurrency = 8\nattempts = 1"
WATCHED_SECONDS, NO_CALL_AFTER = 12.0, 2.0
ENDED_SECONDS, AGAIN_SECONDS, NEVER_SECONDS = 150.0, 120.0, 15.0


@dataclass
class Scene:
    """A purchase and a training at work, and what may happen to them."""

    world: Installation
    teacher: TeacherServer
    runs: dict[str, str] = field(default_factory=dict)

    def begin(self) -> None:
        """Both at work: the purchase has a full house of calls, the training has begun."""
        begun = len(self.world.trainings(event="start"))
        sent = len(self.teacher.started)
        self.runs = {"distill": self.world.api.trigger(f"{BUYER}_distill"), "train": self.world.api.trigger(f"{TRAINEE}_train")}
        wait_until(lambda: len(self.world.trainings(event="start")) > begun, 300, "The training")
        wait_until(lambda: len(self.teacher.started) > sent + 12, 300, "The purchase")

    def each(self, act: Callable[[str, str], None]) -> None:
        """Do the same to both runs: `act` is given the DAG and the run."""
        act(f"{BUYER}_distill", self.runs["distill"])
        act(f"{TRAINEE}_train", self.runs["train"])

    def mark_failed(self) -> None:
        tasks = {f"{BUYER}_distill": "ask_teacher", f"{TRAINEE}_train": "train"}
        self.each(lambda dag, run: self._patch_task(dag, run, tasks[dag]))

    def _patch_task(self, dag: str, run: str, task: str) -> None:
        self.world.api.patch(f"dags/{dag}/dagRuns/{run}/taskInstances/{task}", {"new_state": "failed"})

    def clear(self) -> None:
        self.each(lambda dag, run: self._clear(dag, run))

    def _clear(self, dag: str, run: str) -> None:
        self.world.api.post(
            f"dags/{dag}/clearTaskInstances", {"dag_run_id": run, "dry_run": False, "only_failed": False, "only_running": True}
        )

    def delete(self) -> None:
        """Airflow refuses while a run is at work, so that nothing is stopped by it."""
        for dag, run in ((f"{BUYER}_distill", self.runs["distill"]), (f"{TRAINEE}_train", self.runs["train"])):
            with suppress(ServiceError):
                self.world.api.delete(f"dags/{dag}/dagRuns/{run}")
                raise AssertionError(f"Airflow deleted the run {run} of {dag}, which is at work.")

    def pause(self) -> None:
        self.each(lambda dag, run: self.world.api.pause(dag))

    def stop(self) -> None:
        self.world.up.terminate()

    def ctrl_c(self) -> None:
        self.world.up.send_signal(signal.SIGINT)

    def kill_tasks(self) -> None:
        for process in self._tasks():
            process.kill()

    def kill_workers(self) -> None:
        for process in {task.parent() for task in self._tasks()}:
            if process:
                process.kill()

    def kill_scheduler(self) -> None:
        self._component("scheduler").kill()

    def kill_api(self) -> None:
        self._component("api-server").kill()

    def _tasks(self) -> list[psutil.Process]:
        """Task processes: they are leaders of their own groups, below a worker."""
        scheduler = self._component("scheduler")
        below = [process for worker in scheduler.children() for process in worker.children()]
        return [process for process in below if os.getpgid(process.pid) == process.pid]

    def _component(self, name: str) -> psutil.Process:
        """The API server names itself `api_server` once it runs."""
        children = psutil.Process(self.world.up.pid).children()
        return next(child for child in children if name in " ".join(child.cmdline()).replace("_", "-"))


@dataclass(frozen=True)
class Row:
    """An event, and what the table says of it."""

    act: Callable[[Scene], None]
    again: bool
    """Whether Airflow tries again by itself (after a new start, where everything was stopped)."""
    ends_all: bool = False
    """Whether `up` ends, and a person starts it again."""
    goes_on: bool = False
    """Whether what runs may go on to its end."""


ROWS = {
    "delete": Row(Scene.delete, again=False, goes_on=True),
    "pause": Row(Scene.pause, again=False, goes_on=True),
    "kill -9 of the tasks": Row(Scene.kill_tasks, again=True),
    "make stop, SIGTERM": Row(Scene.stop, again=True, ends_all=True),
    "Ctrl-C": Row(Scene.ctrl_c, again=True, ends_all=True),
    "kill -9 of the scheduler": Row(Scene.kill_scheduler, again=True, ends_all=True),
    "kill -9 of the API server": Row(Scene.kill_api, again=True, ends_all=True),
    "kill -9 of the workers": Row(Scene.kill_workers, again=True),
    "mark failed": Row(Scene.mark_failed, again=False),
    "clear": Row(Scene.clear, again=True),
}


def play(scene: Scene, name: str) -> bool:
    """Let one row happen and print what was seen; returns whether it is what the table says."""
    row, began = ROWS[name], time.monotonic()
    scene.begin()
    pid = scene.world.trainings(event="start")[-1]["pid"]
    before, stopped = sends(scene), len(scene.world.trainings(event="stopped"))
    struck = time.monotonic()
    row.act(scene)
    time.sleep(WATCHED_SECONDS)
    late = [moment for moment in scene.teacher.started if struck + NO_CALL_AFTER < moment < struck + WATCHED_SECONDS]
    if row.ends_all:
        scene.world.up.wait(ENDED_SECONDS)
    after, saved = sends(scene), len(scene.world.trainings(event="stopped")) > stopped
    gone = not psutil.pid_exists(pid)
    if row.ends_all:
        scene.world.start()
    trained, bought = tries(scene, row, pid)
    kept, perhaps, still = after["paid"] - before["paid"], after["perhaps_paid"] - before["perhaps_paid"], after["in_flight"]
    soon = row.again and not row.ends_all  # the new attempt may call before the watch is over
    well = (soon or bool(late) == row.goes_on) and (gone, trained, bought) == (not row.goes_on, row.again, row.again or row.goes_on)
    print(
        f"{name}: {len(late)} calls after {NO_CALL_AFTER:.0f} s; in flight: {kept} kept, {perhaps} perhaps paid, {still} still open; "
        f"training {'saved' if saved else 'did not save'}, its process is {'gone' if gone else 'there'}; tried again: training "
        f"{'yes' if trained else 'no'}, purchase {'yes' if bought else 'no'}. {'As the table says' if well else 'NOT as the table says'} "
        f"({time.monotonic() - began:.0f} s)",
        flush=True,
    )
    return well


def tries(scene: Scene, row: Row, pid: int) -> tuple[bool, bool]:
    """Whether there is a second training, and whether a purchase is seen, after as long as Airflow takes to notice."""
    begun, deadline = len(scene.teacher.started), time.monotonic() + (AGAIN_SECONDS if row.again else NEVER_SECONDS)
    while True:
        trained = scene.world.trainings(event="start")[-1]["pid"] != pid
        bought = len(scene.teacher.started) > begun + 8
        if (trained and bought) or time.monotonic() > deadline:
            return trained, bought
        time.sleep(1)


def sends(scene: Scene) -> Counter[str]:
    """The ledger's rows by their state."""
    with open_database(scene.world.home.database_url).connect() as connection:
        return Counter(connection.execute(select(SendRow.state)).scalars())


def clean(scene: Scene) -> None:
    """End what is left of a row, and switch everything on."""
    for dag in (f"{BUYER}_distill", f"{TRAINEE}_train"):
        for run in scene.world.api.runs(dag):
            if run["state"] in ("running", "queued"):
                scene.world.api.patch(f"dags/{dag}/dagRuns/{run['dag_run_id']}", {"state": "failed"})
        scene.world.api.unpause(dag)
    wait_until(lambda: scene.teacher.in_flight == 0, 120, "The end of the purchases")
    time.sleep(5)


def main() -> int:
    """Print a line a row; status 1 when one was not as docs/stopping.md says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"all by default: {', '.join(ROWS)}")
    names = parser.parse_args().rows
    if unknown := set(names) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    with buyer_and_trainee(TEACHER, latency=2.0) as (world, teacher):
        world.api.pause(f"{BUYER}_distill")
        for stem in (BUYER, TRAINEE):
            world.night(stem, 0)
            world.wait_quiet(stem, 600)
        world.api.unpause(f"{BUYER}_distill")
        world.set_stages(seconds=10_000)
        world.publish(TRAINEE, 1, 40)
        world.night(TRAINEE, 1)
        wait_until(lambda: len(world.trainings(event="start")) > 1, 300, "The second dataset")
        scene = Scene(world, teacher)
        clean(scene)
        well = True
        for name in names or ROWS:
            try:
                well = play(scene, name) and well
            except ServiceError as error:
                well = False
                print(f"{name}: {error}", flush=True)
            clean(scene)
    return int(not well)


if __name__ == "__main__":
    sys.exit(main())
