"""The manifest of each GPU stage played by podman: another reading of it than our own, and a real container's word on what it got."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ghostwriter.launchers.kubernetes.test_pod import REQUEST, manifest
from tests.kubernetes.containers import docker
from training.contract import Stage

IMAGE = "docker.io/library/k8s-probe:test"
LIMITS = '[containers]\ndefault_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]\n[engine]\nruntime = "runc"\n'
"""podman's own defaults are above what a container in a container may ask for."""
LOGIN = base64.b64encode(b"machine mlflow login pipeline password seeded-9c1d\n").decode()


class Podman:
    """podman with a store of its own, so that nothing of it stays."""

    def __init__(self, folder: Path) -> None:
        (folder / "containers.conf").write_text(LIMITS)
        self._command = ["podman", "--root", str(folder / "store"), "--runroot", str(folder / "run")]
        self._environment = {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")}

    def __call__(self, *arguments: str) -> str:
        """`podman ARGUMENTS`; what it printed."""
        done = subprocess.run([*self._command, *arguments], capture_output=True, text=True, env=self._environment, check=False)
        assert done.returncode == 0, f"podman {' '.join(arguments)}: {done.stdout[-1000:]}{done.stderr[-2000:]}"
        return done.stdout.strip()


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    docker("build", "--quiet", "--tag", "k8s-probe:test", str(Path(__file__).with_name("probe")))
    podman = Podman(tmp_path_factory.mktemp("podman"))
    podman("pull", "--quiet", "docker-daemon:k8s-probe:test")
    yield podman
    podman("rmi", "--all", "--force")
    docker("rmi", "k8s-probe:test")


@pytest.mark.parametrize("stage", ["train", "evaluate", "measure", "examine"])
def test_the_pod_of_every_stage_runs_as_its_manifest_says(
    podman: Podman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: Stage
) -> None:
    pod = manifest(monkeypatch, stage, GHOSTWRITER_TRAINING_IMAGE=IMAGE)
    assert "seeded-9c1d" not in json.dumps(pod)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mlflow-login"}, "data": {"netrc": LOGIN}}
    file = tmp_path / "pod.yaml"
    file.write_text("\n---\n".join(json.dumps(document) for document in (secret, pod)))
    podman("kube", "play", "--network", "none", str(file))
    container = f"{pod['metadata']['name']}-training"
    try:
        assert podman("wait", container) == "0"
        found: dict[str, Any] = json.loads(podman("logs", container))
        (made,) = json.loads(podman("inspect", container))
    finally:
        podman("kube", "down", str(file))
    assert found == {
        "arguments": [stage, REQUEST],
        "user": [10001, 10001],
        "capabilities": 0,
        "no_new_privileges": 1,
        "seccomp": 2,
        "writable": ["/tmp", "/var/lib/ghostwriter"],
        "token": False,
        "netrc": LOGIN,  # podman 4.3 does not decode a Secret
    }
    host = made["HostConfig"]
    assert (host["ReadonlyRootfs"], host["Memory"], host["NanoCpus"]) == (True, 2**29, (2 if stage == "measure" else 4) * 10**9)
