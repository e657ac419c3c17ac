"""An S3 server, a home folder as on the Airflow side, and stages on machines that share nothing with it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.child import Child
from tests.training.conftest import recipe, write_dataset
from tests.training.remote.s3_server import Bucket, s3_server
from training.contract import REQUEST_FILE, TrainRequest, write_json

RUN, DATASET, BASE = "runs/writer/one", "datasets/writer/one", "models/tiny-random-qwen2"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with s3_server(tmp_path_factory.mktemp("s3")) as bucket:
        yield bucket


@pytest.fixture
def bucket(server: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """The bucket, empty."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    server.empty()
    yield server


@pytest.fixture
def home(tmp_path: Path, models: Path) -> Path:
    """A home folder as on the Airflow side, with a dataset and a base model."""
    home = tmp_path / "home"
    write_dataset(home / DATASET, direct=20, heldout=10)
    shutil.copytree(models / "tiny-random-qwen2", home / BASE)
    return home


def ask_training(home: Path, **changes: object) -> Path:
    """The path of a written request."""
    run_folder = home / RUN
    run_folder.mkdir(parents=True)
    made = recipe(**changes)
    request = TrainRequest(run_folder=run_folder, dataset=home / DATASET, arm="direct", recipe=made, models=home / "models")
    write_json(request, run_folder / REQUEST_FILE)
    return run_folder / REQUEST_FILE


def start(stage: str, request: Path, home: Path, bucket: Bucket) -> Child:
    """The stage as a process on a machine with an empty home: whatever was there before is gone."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    said = home.with_name("said.txt")
    return Child(said, stage, request, "--data-url", bucket.url, environment={**bucket.environment, "GHOSTWRITER_HOME": str(home)})
