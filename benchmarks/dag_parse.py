"""How long each DAG file takes to parse beyond Airflow's own import: `.venv/bin/python benchmarks/dag_parse.py`.

Each file is read in a fresh process that has imported what Airflow imports to parse any DAG; the least of a few tries counts.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TRIES = 3
LIMIT_SECONDS = 0.5
PROGRAM = """
import runpy, sys, time, warnings
warnings.simplefilter("ignore")
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import CronTriggerTimetable, dag, task
dag(dag_id="warm_up", schedule=CronTriggerTimetable("0 3 * * *", timezone="UTC"))(lambda: None)()
started = time.process_time()
runpy.run_path(sys.argv[1])
print(time.process_time() - started)
"""


def seconds(path: Path) -> float:
    """Of one parse, of the processor's time: what else the machine does counts less."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}", "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    done = subprocess.run([sys.executable, "-c", PROGRAM, path], env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    """Print a line a file, and end with status 1 when one takes longer than the limit."""
    least = {path.name: min(seconds(path) for _ in range(TRIES)) for path in sorted((ROOT / "dags").glob("*.py"))}
    for name, took in least.items():
        print(f"{name:<20} {took:6.3f} s")
    sys.exit(max(least.values()) > LIMIT_SECONDS)


if __name__ == "__main__":
    main()
