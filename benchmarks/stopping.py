"""Every row of docs/stopping.md on a real Airflow: `python benchmarks/stopping.py [ROW ...]`.

While a task buys from a slow teacher, and another trains (a stand-in), something stops them. Printed for each row: calls sent later
than two seconds after it, how the calls in flight ended, whether the training saved its checkpoint and is gone, and what is tried again.
"""

import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from sqlalchemy import select

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "plugins")]

from ghostwriter.database import open_database  # noqa: E402
from ghostwriter.embedded.services import wait_until  # noqa: E402
from ghostwriter.home import Home  # noqa: E402
from ghostwriter.teacher.ledger import SendRow  # noqa: E402
from tests.stack.installation import Installation, installed  # noqa: E402
from tests.teacher_server import KEY, TeacherScript, TeacherServer  # noqa: E402

TEACHER = "answers = 3000\nconcurrency = 8\nattempts = 1"
BUYER, TRAINEE = "buyer", "trainee"
WATCHED_SECONDS, NO_CALL_AFTER = 12.0, 2.0


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
        self.each(lambda dag, run: self.world.api.delete(f"dags/{dag}/dagRuns/{run}"))

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
        return next(process for process in psutil.Process(self.world.up.pid).children() if name in process.cmdline())


ROWS: dict[str, tuple[Callable[[Scene], None], bool]] = {
    "mark failed": (Scene.mark_failed, False),
    "clear": (Scene.clear, True),
    "delete": (Scene.delete, False),
    "pause": (Scene.pause, False),
    "kill -9 of the tasks": (Scene.kill_tasks, True),
    "kill -9 of the workers": (Scene.kill_workers, True),
    "make stop, SIGTERM": (Scene.stop, True),
    "Ctrl-C": (Scene.ctrl_c, True),
    "kill -9 of the scheduler": (Scene.kill_scheduler, True),
    "kill -9 of the API server": (Scene.kill_api, True),
}
"""Each event, and whether Airflow tries again by itself (after a new start, where everything was stopped)."""


def play(scene: Scene, name: str) -> str:
    """Let one row happen; returns what was seen."""
    scene.begin()
    act, again = ROWS[name]
    pid = scene.world.trainings(event="start")[-1]["pid"]
    before, begun, stopped = sends(scene), time.monotonic(), len(scene.world.trainings(event="stopped"))
    act(scene)
    time.sleep(WATCHED_SECONDS)
    ended = scene.world.up.poll() is not None
    late = [moment for moment in scene.teacher.started if begun + NO_CALL_AFTER < moment < begun + WATCHED_SECONDS]
    after = sends(scene)
    saved = len(scene.world.trainings(event="stopped")) > stopped
    words = [
        f"{len(late)} calls after {NO_CALL_AFTER:.0f} s",
        f"in flight: {after['paid'] - before['paid']} kept, {after['perhaps_paid'] - before['perhaps_paid']} perhaps paid, "
        f"{after['in_flight']} still open",
        f"training {'saved' if saved else 'did not save'}, its process is {'there' if psutil.pid_exists(pid) else 'gone'}",
    ]
    if ended or scene.world.up.poll() is not None:
        scene.world.up.wait()
        scene.world.start()
    words.append(tries(scene, again, pid))
    return "; ".join(words)


def tries(scene: Scene, expected: bool, pid: int) -> str:
    """Whether there is a second training and a second purchase, after as long as Airflow takes to notice."""
    begun, deadline = len(scene.teacher.started), time.monotonic() + (150 if expected else 20)
    while time.monotonic() < deadline:
        trained = scene.world.trainings(event="start")[-1]["pid"] != pid
        bought = len(scene.teacher.started) > begun + 8
        if trained and bought:
            break
        time.sleep(1)
    return f"tried again: training {'yes' if trained else 'no'}, purchase {'yes' if bought else 'no'}"


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


def main(names: list[str]) -> None:
    """Print a line a row."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ghostwriter-stopping-")))
        teacher = stack.enter_context(TeacherServer(TeacherScript(latency=2.0)))
        world = stack.enter_context(installed(Home(folder / "home"), folder / "writers"))
        world.api.put_connection("teacher", "http", teacher.base_url, KEY)
        world.add_writer(BUYER, arm="distilled", teacher=TEACHER)
        world.add_writer(TRAINEE)
        world.wait_for_dags([BUYER, TRAINEE])
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
        for name in names or ROWS:
            print(f"{name}: {play(scene, name)}", flush=True)
            clean(scene)


if __name__ == "__main__":
    main(sys.argv[1:])
