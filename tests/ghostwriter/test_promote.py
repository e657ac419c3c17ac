"""Promotion and roll back on a real MLflow store."""

import json
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from ghostwriter.errors import PromotionError
from ghostwriter.home import Home
from ghostwriter.pipeline_run import child, close_run, open_run
from ghostwriter.promote import ADAPTER_FILE, CHAMPION, PREVIOUS, alias_version, fetch_champion, promote, roll_back
from ghostwriter.writer import Writer, load_writer


@pytest.fixture
def writer() -> Writer:
    return load_writer("lamplight")


@pytest.fixture
def client(tmp_path: Path) -> MlflowClient:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri)
    client.create_experiment("lamplight", artifact_location=str(tmp_path / "artifacts"))
    return client


def trained(client: MlflowClient, folder: Path, weights: bytes) -> tuple[str, Path]:
    """An adapter folder and the run that logged it."""
    adapter = folder / weights.decode()
    adapter.mkdir(parents=True)
    (adapter / ADAPTER_FILE).write_bytes(weights)
    (adapter / "adapter_config.json").write_text("{}")
    experiment = client.get_experiment_by_name("lamplight")
    assert experiment
    run_id = client.create_run(experiment.experiment_id).info.run_id
    client.log_artifacts(run_id, str(adapter), "adapter")
    return run_id, adapter


def promoted(client: MlflowClient, writer: Writer, folder: Path, weights: bytes) -> str:
    run_id, adapter = trained(client, folder, weights)
    return promote(client, writer, run_id, adapter, {"base": "b"}, who="me", why="better")


def versions(client: MlflowClient) -> dict[str, str | None]:
    found = {alias: alias_version(client, "lamplight", alias) for alias in (CHAMPION, PREVIOUS)}
    return {alias: str(version.version) if version else None for alias, version in found.items()}


def test_there_is_no_champion_before_the_first(client: MlflowClient, tmp_path: Path) -> None:
    assert fetch_champion(client, Home(tmp_path), "lamplight") is None


def test_a_promotion_moves_both_aliases_and_is_recorded(client: MlflowClient, writer: Writer, tmp_path: Path) -> None:
    assert promoted(client, writer, tmp_path, b"one") == "1"
    assert versions(client) == {CHAMPION: "1", PREVIOUS: None}
    assert promoted(client, writer, tmp_path, b"two") == "2"
    assert versions(client) == {CHAMPION: "2", PREVIOUS: "1"}
    moves = [json.loads(move) for _, move in sorted(client.get_registered_model("ghostwriter-lamplight").tags.items())]
    assert [(move["who"], move["from"], move["to"], move["why"]) for move in moves] == [
        ("me", None, "1", "better"),
        ("me", "1", "2", "better"),
    ]


def test_promoting_the_same_adapter_again_changes_nothing(client: MlflowClient, writer: Writer, tmp_path: Path) -> None:
    run_id, adapter = trained(client, tmp_path, b"one")
    for _ in range(2):
        assert promote(client, writer, run_id, adapter, {}, who="me", why="better") == "1"
    assert len(client.get_registered_model("ghostwriter-lamplight").tags) == 1


def test_the_champion_comes_back_byte_for_byte(client: MlflowClient, writer: Writer, tmp_path: Path) -> None:
    promoted(client, writer, tmp_path, b"one")
    found = fetch_champion(client, Home(tmp_path / "home"), "lamplight")
    assert found
    name, folder = found
    assert name == "champion-v1"
    assert (folder / ADAPTER_FILE).read_bytes() == b"one"
    (folder / ADAPTER_FILE).write_bytes(b"damaged")
    fetch_champion(client, Home(tmp_path / "home"), "lamplight")
    assert (folder / ADAPTER_FILE).read_bytes() == b"one"


def test_rolling_back_twice_ends_where_it_began(client: MlflowClient, writer: Writer, tmp_path: Path) -> None:
    promoted(client, writer, tmp_path, b"one")
    promoted(client, writer, tmp_path, b"two")
    assert roll_back(client, "lamplight", "me", "it loops") == "1"
    assert versions(client) == {CHAMPION: "1", PREVIOUS: "2"}
    assert roll_back(client, "lamplight", "me", "it did not") == "2"


def test_rolling_back_without_a_previous_champion_is_refused(client: MlflowClient, writer: Writer, tmp_path: Path) -> None:
    with pytest.raises(PromotionError, match="has no champion to roll back to"):
        roll_back(client, "lamplight", "me", "why")
    promoted(client, writer, tmp_path, b"one")
    with pytest.raises(PromotionError, match="has no previous champion"):
        roll_back(client, "lamplight", "me", "why")


def test_one_airflow_run_has_one_mlflow_run_with_a_true_status(client: MlflowClient, writer: Writer) -> None:
    run_id = open_run(client, writer.stem, "a night", "lamplight_train/manual__1", "http://airflow/run")
    close_run(client, run_id, succeeded=False)
    assert client.get_run(run_id).info.status == "FAILED"
    assert open_run(client, writer.stem, "a night", "lamplight_train/manual__1", "http://airflow/run") == run_id
    assert client.get_run(run_id).info.status == "RUNNING"
    assert open_run(client, writer.stem, "a night", "lamplight_train/manual__2", "http://airflow/run") != run_id
    assert child(writer, "http://mlflow", run_id, "train").parent_run_id == run_id
