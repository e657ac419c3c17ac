"""Settings of launcher `kubernetes` from environment variables; pod.py makes the pod from them."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from ghostwriter.errors import LaunchError
from training.contract import WITHOUT_MODEL, Stage

Json = dict[str, Any]
MEMORY = re.compile(r"[1-9]\d*(\.\d+)?(M|G|T|Mi|Gi|Ti)")
CPUS = re.compile(r"[1-9]\d*m|\d+(\.\d+)?")
GPU_NODES: list[Json] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
"""The taint that clusters put on nodes with GPUs, tolerated."""
MEASURING_MEMORY, MEASURING_CPUS = "8Gi", "2"
"""At most, for the stage that needs no GPU: any node will do."""


@dataclass(frozen=True)
class PodSettings:
    """Where training pods run, on what, and with which data; training_pod.yaml says how each is set."""

    image: str
    namespace: str
    home: str
    netrc_secret: str
    """Secret with the key `netrc`, what MLflow's client logs in with, and perhaps `training.env` (`training.network`)."""
    claim: str
    """ReadWriteMany claim with everything of GHOSTWRITER_HOME, mounted by Airflow too; or empty:"""
    data_url: str
    """fsspec URL that inputs and results go through instead."""
    data_secret: str
    """Secret with the key `credentials`, an AWS credentials file; empty where the node's own identity may read and write."""
    nodes: int
    """Pods that train together; the other stages take one."""
    gpus: int
    memory: str
    cpus: str
    service_account: str
    priority_class: str
    node_selector: dict[str, str]
    tolerations: list[Json]
    start_seconds: int
    """How long a pod may wait for a node."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "PodSettings":
        """GHOSTWRITER_K8S_NAMESPACE and its neighbours. Raises LaunchError naming the one that is missing or wrong."""
        read = _Reader(environment)
        settings = cls(
            image=read.needed("GHOSTWRITER_TRAINING_IMAGE"),
            namespace=read.needed("GHOSTWRITER_K8S_NAMESPACE"),
            home=read.needed("GHOSTWRITER_HOME"),
            netrc_secret=read.needed("GHOSTWRITER_NETRC_SECRET"),
            claim=read("GHOSTWRITER_DATA_CLAIM"),
            data_url=read("GHOSTWRITER_DATA_URL"),
            data_secret=read("GHOSTWRITER_DATA_SECRET"),
            nodes=read.number("GHOSTWRITER_NODES", 1, least=1),
            gpus=read.number("GHOSTWRITER_GPUS", 1),
            memory=read.quantity("GHOSTWRITER_TRAINING_MEMORY", "16Gi", MEMORY),
            cpus=read.quantity("GHOSTWRITER_TRAINING_CPUS", "4", CPUS),
            service_account=read("GHOSTWRITER_K8S_SERVICE_ACCOUNT", "ghostwriter-training"),
            priority_class=read("GHOSTWRITER_K8S_PRIORITY_CLASS"),
            node_selector=read.json("GHOSTWRITER_K8S_NODE_SELECTOR", {}),
            tolerations=read.json("GHOSTWRITER_K8S_TOLERATIONS", GPU_NODES),
            start_seconds=read.number("GHOSTWRITER_K8S_START_SECONDS", 1800),
        )
        if bool(settings.claim) == bool(settings.data_url):
            raise LaunchError(
                "Set either GHOSTWRITER_DATA_CLAIM (a ReadWriteMany claim that Airflow mounts too) or GHOSTWRITER_DATA_URL"
                f" (such as s3://bucket/prefix); {'both are' if settings.claim else 'neither is'} set."
            )
        if settings.data_url and not urlsplit(settings.data_url).scheme:
            raise LaunchError(f"GHOSTWRITER_DATA_URL is {settings.data_url!r}. Set it to a URL, such as s3://bucket/prefix.")
        return settings

    def for_stage(self, stage: Stage) -> "PodSettings":
        """The same without what the stage does not need; tolerations stay, for a cluster that has no other nodes."""
        if stage not in WITHOUT_MODEL:
            return self
        from kubernetes.utils.quantity import parse_quantity

        memory = min(self.memory, MEASURING_MEMORY, key=parse_quantity)
        return replace(self, gpus=0, node_selector={}, memory=memory, cpus=min(self.cpus, MEASURING_CPUS, key=parse_quantity))


class _Reader:
    """Settings out of an environment, refused by name."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def __call__(self, name: str, default: str = "") -> str:
        return self._environment.get(name) or default

    def needed(self, name: str) -> str:
        if not (value := self(name)):
            raise LaunchError(f"{name} is not set; launcher `kubernetes` needs it. training_pod.yaml says what each setting is.")
        return value

    def number(self, name: str, default: int, *, least: int = 0) -> int:
        value = self(name, str(default))
        if not value.isascii() or not value.isdigit() or int(value) < least:
            raise LaunchError(f"{name} is {value!r}. Set it to a whole number{f' from {least}' if least else ''}.")
        return int(value)

    def quantity(self, name: str, default: str, form: re.Pattern[str]) -> str:
        value = self(name, default)
        if not form.fullmatch(value):
            raise LaunchError(f"{name} is {value!r}. Set it to a Kubernetes quantity, such as {default}.")
        return value

    def json(self, name: str, default: Any) -> Any:
        """A JSON value of the default's type."""
        if not (text := self(name)):
            return default
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, type(default)):
            kind = "object" if isinstance(default, dict) else "list"
            raise LaunchError(f"{name} is {text!r}. Set it to a JSON {kind}, such as {json.dumps(default or {'accelerator': 'a100'})}.")
        return value
