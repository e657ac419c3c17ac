"""`kubernetes_check`: a GPU stage on the request that CHECK_REQUEST names, and a task that reads its result."""

import json
import os
from pathlib import Path

from airflow.sdk import dag, task

from ghostwriter.launchers.stages import stage_task


@dag
def kubernetes_check() -> None:
    trained = stage_task("train", os.environ["CHECK_REQUEST"])

    @task
    def read(outcome: dict[str, str]) -> int:
        return int(json.loads((Path(outcome["run_folder"]) / "result.json").read_text())["steps"])

    read(trained.output)


kubernetes_check()
