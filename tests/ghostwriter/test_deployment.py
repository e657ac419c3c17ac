"""What the deployments promise: room for an adapter on its way through MLflow, and a check of the GPU that reaches nothing."""

from typing import Any

import pytest
import yaml

from ghostwriter.home import ROOT

ADAPTER = 1.29  # GB at rank 256 on a 7B model


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"][name]
    return found


def volumes(file: str) -> dict[str, dict[str, Any]]:
    """The volumes of the pod in a manifest, by name."""
    for document in yaml.safe_load_all((ROOT / "deploy" / file).read_text()):
        if document["kind"] in ("Deployment", "StatefulSet", "Job"):
            return {volume["name"]: volume for volume in document["spec"]["template"]["spec"]["volumes"]}
    raise AssertionError(f"{file} has no pod")


def test_uploads_pass_mlflow_on_a_volume_and_not_in_a_small_tmpfs() -> None:
    mlflow = service("mlflow")
    folder = mlflow["environment"]["TMPDIR"]
    assert any(folder.startswith(volume.partition(":")[2] + "/") for volume in mlflow["volumes"])
    assert not any(folder.startswith(each.partition(":")[0]) for each in mlflow["tmpfs"])


def test_a_clusters_mlflow_has_room_for_an_upload_and_its_retry() -> None:
    assert int(volumes("mlflow.yaml")["tmp"]["emptyDir"]["sizeLimit"].removesuffix("Gi")) >= 2 * ADAPTER + 1


@pytest.mark.parametrize("checked", ["gpu", "gpu-check"])
def test_the_checks_of_a_gpu_reach_no_network(checked: str) -> None:
    assert service(checked)["network_mode"] == "none"


def test_the_gpu_check_has_room_for_weights_and_checkpoints() -> None:
    assert int(volumes("gpu-check.yaml")["home"]["emptyDir"]["sizeLimit"].removesuffix("Gi")) >= 40
