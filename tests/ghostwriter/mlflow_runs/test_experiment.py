"""What a writer's experiment says of itself in MLflow."""

import base64
import json
import shutil
import zlib
from pathlib import Path

from mlflow import MlflowClient

from ghostwriter.mlflow_runs.experiment import describe_experiment, experiment_tags
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


def test_what_a_person_changed_of_an_experiment_stays(tmp_path: Path, empty_store: Path) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.create_experiment("tester", tags={"mlflow.note.content": "mine"})
    describe_experiment(client, experiment, make_writer(), "http://mlflow:5000")
    tags = client.get_experiment(experiment).tags
    assert tags["mlflow.note.content"] == "mine"
    assert {name.removeprefix("mlflow.sharedViewState.") for name in tags if "View" in name} == {"nights", "arms", "recipes", "datasets"}
