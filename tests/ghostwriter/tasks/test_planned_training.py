"""What the training DAG's tasks train on: the newest dataset once, and after a clearing what the run began with."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from mlflow import MlflowClient

from ghostwriter.home import ROOT, Home
from ghostwriter.snapshot import write_snapshot
from ghostwriter.tasks import stages
from ghostwriter.tasks.chain import mark_trained
from ghostwriter.writer import Writer
from tests.ghostwriter.tasks.finished_night import new_run
from training.contract import Tracking, TrainRequest


def test_a_training_run_is_tagged_with_the_code_that_trains_it(
    client: MlflowClient, writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: dict[str, list[dict[str, object]]] = {"direct.jsonl": [{"id": "a"}], "distilled.jsonl": [{"id": "b"}]}
    dataset = write_snapshot(tmp_path, "dataset", "lamplight", files, facts={"mode": "distilled"})
    monkeypatch.setenv("GHOSTWRITER_IMAGE", "training@sha256:1")
    request = TrainRequest.model_validate_json(Path(stages.plan_arm(writer, dataset, "distilled", "tiny", "run")).read_bytes())
    assert isinstance(request.tracking, Tracking)
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert request.tracking.tags["ghostwriter.commit"].removesuffix("-dirty") == commit
    assert request.tracking.tags["ghostwriter.image"] == "training@sha256:1"
    assert request.run_folder.parent == Home.default().runs("lamplight")


def test_a_woken_run_takes_the_newest_dataset_once(client: MlflowClient, writer: Writer, tmp_path: Path) -> None:
    datasets = Home.default().datasets("lamplight")
    older, newer = (
        write_snapshot(datasets, "dataset", "lamplight", {"direct.jsonl": [{"id": text}]}, parents=(text,)) for text in ("a", "b")
    )
    woken, by_hand = (SimpleNamespace(run_type=kind, dag_id="lamplight_train", run_id="1") for kind in ("asset_triggered", "manual"))
    assert stages.dataset_to_train(writer, None, woken) == newer
    mark_trained(newer, "run")
    with pytest.raises(AirflowSkipException, match=f"{newer} was trained on already"):
        stages.dataset_to_train(writer, None, woken)
    assert stages.dataset_to_train(writer, None, by_hand) == newer
    assert stages.dataset_to_train(writer, str(older), by_hand) == older


def test_a_run_that_is_cleared_works_on_what_it_trained_on(client: MlflowClient, writer: Writer) -> None:
    dataset = write_snapshot(Home.default().datasets("lamplight"), "dataset", "lamplight", {"direct.jsonl": [{"id": "a"}]}, parents=("a",))
    cleared, another = (SimpleNamespace(run_type="asset_triggered", dag_id="lamplight_train", run_id=name) for name in ("1", "2"))
    mark_trained(dataset, new_run(client, **{"ghostwriter.airflow_run": "lamplight_train/1"}))
    assert stages.dataset_to_train(writer, None, cleared) == dataset
    with pytest.raises(AirflowSkipException, match="was trained on already"):
        stages.dataset_to_train(writer, None, another)


def test_what_an_earlier_version_trained_on_is_known_from_its_mlflow_run(client: MlflowClient, writer: Writer) -> None:
    dataset = write_snapshot(Home.default().datasets("lamplight"), "dataset", "lamplight", {"direct.jsonl": [{"id": "a"}]}, parents=("a",))
    woken = SimpleNamespace(run_type="asset_triggered", dag_id="lamplight_train", run_id="1")
    run_id = new_run(client, **{"ghostwriter.kind": "candidate"})
    for name, value in {"dataset": dataset.name, "arm": writer.training.arm, "recipe": writer.training.recipe}.items():
        client.log_param(run_id, name, value)
    assert stages.dataset_to_train(writer, None, woken) == dataset
    client.set_terminated(run_id)
    with pytest.raises(AirflowSkipException, match="was trained on already"):
        stages.dataset_to_train(writer, None, woken)
    assert json.loads((dataset / "trained.json").read_text())["mlflow_run"] == run_id


def test_a_cleared_run_that_finds_a_newer_dataset_has_an_mlflow_run_of_its_own(
    client: MlflowClient, writer: Writer, tmp_path: Path
) -> None:
    """MLflow refuses to change a parameter, so the first would have failed for good."""
    files: dict[str, list[dict[str, object]]] = {"direct.jsonl": [{"id": "a"}], "distilled.jsonl": [{"id": "b"}]}
    datasets = [
        write_snapshot(tmp_path, "dataset", "lamplight", {**files, "heldout.jsonl": [{"id": text}]}, facts={"mode": "distilled"})
        for text in ("one", "two")
    ]
    airflow_run = SimpleNamespace(dag_id="lamplight_train", run_id="r", run_after=datetime(2026, 1, 1, tzinfo=UTC))
    first, second, again = (stages.plan_training(writer, datasets[n], "distilled", "tiny", airflow_run)["run_id"] for n in (0, 1, 1))
    assert first != second == again
    assert [client.get_run(run).data.params["dataset"] for run in (first, second)] == [folder.name for folder in datasets]
