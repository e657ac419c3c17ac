"""A real MLflow store with a writer's experiment, and adapters to promote in it."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from ghostwriter.home import Home
from ghostwriter.judging.moves import CHAMPION, PREVIOUS
from ghostwriter.judging.promote import ADAPTER_FILE, alias_version, promote
from ghostwriter.writer import Writer, load_writer

NAME = "ghostwriter-lamplight"


@pytest.fixture
def writer() -> Writer:
    return load_writer("lamplight")


@pytest.fixture
def client(tmp_path: Path, empty_store: Path) -> MlflowClient:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
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


def promoted(client: MlflowClient, home: Home, writer: Writer, folder: Path, weights: bytes) -> str:
    """Promote over whatever is the champion now."""
    run_id, adapter = trained(client, folder, weights)
    champion = alias_version(client, "lamplight", CHAMPION)
    against = str(champion.version) if champion else None
    tags, numbers = {"base": "b"}, {"scores": {"style": 0.5}}
    return promote(client, home, writer, run_id, adapter, tags, champion=against, who="me", why="better", numbers=numbers)


def versions(client: MlflowClient) -> dict[str, str | None]:
    found = {alias: alias_version(client, "lamplight", alias) for alias in (CHAMPION, PREVIOUS)}
    return {alias: str(version.version) if version else None for alias, version in found.items()}
