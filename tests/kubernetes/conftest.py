"""A cluster whose pods are real containers of the real training image, and requests for a tiny model to run on it."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ghostwriter.launchers.kubernetes import stage as kubernetes_stage
from ghostwriter.launchers.kubernetes.stage import KubernetesStageOperator
from ghostwriter.launchers.local import training_python
from ghostwriter.launchers.stages import stage_operator
from tests.kubernetes.api_server import ApiServer
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.containers import ContainerNode, docker
from training.contract import Recipe, TrainRequest, load_recipe, write_json

ROOT = Path(__file__).parents[2]
USER = 10001
LONG = 4000
"""Epochs that no test waits for."""


class Bench:
    """A home folder that the cluster's claim is, the cluster, and its API."""

    def __init__(self, home: Path, server: ApiServer) -> None:
        self.home, self.server, self.cluster = home, server, server.cluster

    def request(self, name: str, **changes: Any) -> TrainRequest:
        """Write a training request for the tiny model."""
        recipe = Recipe.model_validate({**load_recipe("tiny").model_dump(), "log_steps": 1, **changes})
        folder = self.home / name
        folder.mkdir()
        dataset = self.home / "dataset"
        asked = TrainRequest(run_folder=folder, dataset=dataset, arm="direct", recipe=recipe, models=self.home / "models")
        write_json(asked, folder / "request.json")
        give(folder)
        return asked

    def maker(self, request: TrainRequest) -> Callable[[], KubernetesStageOperator]:
        """What makes the operator, as a new process does."""

        def make() -> KubernetesStageOperator:
            operator = stage_operator("train")(task_id="train", stage="train", request=str(request.run_folder / "request.json"))  # type: ignore[call-arg]
            assert isinstance(operator, KubernetesStageOperator)
            return operator

        return make

    @property
    def pod(self) -> dict[str, Any]:
        """The one pod there is."""
        (pod,) = self.cluster.pods.values()
        return pod

    @property
    def logs_read(self) -> int:
        """How often a pod's log was asked for."""
        return sum(path.endswith("/log") for _, path, _ in self.server.calls)

    def inspect(self) -> dict[str, Any]:
        """The pod's container."""
        (container,) = json.loads(docker("inspect", ContainerNode.name_of(self.pod)))
        return dict(container)


def steps_done(request: TrainRequest) -> int:
    """Steps whose loss the training has told."""
    path = request.run_folder / "outbox.jsonl"
    return path.read_text().count('"train/loss"') if path.exists() else 0


def until(there: Callable[[], Any], what: str, seconds: float = 120) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline, f"{what}: not in {seconds:.0f} s"
        time.sleep(0.05)


def give(folder: Path) -> None:
    """Let the training's user write, as fsGroup does for a claim."""
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, USER, USER)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny model."""
    folder = tmp_path_factory.mktemp("models") / "tiny-random-qwen2"
    subprocess.run([training_python(), ROOT / "tests" / "tiny_model.py", folder], check=True, capture_output=True)
    return folder.parent


def write_dataset(folder: Path) -> None:
    """20 pairs to train on, 4 held out."""
    folder.mkdir()
    rows = [
        {"messages": [{"role": "user", "content": f"Why {number}?"}, {"role": "assistant", "content": f"The lamp, {number} times."}]}
        for number in range(24)
    ]
    for name, part in (("direct.jsonl", rows[:20]), ("heldout.jsonl", rows[20:])):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in part))


@pytest.fixture
def bench(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    home = tmp_path / "home"
    home.mkdir()
    write_dataset(home / "dataset")
    shutil.copytree(models, home / "models")
    give(home)
    image = os.environ.get("TRAINING_IMAGE") or "ghostwriter-training"
    node = ContainerNode(
        tmp_path, {"ghostwriter-home": home}, {"mlflow-login": {"netrc": "machine mlflow login pipeline password seeded-9c1d\n"}}
    )
    settings = {
        "GHOSTWRITER_LAUNCHER": "kubernetes",
        "GHOSTWRITER_TRAINING_IMAGE": image,
        "GHOSTWRITER_K8S_NAMESPACE": "training",
        "GHOSTWRITER_DATA_CLAIM": "ghostwriter-home",
        "GHOSTWRITER_NETRC_SECRET": "mlflow-login",
        "GHOSTWRITER_TRAINING_MEMORY": "2Gi",
        "GHOSTWRITER_TRAINING_CPUS": "1",
        "GHOSTWRITER_HOME": str(home),
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
    }
    with ApiServer(Cluster(node)) as server:
        server.cluster.images.add(image)
        config = server.write_kubeconfig(tmp_path / "kubeconfig")
        connection = json.dumps({"conn_type": "kubernetes", "extra": {"kube_config_path": str(config)}})
        for name, value in {**settings, "AIRFLOW_CONN_KUBERNETES_DEFAULT": connection}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(kubernetes_stage, "POLL_SECONDS", 0.5)
        monkeypatch.setattr(kubernetes_stage, "LOG_SECONDS", 1)
        yield Bench(home, server)
        node.close()
