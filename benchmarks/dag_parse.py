"""What a parse of each DAG file costs, alone and among twenty writers: `.venv/bin/python benchmarks/dag_parse.py [--writers 20]`.

Each writer has 4,000 answers and sixty nights of datasets. A file is parsed as Airflow's processor does, in a fresh process that
has imported what the processor imports: read, built, serialised. Beside it what a task pays, which needs its own DAG only.
The processor's time counts, and the least of a few tries. Ends with status 1 when many writers take longer than 1.5 times one.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins")]

from ghostwriter.home import Home  # noqa: E402
from ghostwriter.snapshot import write_snapshot  # noqa: E402
from tests.distill_case import pairs  # noqa: E402

TRIES = 3
ANSWERS, NIGHTS = 4_000, 60
MOST = 1.5
STAGES = ("collect", "compare", "distill", "rollback", "train")
PROGRAM = """
import importlib, logging, sys, time, warnings
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
import structlog
from airflow.dag_processing import manager
from airflow.dag_processing.processor import DagFileParseRequest, _parse_file
from airflow.plugins_manager import _get_plugins
from airflow.sdk.definitions._internal.dag_parsing_context import _airflow_parsing_context_manager
from airflow.utils.file import iter_airflow_imports
_get_plugins()
file, folder, dag_id = sys.argv[1:4]
for module in iter_airflow_imports(file):
    importlib.import_module(module)
request = DagFileParseRequest(file=file, bundle_path=folder, bundle_name="dags-folder")
started = time.process_time()
with _airflow_parsing_context_manager(dag_id=dag_id or None):
    result = _parse_file(request, structlog.get_logger())
assert not result.import_errors, result.import_errors
print(time.process_time() - started, len(result.serialized_dags))
"""


def installation(folder: Path, writers: int) -> dict[str, str]:
    """So many writers at true size; returns the environment that leads to them."""
    first = folder / "first"
    write_snapshot(first / "answers", "answers", "w", {"answers.jsonl": pairs(ANSWERS)})
    for night in range(NIGHTS):
        write_snapshot(first / "datasets", "dataset", "w", {"direct.jsonl": [{"id": night}]})
    text = (ROOT / "writers" / "lamplight.toml").read_text()
    (folder / "writers").mkdir()
    home = Home(folder / "home")
    for number in range(writers):
        (folder / "writers" / f"writer_{number}.toml").write_text(text)
        for made, place in (("answers", home.answers(f"writer_{number}")), ("datasets", home.datasets(f"writer_{number}"))):
            shutil.copytree(first / made, place)
    return {"GHOSTWRITER_HOME": str(home.path), "GHOSTWRITER_WRITERS": str(folder / "writers"), "AIRFLOW_HOME": str(folder / "airflow")}


def parse(path: Path, environment: dict[str, str], dag_id: str = "") -> tuple[float, int]:
    """Seconds of the processor's time, and how many DAGs came of it: of the whole file, or for a task of one DAG."""
    paths = {"PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}", "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins")}
    settings = {**paths, "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    command = [sys.executable, "-c", PROGRAM, str(path), str(path.parent), dag_id]
    done = [
        subprocess.run(command, env={**os.environ, **settings, **environment}, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(TRIES)
    ]
    return min(float(words[-2]) for words in done), int(done[0][-1])


def main() -> int:
    """Print a line a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", type=int, default=20)
    writers = parser.parse_args().writers
    worst = 0.0
    with tempfile.TemporaryDirectory(prefix="ghostwriter-parse-") as scratch:
        places = {number: Path(scratch) / str(number) for number in (1, writers)}
        for place in places.values():
            place.mkdir()
        environments = {number: installation(place, number) for number, place in places.items()}
        for stage in STAGES:
            path = ROOT / "dags" / f"{stage}.py"
            one, _ = parse(path, environments[1])
            many, dags = parse(path, environments[writers])
            task, built = parse(path, environments[writers], f"writer_0_{stage}")
            worst = max(worst, many / one)
            print(f"{path.name:<12} of one writer {one:.3f} s, of {dags} {many:.3f} s ({many / one:.2f} times), for a task {task:.3f} s")
            assert (dags, built) == (writers, 1)
    return int(worst > MOST)


if __name__ == "__main__":
    sys.exit(main())
