"""The pod of a stage: training_pod.yaml, with the settings added through the stock operators' own arguments."""

import hashlib
import os
from pathlib import Path
from typing import Any

from kubernetes.client import (
    V1EmptyDirVolumeSource,
    V1PersistentVolumeClaimVolumeSource,
    V1ResourceRequirements,
    V1SecretVolumeSource,
    V1Volume,
    V1VolumeMount,
)

from ghostwriter.launchers.kubernetes.settings import PodSettings
from ghostwriter.launchers.network import network_settings

TEMPLATE = Path(__file__).with_name("training_pod.yaml")
CONTAINER = "training"
CREDENTIALS_FOLDER = "/run/ghostwriter-data"
PASSED_ON = ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION")
"""What fsspec's s3 needs to know beside the credentials, for a store that is not Amazon's."""


def pod_name(settings: PodSettings, stage: str, request: str) -> str:
    """The one name a request's pod can have in a namespace."""
    data = settings.claim or settings.data_url
    return f"ghostwriter-{stage}-{hashlib.sha256(f'{data} {request}'.encode()).hexdigest()[:16]}"


def command(settings: PodSettings, stage: str, request: str) -> list[str]:
    """What the image's entry point is told."""
    return ["training", stage, request, *(["--data-url", settings.data_url] if settings.data_url else [])]


def pod_arguments(settings: PodSettings) -> dict[str, Any]:
    """What the stock operators are told; names, labels and the command are a task's own."""
    requests = {"memory": settings.memory, "cpu": settings.cpus}
    gpus = {"nvidia.com/gpu": str(settings.gpus)} if settings.gpus else {}
    volumes, mounts, variables = _data(settings)
    return {
        "pod_template_file": str(TEMPLATE),
        "base_container_name": CONTAINER,
        "termination_message_policy": "FallbackToLogsOnError",  # the operators' default would go over the template's
        "image": settings.image,
        "namespace": settings.namespace,
        "service_account_name": settings.service_account,
        "priority_class_name": settings.priority_class or None,
        "node_selector": settings.node_selector,
        "tolerations": settings.tolerations,
        "container_resources": V1ResourceRequirements(requests=requests, limits={**requests, **gpus}),
        "volumes": [*volumes, _secret("netrc", settings.netrc_secret)],
        "volume_mounts": mounts,
        "env_vars": {"OMP_NUM_THREADS": str(_threads(settings)), **_caches(settings), **variables, **network_settings()},
    }


def _threads(settings: PodSettings) -> int:
    """For each of the pod's processes: torch would count the node's processors, not those the pod may use."""
    cpus = float(settings.cpus.removesuffix("m")) / (1000 if settings.cpus.endswith("m") else 1)
    return max(1, int(cpus) // max(1, settings.gpus))


def _caches(settings: PodSettings) -> dict[str, str]:
    """Where libraries keep what they download and compile: below the home, the only place beside /tmp that can be written to."""
    folders = {"HF_HOME": "huggingface", "TRITON_CACHE_DIR": "triton", "TORCHINDUCTOR_CACHE_DIR": "inductor"}
    return {"GHOSTWRITER_HOME": settings.home, **{name: f"{settings.home}/cache/{folder}" for name, folder in folders.items()}}


def _data(settings: PodSettings) -> tuple[list[V1Volume], list[V1VolumeMount], dict[str, str]]:
    """Volumes, mounts and variables for the home: the claim, or an empty folder that a URL is copied into."""
    mounts = [V1VolumeMount(name="home", mount_path=settings.home)]
    if settings.claim:
        return [V1Volume(name="home", persistent_volume_claim=V1PersistentVolumeClaimVolumeSource(claim_name=settings.claim))], mounts, {}
    volumes = [V1Volume(name="home", empty_dir=V1EmptyDirVolumeSource())]
    variables = {name: os.environ[name] for name in PASSED_ON if os.environ.get(name)}
    if settings.data_secret:
        volumes.append(_secret("data-credentials", settings.data_secret))
        mounts.append(V1VolumeMount(name="data-credentials", mount_path=CREDENTIALS_FOLDER, read_only=True))
        variables["AWS_SHARED_CREDENTIALS_FILE"] = f"{CREDENTIALS_FOLDER}/credentials"
    return volumes, mounts, variables


def _secret(name: str, secret: str) -> V1Volume:
    """A Secret as files that only the pod's group may read."""
    return V1Volume(name=name, secret=V1SecretVolumeSource(secret_name=secret, default_mode=0o440, optional=False))
