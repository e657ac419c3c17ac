"""A node of the API double that runs each pod's container with Docker: what the pod's phase, exit status and log say is real."""

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.kubernetes.cluster import Cluster
from tests.kubernetes.objects import Json

LABEL = "k8s-double"
LONGEST_MESSAGE = 2048
"""Bytes of the log that stand in a failed container's status, of 80 lines at most, as the kubelet has it."""


def docker(*arguments: str, check: bool = True) -> str:
    """`docker ARGUMENTS`; what it printed."""
    done = subprocess.run(
        ["docker", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
    )
    if check and done.returncode:
        raise AssertionError(f"docker {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.stdout.strip()


class ContainerNode:
    """`claims` are folders of this machine by the claim's name; `secrets` are files by the secret's name, written below `folder`."""

    def __init__(self, folder: Path, claims: dict[str, Path], secrets: dict[str, dict[str, str]]) -> None:
        self.folder, self.claims, self.secrets = folder, claims, secrets
        self.watchers: dict[str, threading.Thread] = {}
        self.network = ""

    def start(self, cluster: Cluster, pod: Json) -> None:
        """Start the container, as a kubelet would from the same manifest."""
        name = self.name_of(pod)
        docker("create", "--name", name, "--label", LABEL, *self._options(pod))
        docker("start", name)
        cluster.run(pod)
        watcher = threading.Thread(target=self._watch, args=(cluster, pod), daemon=True)
        self.watchers[name] = watcher
        watcher.start()

    def stop(self, cluster: Cluster, pod: Json, seconds: int) -> None:
        name = self.name_of(pod)
        docker("stop", "--time", str(seconds), name)
        self.watchers[name].join(30)
        docker("rm", "--force", name)
        cluster.gone(pod)

    def log(self, pod: Json, query: dict[str, str]) -> Iterator[bytes]:
        options = ["--timestamps"] if query.get("timestamps", "").lower() == "true" else []
        options += ["--follow"] if query.get("follow", "").lower() == "true" else []
        options += ["--since", f"{query['sinceSeconds']}s"] if "sinceSeconds" in query else []
        with subprocess.Popen(["docker", "logs", *options, self.name_of(pod)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as reading:
            assert reading.stdout
            yield from reading.stdout

    def close(self) -> None:
        """Remove every container."""
        for name, watcher in self.watchers.items():
            docker("rm", "--force", name, check=False)
            watcher.join(30)
        if self.network:
            docker("network", "rm", self.network)

    @staticmethod
    def name_of(pod: Json) -> str:
        """The container's name."""
        return f"{pod['metadata']['name']}-{pod['metadata']['uid'][:8]}"

    def _watch(self, cluster: Cluster, pod: Json) -> None:
        name = self.name_of(pod)
        status = docker("wait", name, check=False)
        if not status.isdigit():  # it was removed
            return
        oom = json.loads(docker("inspect", name))[0]["State"]["OOMKilled"]
        last = docker("logs", "--tail", "80", name) if int(status) else ""
        cluster.end(pod, int(status), "OOMKilled" if oom else "", last[-LONGEST_MESSAGE:])

    def _options(self, pod: Json) -> list[str]:
        """What a container runtime is told for a pod of one container."""
        spec, container = pod["spec"], pod["spec"]["containers"][0]
        own, shared = container["securityContext"], spec["securityContext"]
        limits = container["resources"]["limits"]
        options = ["--user", f"{shared['runAsUser']}:{shared['runAsGroup']}", "--group-add", str(shared["fsGroup"])]
        options += ["--memory", limits["memory"].removesuffix("i").lower(), "--cpus", str(min(float(limits["cpu"]), os.cpu_count() or 1))]
        options += [f"--cap-drop={name}" for name in own["capabilities"]["drop"]]
        options += ["--read-only"] if own["readOnlyRootFilesystem"] else []
        options += [] if own["allowPrivilegeEscalation"] else ["--security-opt", "no-new-privileges"]
        options += [part for one in container.get("env", []) for part in ("--env", f"{one['name']}={_value(one, pod)}")]
        if "subdomain" in spec:
            options += ["--network", self._network(), "--network-alias", f"{spec['hostname']}.{spec['subdomain']}"]
            options += ["--hostname", spec["hostname"]]
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        for mount in container["volumeMounts"]:
            options += self._mount(volumes[mount["name"]], mount, shared["fsGroup"])
        return [*options, container["image"], *container["args"]]

    def _network(self) -> str:
        """A network on which pods find one another by their host names below a headless Service."""
        if not self.network:
            self.network = f"{LABEL}-{uuid4().hex[:8]}"
            docker("network", "create", "--label", LABEL, self.network)
        return self.network

    def _mount(self, volume: Json, mount: Json, group: int) -> list[str]:
        path, mode = mount["mountPath"], ":ro" if mount.get("readOnly") else ""
        if "persistentVolumeClaim" in volume:
            return ["--volume", f"{self.claims[volume['persistentVolumeClaim']['claimName']]}:{path}{mode}"]
        if "secret" in volume:
            return ["--volume", f"{self._write_secret(volume['secret'], group)}:{path}{mode}"]
        size = re.sub(r"i$", "", volume["emptyDir"].get("sizeLimit", "1Gi")).lower()
        return ["--shm-size", size] if path == "/dev/shm" else ["--tmpfs", f"{path}:size={size}"]

    def _write_secret(self, secret: Any, group: int) -> Path:
        folder = self.folder / secret["secretName"]
        folder.mkdir(exist_ok=True)
        for name, text in self.secrets[secret["secretName"]].items():
            (folder / name).write_text(text)
            os.chown(folder / name, 0, group)
            (folder / name).chmod(secret["defaultMode"])
        return folder


def _value(variable: Json, pod: Json) -> str:
    """What a variable says: as written, or a label of the pod."""
    if "value" in variable:
        return str(variable["value"])
    path = variable["valueFrom"]["fieldRef"]["fieldPath"]
    return str(pod["metadata"]["labels"][path.removeprefix("metadata.labels['").removesuffix("']")])
