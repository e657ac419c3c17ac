"""Twenty writers on one Airflow against one: `.venv/bin/python benchmarks/twenty_writers.py [--writers 20] [--nights 3]`.

Airflow and MLflow are real, trainings are stand-ins. First one writer, then all of them: how long Airflow's processor takes for each
DAG file (the least of some parses), and how long an idle loop of the scheduler. Then the nights, each as soon as the one before has
ended: whether all news was trained on, and how many other writers' nights were under way in a writer's own. At last the page, with a
champion and twenty candidates a writer in MLflow.
"""

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "plugins")]

from ghostwriter.embedded.services import wait_until  # noqa: E402
from ghostwriter.home import Home  # noqa: E402
from tests.stack.installation import STAGES, Installation, installed  # noqa: E402
from tests.stack.planted_champions import plant_champion  # noqa: E402

LOOPS_SEEN = {"AIRFLOW__LOGGING__NAMESPACE_LEVELS": "airflow.jobs.scheduler_job_runner=DEBUG"}
IDLE_SECONDS, NIGHT_SECONDS = 40, 1_200
TRIES = 5
CANDIDATES = 20
MOST, BOUND = 1.5, ("scheduler loop", "parse of all", "page")


def measures(world: Installation, stems: Sequence[str]) -> dict[str, float]:
    """Seconds by what was measured, while nothing runs."""
    loops, parses = Log(world, "airflow-scheduler"), Log(world, "airflow-dag-processor")
    time.sleep(IDLE_SECONDS)
    found = {"scheduler loop": median(loops.numbers(r"Ran scheduling loop in ([\d.]+) ms")) / 1_000}
    text = parses.text()
    for stage in ("collect", "compare", "distill", "rollback", "train"):
        rows = re.findall(rf"dags-folder +{stage}\.py .*? (\d+) +\d+ +([\d.]+)s", text)
        found[f"parse {stage}.py"] = min(float(seconds) for dags, seconds in rows if int(dags) == len(stems))
    found["parse of all"] = sum(seconds for name, seconds in found.items() if name.startswith("parse"))
    return found


def show(one: dict[str, float], many: dict[str, float], writers: int) -> None:
    """Print a line a measure."""
    for name, took in many.items():
        print(f"{name:<20} one writer {one[name]:.3f} s, {writers} {took:.3f} s ({took / one[name]:.2f} times)", flush=True)


def page_seconds(world: Installation) -> float:
    """The least of a few tries, after one that does not count."""
    took = [world.page().elapsed.total_seconds() for _ in range(TRIES)]
    return min(took[1:])


class Log:
    """What a service writes from now on."""

    def __init__(self, world: Installation, service: str) -> None:
        self._path = world.home.path / "logs" / f"{service}.log"
        self._begin = self._path.stat().st_size

    def text(self) -> str:
        with self._path.open("rb") as file:
            file.seek(self._begin)
            return file.read().decode(errors="replace")

    def numbers(self, pattern: str) -> list[float]:
        return [float(number) for number in re.findall(pattern, self.text())]


def add(world: Installation, stems: Sequence[str]) -> None:
    """Writers whose DAGs Airflow knows."""
    for stem in stems:
        world.add_writer(stem)
    world.wait_for_dags(stems)


def night(world: Installation, stems: Sequence[str], number: int) -> None:
    """All writers' night of one date; prints how it went."""
    loops, begun, trained = Log(world, "airflow-scheduler"), time.monotonic(), len(world.trainings())
    for stem in stems:
        world.night(stem, number)
    for stem in stems:
        wait_until(lambda stem=stem: world.is_quiet(stem), NIGHT_SECONDS, f"The night of {stem}")
    time.sleep(3)
    for stem in stems:
        wait_until(lambda stem=stem: world.is_quiet(stem), NIGHT_SECONDS, f"The night of {stem}")
    took = [milliseconds / 1_000 for milliseconds in loops.numbers(r"Ran scheduling loop in ([\d.]+) ms")]
    spans = sorted(span for stem in stems if (span := span_of(world, stem)))
    beside = [sum(other[0] < end and begin < other[1] for other in spans) - 1 for begin, end in spans]
    faults = {stem: faults for stem in stems if (faults := world.faults_of(stem))}
    print(
        f"night {number}: {time.monotonic() - begun:.0f} s, {len(world.trainings()) - trained} trainings; of {len(spans)} with news "
        f"each had {median(beside):.0f} others beside it (most {max(beside)}), the first ended after {min(end for _, end in spans):.0f} s; "
        f"scheduler loop {median(took):.3f} s, the longest 5 % over {quantiles(took, n=20)[-1]:.3f} s; faults: {faults or 'none'}",
        flush=True,
    )


def span_of(world: Installation, stem: str) -> tuple[float, float] | None:
    """From when distilling began to when training ended, in seconds since the night was asked for; None without news."""
    asked = seconds(world.runs(stem, "collect")[0]["queued_at"])
    runs = {stage: [run for run in world.runs(stem, stage) if seconds(run["queued_at"]) >= asked] for stage in STAGES}
    if not runs["distill"] or not runs["train"]:
        return None
    begun = min(seconds(run["start_date"]) for run in runs["distill"])
    return begun - asked, max(seconds(run["end_date"]) for run in runs["train"]) - asked


def seconds(date: str) -> float:
    """Since the epoch."""
    return datetime.fromisoformat(date).astimezone(UTC).timestamp()


def main() -> int:
    """Print what was measured; status 1 when a loop, all parses together, or the page takes more than 1.5 times as long with many."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", type=int, default=20)
    parser.add_argument("--nights", type=int, default=3)
    chosen = parser.parse_args()
    stems = [f"writer_{number}" for number in range(chosen.writers)]
    with tempfile.TemporaryDirectory(prefix="ghostwriter-twenty-") as scratch:
        folder = Path(scratch)
        with installed(Home(folder / "home"), folder / "writers", **LOOPS_SEEN) as world:
            add(world, stems[:1])
            one = measures(world, stems[:1])
            night(world, stems[:1], 0)
            add(world, stems[1:])
            many = measures(world, stems)
            show(one, many, len(stems))
            for number in range(1, chosen.nights + 1):
                for stem in stems:
                    world.publish(stem, 1, 40 + number)
                night(world, stems, number)
            for stem in stems:
                plant_champion(world.mlflow_url, stem, CANDIDATES)
            many["page"] = page_seconds(world)
            for stem in stems[1:]:
                (world.writers / f"{stem}.toml").unlink()
            one["page"] = page_seconds(world)
            show({"page": one["page"]}, {"page": many["page"]}, len(stems))
    return int(any(many[name] > MOST * one[name] for name in BOUND))


if __name__ == "__main__":
    sys.exit(main())
