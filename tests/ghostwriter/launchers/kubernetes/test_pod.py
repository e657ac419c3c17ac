"""The pod of each GPU stage, as the real operator builds it: valid, hardened, with what the settings say, without a secret."""

import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import kubernetes_validate
import pytest
from kubernetes.client import ApiClient

from ghostwriter.errors import LaunchError
from ghostwriter.launchers.kubernetes.settings import PodSettings
from ghostwriter.launchers.stages import stage_operator
from tests.ghostwriter.launchers.kubernetes.bench import SETTINGS
from training.contract import Stage

OLDEST, NEWEST = "1.28", kubernetes_validate.latest_version()
REQUEST = "/var/lib/ghostwriter/runs/lamplight/1/request.json"


def manifest(monkeypatch: pytest.MonkeyPatch, stage: Stage = "train", request: str = REQUEST, **changes: str) -> dict[str, Any]:
    """What the API server would get."""
    for name, value in {**SETTINGS, **changes}.items():
        monkeypatch.setenv(name, value)
    operator: Any = stage_operator(stage)(task_id=stage, stage=stage, request=request)  # type: ignore[call-arg]
    instance = SimpleNamespace(dag_id="d", run_id="manual__2026-11-26T04:00:00+00:00", task_id=stage, map_index=3, try_number=1)
    pod = operator.build_pod_request_obj({"ti": instance, "run_id": instance.run_id, "dag": SimpleNamespace()}, dry_run=True)
    built: dict[str, Any] = ApiClient().sanitize_for_serialization(pod)
    return built


@pytest.mark.parametrize("stage", ["train", "evaluate", "measure", "examine"])
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_the_pod_of_every_stage_is_valid(monkeypatch: pytest.MonkeyPatch, stage: Stage, version: str) -> None:
    pod = manifest(monkeypatch, stage)
    kubernetes_validate.validate(pod, version, strict=True)
    assert pod["spec"]["containers"][0]["args"] == ["training", stage, REQUEST]


def test_the_pod_is_hardened(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = manifest(monkeypatch)["spec"]
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"], spec["hostNetwork"]) == (False, False, False)
    assert (spec["restartPolicy"], spec["terminationGracePeriodSeconds"]) == ("Never", 60)
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_the_pod_has_what_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    selector, tolerations = {"accelerator": "h100"}, [{"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoExecute"}]
    changes = {"GHOSTWRITER_K8S_NODE_SELECTOR": json.dumps(selector), "GHOSTWRITER_K8S_TOLERATIONS": json.dumps(tolerations)}
    pod = manifest(monkeypatch, GHOSTWRITER_GPUS="4", GHOSTWRITER_TRAINING_CPUS="500m", **changes)
    spec = pod["spec"]
    (container,) = spec["containers"]
    assert pod["metadata"]["namespace"] == "training"
    assert container["image"] == "ghostwriter-training"
    assert container["resources"] == {
        "requests": {"memory": "512Mi", "cpu": "500m"},
        "limits": {"memory": "512Mi", "cpu": "500m", "nvidia.com/gpu": "4"},
    }
    assert (spec["nodeSelector"], spec["tolerations"]) == (selector, tolerations)
    assert (spec["serviceAccountName"], spec["priorityClassName"]) == ("ghostwriter-training", "training")
    assert {volume["name"]: volume for volume in spec["volumes"]} == {
        "shm": {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
        "tmp": {"name": "tmp", "emptyDir": {"sizeLimit": "2Gi"}},
        "home": {"name": "home", "persistentVolumeClaim": {"claimName": "ghostwriter-home"}},
        "netrc": {"name": "netrc", "secret": {"secretName": "mlflow-login", "defaultMode": 0o440, "optional": False}},
    }
    assert {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]} == {
        "shm": "/dev/shm",
        "tmp": "/tmp",
        "netrc": "/run/ghostwriter",
        "home": "/var/lib/ghostwriter",
    }


@pytest.mark.parametrize(("cpus", "gpus", "threads"), [("4", "1", "4"), ("8", "4", "2"), ("500m", "0", "1"), ("2.5", "0", "2")])
def test_a_process_has_as_many_threads_as_it_has_processors(monkeypatch: pytest.MonkeyPatch, cpus: str, gpus: str, threads: str) -> None:
    (container,) = manifest(monkeypatch, GHOSTWRITER_TRAINING_CPUS=cpus, GHOSTWRITER_GPUS=gpus)["spec"]["containers"]
    assert {"name": "OMP_NUM_THREADS", "value": threads} in container["env"]


def test_measuring_asks_for_no_gpu_and_goes_to_any_node(monkeypatch: pytest.MonkeyPatch) -> None:
    larger = {"GHOSTWRITER_K8S_NODE_SELECTOR": '{"accelerator": "h100"}', "GHOSTWRITER_TRAINING_MEMORY": "64Gi"}
    spec = manifest(monkeypatch, "measure", GHOSTWRITER_GPUS="4", **larger)["spec"]
    limits = {"memory": "8Gi", "cpu": "2"}
    assert spec["containers"][0]["resources"] == {"requests": limits, "limits": limits}
    assert "nodeSelector" not in spec or spec["nodeSelector"] == {}
    small = {"GHOSTWRITER_TRAINING_MEMORY": "512Mi", "GHOSTWRITER_TRAINING_CPUS": "500m"}
    (container,) = manifest(monkeypatch, "measure", **small)["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": "512Mi", "cpu": "500m"}


def test_without_a_claim_the_data_comes_by_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    url = {"GHOSTWRITER_DATA_CLAIM": "", "GHOSTWRITER_DATA_URL": "s3://bucket/prefix", "GHOSTWRITER_DATA_SECRET": "bucket-login"}
    pod = manifest(monkeypatch, AWS_ENDPOINT_URL="http://store:9000", **url)
    kubernetes_validate.validate(pod, NEWEST, strict=True)
    (container,) = pod["spec"]["containers"]
    assert container["args"] == ["training", "train", REQUEST, "--data-url", "s3://bucket/prefix"]
    assert {one["name"]: one["value"] for one in container["env"]} == {
        "OMP_NUM_THREADS": "4",
        "GHOSTWRITER_HOME": "/var/lib/ghostwriter",
        "HF_HOME": "/var/lib/ghostwriter/cache/huggingface",
        "TRITON_CACHE_DIR": "/var/lib/ghostwriter/cache/triton",
        "TORCHINDUCTOR_CACHE_DIR": "/var/lib/ghostwriter/cache/inductor",
        "AWS_ENDPOINT_URL": "http://store:9000",
        "AWS_SHARED_CREDENTIALS_FILE": "/run/ghostwriter-data/credentials",
    }
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert volumes["home"] == {"name": "home", "emptyDir": {}}
    assert volumes["data-credentials"]["secret"] == {"secretName": "bucket-login", "defaultMode": 0o440, "optional": False}


def test_a_request_has_one_name_and_another_request_another(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [manifest(monkeypatch, request=request)["metadata"]["name"] for request in (REQUEST, REQUEST, f"{REQUEST}/")]
    assert names[0] == names[1] != names[2]
    assert manifest(monkeypatch, "evaluate")["metadata"]["name"] != names[0]


def test_no_secret_of_airflows_environment_is_in_the_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "seeded-secret-7f31")
    url = {"GHOSTWRITER_DATA_CLAIM": "", "GHOSTWRITER_DATA_URL": "s3://bucket/prefix"}
    assert "seeded-secret-7f31" not in json.dumps(manifest(monkeypatch, AIRFLOW_CONN_TEACHER="http://:seeded-secret-7f31@host", **url))


def test_the_pod_is_told_the_mirror_and_the_proxy_and_neither_token_nor_login(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"HF_ENDPOINT": "https://mirror.example.org", "NO_PROXY": "mlflow"}
    secrets = {"HTTPS_PROXY": "http://me:seeded@proxy:3128", "HF_TOKEN": "hf_seeded", "MODELSCOPE_API_TOKEN": "seeded"}
    pod = manifest(monkeypatch, **settings, **secrets)
    told = {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"]}
    assert told.items() >= settings.items()
    assert "seeded" not in json.dumps(pod)


WRONG = {
    "image": ({"GHOSTWRITER_TRAINING_IMAGE": ""}, "GHOSTWRITER_TRAINING_IMAGE is not set; launcher `kubernetes` needs it"),
    "netrc": ({"GHOSTWRITER_NETRC_SECRET": ""}, "GHOSTWRITER_NETRC_SECRET is not set"),
    "no data": ({"GHOSTWRITER_DATA_CLAIM": ""}, "Set either GHOSTWRITER_DATA_CLAIM .* neither is set"),
    "both": ({"GHOSTWRITER_DATA_URL": "s3://bucket"}, "Set either GHOSTWRITER_DATA_CLAIM .* both are set"),
    "url": ({"GHOSTWRITER_DATA_CLAIM": "", "GHOSTWRITER_DATA_URL": "bucket"}, "GHOSTWRITER_DATA_URL is 'bucket'. Set it to a URL"),
    "gpus": ({"GHOSTWRITER_GPUS": "all"}, "GHOSTWRITER_GPUS is 'all'. Set it to a whole number"),
    "no node": ({"GHOSTWRITER_NODES": "0"}, "GHOSTWRITER_NODES is '0'. Set it to a whole number from 1"),
    "memory": (
        {"GHOSTWRITER_TRAINING_MEMORY": "16g"},
        "MEMORY is '16g'. Set it to a Kubernetes quantity, such as 16Gi",
    ),
    "cpus": ({"GHOSTWRITER_TRAINING_CPUS": "four"}, "GHOSTWRITER_TRAINING_CPUS is 'four'. Set it to a Kubernetes quantity, such as 4"),
    "nodes": ({"GHOSTWRITER_K8S_NODE_SELECTOR": "gpu"}, "GHOSTWRITER_K8S_NODE_SELECTOR is 'gpu'. Set it to a JSON object"),
    "taints": ({"GHOSTWRITER_K8S_TOLERATIONS": "{}"}, "GHOSTWRITER_K8S_TOLERATIONS is '{}'. Set it to a JSON list"),
}


@pytest.mark.parametrize(("changes", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_refused_by_name(changes: dict[str, str], words: str) -> None:
    with pytest.raises(LaunchError, match=words):
        PodSettings.from_environment({**SETTINGS, **changes})


def test_the_other_launchers_do_not_import_kubernetes() -> None:
    program = (
        "import os, sys\n"
        "os.environ['GHOSTWRITER_LAUNCHER'] = 'local'\n"
        "from ghostwriter.launchers.stages import stage_operator\n"
        "stage_operator('train')\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'kubernetes', 'kubernetes_asyncio', 'docker'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
