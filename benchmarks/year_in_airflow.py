"""Nights of two writers through the real Airflow, then housekeeping: `python -m benchmarks.year_in_airflow [--nights 20]`.

Each night has news, and is collected, distilled and trained on (by a stand-in) before the next; what it wrote is then made as old
as its night. Housekeeping runs from its form, dry and in earnest, and one night follows. Printed: what each night took, and the
page, the parse of all DAGs, folders, versions of DAGs and Airflow's database before and after. Status 1 when a night left something
wrong, a dry run touched something, or a DAG has more than one version.
"""

import argparse
import sqlite3
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from benchmarks.year import age, parse_seconds
from ghostwriter.home import Home
from tests.stack.installation import Installation, installed

STEMS = ("small", "other")
FIRST_ANSWERS = 40
PATIENCE = 600.0


class Nights:
    """Both writers' nights in one installation."""

    def __init__(self, world: Installation, nights: int, days: int) -> None:
        self._world, self._nights, self._days, self._aged = world, nights, days, set[Path]()

    def pass_one(self, number: int) -> float:
        """A night with news; returns its seconds."""
        began = time.monotonic()
        for stem in STEMS:
            self._world.publish(stem, 1, FIRST_ANSWERS + number)
            self._world.night(stem, number)
        for stem in STEMS:
            self._world.wait_quiet(stem, PATIENCE)
        for folder in set(self.folders()) - self._aged:
            age(folder, datetime.now(UTC) - timedelta(days=self._days * (self._nights - number)))
            self._aged.add(folder)
        return time.monotonic() - began

    def folders(self) -> list[Path]:
        """Snapshots, datasets and run folders of both."""
        kinds = (self._world.home.answers, self._world.home.datasets, self._world.home.runs)
        parents = [kind(stem) for kind in kinds for stem in STEMS]
        return [each for parent in parents if parent.exists() for each in parent.iterdir() if each.is_dir()]

    def housekeeping(self, *, dry_run: bool) -> str:
        """Run the DAG from its form; returns how it ended."""
        run = self._world.api.trigger("housekeeping", {"dry_run": dry_run})
        return self._world.api.wait_finished("housekeeping", run, PATIENCE)

    def told(self) -> str:
        """What may not grow."""
        database = self._world.home.path / "airflow" / "airflow.db"
        began = time.monotonic()
        self._world.page()
        page, parse = time.monotonic() - began, parse_seconds(self._world.home.path, self._world.writers)
        size = database.stat().st_size / 2**20
        return f"page {page:.2f} s, parse {parse:.2f} s of processor, {len(self.folders())} folders, Airflow's database {size:.1f} MiB"

    def versions(self) -> dict[str, int]:
        """How many versions Airflow keeps of each DAG."""
        with sqlite3.connect(f"file:{self._world.home.path / 'airflow' / 'airflow.db'}?mode=ro", uri=True) as connection:
            return dict(connection.execute("SELECT dag_id, COUNT(*) FROM dag_version GROUP BY dag_id").fetchall())


def live(world: Installation, number: int, days: int) -> list[str]:
    """All nights and housekeeping, told as they pass; returns what is wrong."""
    nights, times, faults = Nights(world, number, days), [], []
    print(f"before: {nights.told()}", flush=True)
    for each in range(number):
        times.append(nights.pass_one(each))
        print(f"night {each + 1}: {times[-1]:.0f} s, most versions of a DAG {max(nights.versions().values())}", flush=True)
    print(f"after: {nights.told()}; a night {median(times[1:6]):.0f} s at first, {median(times[-5:]):.0f} s at last", flush=True)
    faults += [f"{stem}: {fault}" for stem in STEMS for fault in world.faults_of(stem)]
    before = sorted(nights.folders())
    ended = [nights.housekeeping(dry_run=True)]
    if sorted(nights.folders()) != before:
        faults.append("the dry run touched something")
    ended.append(nights.housekeeping(dry_run=False))
    if ended != ["success", "success"]:
        faults.append(f"housekeeping ended {ended}")
    print(f"after housekeeping: {nights.told()}", flush=True)
    nights.pass_one(number)
    faults += [f"{stem} trained {len(done)} times" for stem in STEMS if len(done := world.trainings(stem)) != number + 1]
    return faults + [f"{dag} has {count} versions" for dag, count in nights.versions().items() if count > 1]


def main() -> int:
    """Print the figures; status 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=20)
    parser.add_argument("--days", type=int, default=1, help="between two nights; of more, fewer nights grow old")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ghostwriter-year-") as scratch:
        folder = Path(scratch)
        (folder / "writers").mkdir()
        with installed(Home(folder / "home"), folder / "writers") as world:
            for stem in STEMS:
                world.add_writer(stem, answers=FIRST_ANSWERS)
            world.wait_for_dags(STEMS)
            faults = live(world, chosen.nights, chosen.days)
    print("; ".join(faults) or "Nothing is wrong.")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
