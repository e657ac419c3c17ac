"""Random processes of the embedded stack are killed while it works: `.venv/bin/python benchmarks/kills.py [--kills 50] [--seed 1]`.

Two writers, one who buys from a teacher and one whose training lasts, have nights with news. During each some processes are ended
by kill -9: `up`, MLflow, a component of Airflow, a worker, a task, a training. What ended everything is started again, as a person
would, and nothing else is done: the night must end by itself, with the newest answers trained on once, and no answer paid for twice.

A new start takes half a minute on two quiet cores, fifty kills the better part of an hour (training/LOG.md).
"""

import argparse
import random
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
import requests
from sqlalchemy import func, select

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "plugins")]

from benchmarks.parts.buyer_and_trainee import BUYER, TRAINEE, buyer_and_trainee  # noqa: E402
from ghostwriter.database import open_database  # noqa: E402
from ghostwriter.errors import ServiceError  # noqa: E402
from ghostwriter.teacher.ledger import SendRow  # noqa: E402
from tests.stack.installation import QUIET_LOOKS, STAGES, Installation  # noqa: E402

STEMS = (BUYER, TRAINEE)
CONCURRENCY = 4
TEACHER = f"answers = 30\nconcurrency = {CONCURRENCY}"
KILLS_A_NIGHT = 5
PATIENCE, ENDED_SECONDS = 900.0, 150.0
"""Five starts of everything take 40 s each beside other work. A task that is struck twice waits twice for Airflow to miss its heartbeat
(a minute each) and then to be tried again (a minute, two minutes): 500 s in which nothing is wrong."""


class Killer:
    """Kills processes of one installation, drawn from a seed."""

    def __init__(self, world: Installation, seed: int) -> None:
        self._world, self._random = world, random.Random(seed)
        self.killed: Counter[str] = Counter()

    def strike(self) -> None:
        """Wait a little, kill one process of all there are, and start everything again when that has ended it."""
        time.sleep(self._random.uniform(0, 6))
        up = psutil.Process(self._world.up.pid)
        with suppress(psutil.NoSuchProcess):
            victim = self._random.choice([up, *sorted(up.children(recursive=True), key=lambda process: process.pid)])
            kind = self._kind(victim, up)
            victim.kill()
            self.killed[kind] += 1
            print(f"killed: {kind}", flush=True)
            time.sleep(2)
            if kind in ("up", "component"):
                self._world.up.wait(ENDED_SECONDS)
        self.revive()

    def revive(self) -> None:
        """Start everything again, if it has ended: all that a person does here."""
        if self._world.up.poll() is not None:
            self._world.start()

    def wait(self, stem: str) -> str | None:
        """Until the writer's night has ended, whatever ends meanwhile; returns what is wrong when it does not."""
        deadline, quiet = time.monotonic() + PATIENCE, 0
        while time.monotonic() < deadline:
            self.revive()
            try:
                quiet = quiet + 1 if self._world.is_quiet(stem) else 0
            except (ServiceError, requests.RequestException):
                quiet = 0
            if quiet == QUIET_LOOKS:
                return None
            time.sleep(1)
        return f"the night of {stem} did not end in {PATIENCE:.0f} s: {self._states(stem)}"

    def _states(self, stem: str) -> dict[str, str]:
        """Runs and tasks that have not ended, with their states."""
        api, found = self._world.api, {}
        for run in [run for stage in STAGES for run in self._world.runs(stem, stage) if run["state"] in ("running", "queued")]:
            tasks = api.tasks(run["dag_id"], run["dag_run_id"])
            waiting = [f"{task['task_id']} {task['state']}" for task in tasks if task["state"] not in ("success", "skipped", "failed")]
            found[run["dag_run_id"]] = f"{run['dag_id']} {run['state']}: {', '.join(waiting)}"
        return found

    @staticmethod
    def _kind(process: psutil.Process, up: psutil.Process) -> str:
        line = " ".join(process.cmdline())
        if process.pid == up.pid:
            return "up"
        if "fake_stage" in line:
            return "training"
        if process.ppid() == up.pid:
            return "component"
        if "airflow worker" in line:
            return "worker" if "LocalExecutor" in line else "task"
        return "part of a component"


def night(killer: Killer, world: Installation, number: int, kills: int) -> list[str]:
    """A night with news and so many kills; returns what is wrong after it."""
    for stem in STEMS:
        world.publish(stem, 1, 40 + number)
        world.night(stem, number)
    for _ in range(kills):
        killer.strike()
    return [fault for stem in STEMS if (fault := killer.wait(stem))]


def bought_twice(world: Installation) -> int:
    """Answers that were paid for more than once; a call that was in flight at a kill stands as perhaps paid, and is no answer."""
    paid = select(func.count(), func.count(SendRow.key.distinct())).where(SendRow.state == "paid")
    with open_database(world.home.database_url).connect() as connection:
        sent, answers = connection.execute(paid).one()
    return int(sent - answers)


def main() -> int:
    """Print a line a kill and a night; status 1 when a night did not end by itself, or the free night after all found something left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no night is begun after so many")
    chosen = parser.parse_args()
    begun, bad = time.monotonic(), 0
    with buyer_and_trainee(TEACHER, latency=1.0) as (world, _):
        world.set_stages(TRAINEE, seconds=5)
        killer, number = Killer(world, chosen.seed), 0
        while killer.killed.total() < chosen.kills and time.monotonic() < begun + chosen.seconds:
            started = time.monotonic()
            faults = night(killer, world, number, min(KILLS_A_NIGHT, chosen.kills - killer.killed.total()))
            bad += bool(faults)
            left = {stem: found for stem in STEMS if (found := world.faults_of(stem))}
            took = time.monotonic() - started
            seen = ", ".join(f"{count} of {kind}" for kind, count in killer.killed.items())
            print(
                f"night {number}: {took:.0f} s; kills so far: {seen}; {faults or 'ended by itself'}; left: {left or 'nothing'}", flush=True
            )
            number += 1
        for stem in STEMS:
            killer.revive()
            world.night(stem, number)
            bad += bool(killer.wait(stem))
        left = {stem: found for stem in STEMS if (found := world.faults_of(stem))}
        twice = bought_twice(world)
    print(
        f"{killer.killed.total()} kills in {number} nights, {time.monotonic() - begun:.0f} s; {bad} did not end by themselves; "
        f"after a free night is left: {left or 'nothing'}; answers paid for twice: {twice}"
    )
    return int(bool(bad or left or twice))


if __name__ == "__main__":
    sys.exit(main())
