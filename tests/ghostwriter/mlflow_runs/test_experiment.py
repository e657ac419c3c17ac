"""What a writer's experiment says of itself in MLflow."""

import base64
import json
import shutil
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from mlflow import MlflowClient

from ghostwriter.mlflow_runs.experiment import describe_experiment, experiment_of, experiment_tags
from tests.distill_case import make_writer


def test_an_experiment_says_what_it_holds_and_has_views_of_it() -> None:
    tags = experiment_tags("7", make_writer(), "http://mlflow:5000")
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert (
        "[Arms: who answered how well](http://mlflow:5000/#/experiments/7/runs?workflowType=machine_learning&viewStateShareKey=arms)"
        in tags["mlflow.note.content"]
    )
    view = json.loads(tags["mlflow.sharedViewState.arms"])
    state = json.loads(zlib.decompress(base64.b64decode(view["state"].removeprefix("deflate;"))))
    assert (view["name"], state["searchFilter"]) == ("Arms: who answered how well", "tags.`ghostwriter.kind` = 'arm'")
    assert state["selectedColumns"][:2] == ["metrics.`style`", "metrics.`heldout_loss_nats_per_token`"]


def test_two_tasks_of_a_first_night_make_and_describe_the_experiment_at_once(tmp_path: Path, empty_store: Path) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    tasks, experiments = 6, 4
    together = Barrier(tasks)

    def begin(task: int) -> set[str]:
        client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
        found = set()
        for number in range(experiments):
            together.wait(60)
            found.add(experiment := experiment_of(client, f"tester {number}"))
            together.wait(60)
            describe_experiment(client, experiment, make_writer(), "http://mlflow:5000")
        return found

    with ThreadPoolExecutor(tasks) as pool:
        found = set().union(*pool.map(begin, range(tasks)))
    assert len(found) == experiments
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert all(set(client.get_experiment(one).tags) >= set(experiment_tags(one, make_writer(), "")) for one in found)


def test_what_a_person_changed_of_an_experiment_stays(tmp_path: Path, empty_store: Path) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.create_experiment("tester", tags={"mlflow.note.content": "mine"})
    describe_experiment(client, experiment, make_writer(), "http://mlflow:5000")
    tags = client.get_experiment(experiment).tags
    assert tags["mlflow.note.content"] == "mine"
    assert {name.removeprefix("mlflow.sharedViewState.") for name in tags if "View" in name} == {"nights", "arms", "recipes", "datasets"}
