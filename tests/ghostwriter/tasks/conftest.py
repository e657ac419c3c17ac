"""MLflow's store and a writer, for the tests of the training DAG's tasks."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from ghostwriter.writer import Writer, load_writer
from ghostwriter.writer_settings import Gate


@pytest.fixture
def client(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("GHOSTWRITER_HOME", str(tmp_path / "home"))
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    client.create_experiment("lamplight", artifact_location=str(tmp_path / "artifacts"))
    return client


@pytest.fixture
def writer() -> Writer:
    return load_writer("lamplight").model_copy(update={"gate": Gate()})
