"""`kill_check` and `kill_check_in_time`: trainings that go on until they are killed, without and with a time limit."""

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from ghostwriter.home import Home
from ghostwriter.launchers.stages import stage_task
from training.contract import REQUEST_FILE, TrainRequest, load_recipe, write_json

LIMIT_SECONDS = 25
FORM = {"seed": Param(0, type="integer")}
EPOCHS = 20
"""More than three thousand steps."""


def kill_check(name: str, limit: timedelta | None) -> None:
    """A request of its own for each seed, on the demo's dataset; one row of work a step, a checkpoint after each."""

    @dag(dag_id=name, schedule=None, params=FORM, is_paused_upon_creation=False)
    def killed() -> None:
        @task
        def plan(*, params: dict[str, Any]) -> str:
            home = Home.default()
            dataset = next(home.datasets("lamplight").glob("*/manifest.json")).parent
            recipe = load_recipe("container-check").model_copy(update={"seed": params["seed"], "epochs": EPOCHS, "max_steps": None})
            run_folder = home.runs("kill_check") / str(params["seed"])
            run_folder.mkdir(parents=True, exist_ok=True)
            request = TrainRequest(run_folder=run_folder, dataset=dataset, arm="direct", recipe=recipe, models=home.models)
            write_json(request, run_folder / REQUEST_FILE)
            return str(run_folder / REQUEST_FILE)

        train = stage_task("train", plan())
        train.execution_timeout = limit
        if limit:
            train.retries = 0

    killed()


for name, limit in {"kill_check": None, "kill_check_in_time": timedelta(seconds=LIMIT_SECONDS)}.items():
    kill_check(name, limit)
