"""A double of a cluster without containers, its API over HTTP, and a request to run there."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from ghostwriter.launchers.kubernetes import stage as kubernetes_stage
from ghostwriter.launchers.kubernetes.stage import KubernetesStageOperator
from ghostwriter.launchers.stages import stage_operator
from tests.kubernetes.api_server import ApiServer
from tests.kubernetes.attempts import context, run
from tests.kubernetes.cluster import Cluster, ManualNode
from training.contract import Stage

SETTINGS = {
    "GHOSTWRITER_LAUNCHER": "kubernetes",
    "GHOSTWRITER_TRAINING_IMAGE": "ghostwriter-training",
    "GHOSTWRITER_K8S_NAMESPACE": "training",
    "GHOSTWRITER_K8S_PRIORITY_CLASS": "training",
    "GHOSTWRITER_DATA_CLAIM": "ghostwriter-home",
    "GHOSTWRITER_NETRC_SECRET": "mlflow-login",
    "GHOSTWRITER_TRAINING_MEMORY": "512Mi",
    "GHOSTWRITER_HOME": "/var/lib/ghostwriter",
    "GHOSTWRITER_K8S_START_SECONDS": "1",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
}


class Bench:
    """A cluster, its API, and a request to run on it."""

    def __init__(self, folder: Path, server: ApiServer) -> None:
        self.folder, self.server, self.cluster = folder, server, server.cluster
        self.node: Any = server.cluster.node

    def make(self) -> KubernetesStageOperator:
        """The operator, as a new process makes it."""
        return self._make("train")

    def make_evaluation(self) -> KubernetesStageOperator:
        """The same for answering."""
        return self._make("evaluate")

    def _make(self, stage: Stage) -> KubernetesStageOperator:
        operator = stage_operator(stage)(task_id=stage, stage=stage, request=str(self.folder / "request.json"))  # type: ignore[call-arg]
        assert isinstance(operator, KubernetesStageOperator)
        return operator

    @property
    def pod(self) -> dict[str, Any]:
        """The one pod there is."""
        (pod,) = self.cluster.pods.values()
        return pod

    def finish(self) -> None:
        """The training succeeds."""
        (self.folder / "result.json").write_text(json.dumps({"run_id": None}))
        self.cluster.end(self.pod, 0)

    def fails(self, kind: type[BaseException] = AirflowFailException) -> str:
        """What the task says when it fails."""
        with pytest.raises(AirflowException) as failed:
            run(self.make, context())
        assert type(failed.value) is kind
        return str(failed.value)


@pytest.fixture(name="bench")
def make_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with ApiServer(Cluster(ManualNode())) as server:
        config = server.write_kubeconfig(tmp_path / "kubeconfig")
        connection = json.dumps({"conn_type": "kubernetes", "extra": {"kube_config_path": str(config)}})
        for name, value in {**SETTINGS, "AIRFLOW_CONN_KUBERNETES_DEFAULT": connection}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(kubernetes_stage, "POLL_SECONDS", 0.02)
        (tmp_path / "request.json").write_text(json.dumps({"tracking": None}))
        yield Bench(tmp_path, server)


def begin_again(bench: Bench, given: dict[str, Any], event: dict[str, Any]) -> Any:
    """The operator's next deferral."""
    from airflow.sdk.exceptions import TaskDeferred

    with pytest.raises(TaskDeferred) as again:
        bench.make().trigger_reentry(given, event)
    return again.value
