"""A DAG with a GPU stage through Airflow's own task runner: deferred, resumed, its result handed to the next task."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.kubernetes.conftest import ROOT, Bench

DAGS = Path(__file__).with_name("dags")
PROGRAM = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
run = DagBag(sys.argv[1]).dags["kubernetes_check"].test()
print(json.dumps({instance.task_id: instance.state for instance in run.get_task_instances()}))
"""


def test_the_next_task_gets_what_the_stage_returned(bench: Bench, tmp_path: Path) -> None:
    request = bench.request("run", epochs=1)
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}",
        "CHECK_REQUEST": str(request.run_folder / "request.json"),
    }

    def python(*arguments: str) -> str:
        done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    python("-m", "airflow", "db", "migrate")
    said = python("-c", PROGRAM, str(DAGS))
    assert json.loads(said.splitlines()[-1]) == {"train": "success", "read": "success"}, said[-6000:]
    assert len(bench.cluster.made) == 1
    assert bench.cluster.pods == {}
