"""A cluster for tests: its objects, and what an API server's admission, a scheduler and a garbage collector decide about them.

What happens in a pod is its `node`'s: `ManualNode` leaves that to the test, `tests.kubernetes.containers.ContainerNode` runs a
real container.
"""

import re
import threading
from collections.abc import Iterator
from typing import Any, Protocol
from uuid import uuid4

import kubernetes_validate

from tests.kubernetes.jobs import Jobs
from tests.kubernetes.objects import NAMESPACE, VERSION, Json, Refused, matches, now


class Node(Protocol):
    """Where pods run."""

    def start(self, cluster: "Cluster", pod: Json) -> None:
        """Called once a pod is scheduled."""

    def stop(self, cluster: "Cluster", pod: Json, seconds: int) -> None:
        """Ask a pod's container to end, kill it after the grace period, then remove the pod."""

    def log(self, pod: Json, query: dict[str, str]) -> Iterator[bytes]:
        """The container's log."""


class ManualNode:
    """Pods wait until the test says what happens; their log is `lines`, and with `holds` a deleted one stays until the test lets it go."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.holds = False

    def start(self, cluster: "Cluster", pod: Json) -> None:
        """Nothing happens by itself."""

    def stop(self, cluster: "Cluster", pod: Json, seconds: int) -> None:
        if not self.holds:
            cluster.gone(pod)

    def log(self, pod: Json, query: dict[str, str]) -> Iterator[bytes]:
        yield from (f"{line}\n".encode() for line in self.lines)


class Cluster:
    """The objects, and what admission and the scheduler know."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.lock = threading.RLock()
        self.pods: dict[str, Json] = {}
        self.made: list[Json] = []
        self.events: list[Json] = []
        self.gpus, self.quota = 1, 8
        self.images, self.secrets, self.claims = {"ghostwriter-training"}, {"mlflow-login"}, {"ghostwriter-home"}
        self.accounts, self.priorities = {"ghostwriter-training"}, {"training"}
        self.forbidden = False
        self._version = 1000
        self.jobs = Jobs(self)

    def create(self, body: Json) -> Json:
        """Admission, storing, scheduling. Raises Refused."""
        name = body["metadata"]["name"]
        self._admit(name, body)
        meta = {
            **body["metadata"],
            "namespace": NAMESPACE,
            "uid": str(uuid4()),
            "creationTimestamp": now(),
        }
        pod = {**body, "metadata": meta, "status": {"phase": "Pending", "qosClass": "Guaranteed"}}
        with self.lock:
            if name in self.pods:
                raise Refused(409, "AlreadyExists", f'pods "{name}" already exists')
            self.pods[name] = pod
            self._changed(pod)
            self.made.append(pod)
        self._schedule(pod)
        return pod

    def delete(self, name: str, grace: int | None) -> Json:
        """Mark a pod as being deleted; it is gone when its container has ended."""
        pod = self.get(name)
        seconds = grace if grace is not None else int(pod["spec"].get("terminationGracePeriodSeconds", 30))
        with self.lock:
            first = "deletionTimestamp" not in pod["metadata"]
            if first:
                pod["metadata"] |= {"deletionTimestamp": now(), "deletionGracePeriodSeconds": seconds}
                self._changed(pod)
        self.jobs.look()
        if first and pod["status"]["phase"] == "Pending":
            self.gone(pod)
        elif first and pod["status"]["phase"] == "Running":
            threading.Thread(target=self.node.stop, args=(self, pod, seconds), daemon=True).start()
        elif first:
            self.node.stop(self, pod, 0)
        return pod

    def patch(self, name: str, body: Json) -> Json:
        """A merge of labels and annotations."""
        pod = self.get(name)
        with self.lock:
            for part, values in body["metadata"].items():
                pod["metadata"][part] = {**pod["metadata"].get(part, {}), **values}
            self._changed(pod)
        return pod

    def get(self, name: str) -> Json:
        """Raises Refused."""
        try:
            return self.pods[name]
        except KeyError:
            raise Refused(404, "NotFound", f'pods "{name}" not found') from None

    def matching(self, selector: str) -> list[Json]:
        """Pods by a label selector of `a=b`, `a!=b`, `a` and `!a`."""
        return [pod for pod in list(self.pods.values()) if matches(pod["metadata"]["labels"], selector)]

    def set_status(self, pod: Json, **status: Any) -> None:
        """As the kubelet reports it."""
        with self.lock:
            pod["status"] |= status
            self._changed(pod)
        self.jobs.look()

    def container(self, pod: Json, **state: Any) -> None:
        """The one container's state: running, waiting or terminated."""
        spec = pod["spec"]["containers"][0]
        one = {"name": spec["name"], "image": spec["image"], "imageID": "", "ready": "running" in state, "restartCount": 0, "state": state}
        self.set_status(pod, containerStatuses=[one])

    def run(self, pod: Json) -> None:
        """Its container has begun."""
        self.set_status(pod, phase="Running", startTime=now())
        self.container(pod, running={"startedAt": now()})

    def end(self, pod: Json, status: int, reason: str = "", message: str = "") -> None:
        """Its container has ended."""
        reason = reason or ("Error" if status else "Completed")
        state = {"exitCode": status, "reason": reason, "startedAt": now(), "finishedAt": now()}
        self.container(pod, terminated={**state, **({"message": message} if message else {})})
        self.set_status(pod, phase="Failed" if status else "Succeeded")

    def gone(self, pod: Json) -> None:
        """The object is removed."""
        with self.lock:
            if self.pods.get(pod["metadata"]["name"]) is pod:
                del self.pods[pod["metadata"]["name"]]
        self.jobs.look()

    def event(self, pod: Json, kind: str, reason: str, message: str) -> None:
        """What `kubectl describe` shows below a pod or a job."""
        name = pod["metadata"]["name"]
        with self.lock:
            self._version += 1
            meta = {"name": f"{name}.{self._version:x}", "namespace": NAMESPACE, "uid": str(uuid4()), "resourceVersion": str(self._version)}
            about = {"kind": pod["kind"], "namespace": NAMESPACE, "name": name, "uid": pod["metadata"]["uid"]}
            times = {"firstTimestamp": now(), "lastTimestamp": now(), "count": 1}
            self.events.append({"metadata": meta, "involvedObject": about, "type": kind, "reason": reason, "message": message, **times})

    @property
    def version(self) -> str:
        """The resource version of a list."""
        return str(self._version)

    def _admit(self, name: str, body: Json) -> None:
        try:
            kubernetes_validate.validate(body, VERSION, strict=True)
        except kubernetes_validate.ValidationError as error:
            raise Refused(422, "Invalid", f'Pod "{name}" is invalid: {error.message}') from None
        spec, limits = body["spec"], body["spec"]["containers"][0].get("resources", {}).get("limits", {})
        for label in body["metadata"]["labels"].values():
            if not re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?", label):
                raise Refused(422, "Invalid", f'Pod "{name}" is invalid: metadata.labels: Invalid value: "{label}"')
        if spec.get("serviceAccountName") not in self.accounts:
            account = f"{NAMESPACE}/{spec.get('serviceAccountName')}"
            words = f'error looking up service account {account}: serviceaccount "{spec.get("serviceAccountName")}" not found'
            raise Refused(403, "Forbidden", f'pods "{name}" is forbidden: {words}')
        if spec.get("priorityClassName") and spec["priorityClassName"] not in self.priorities:
            words = f"no PriorityClass with name {spec['priorityClassName']} was found"
            raise Refused(403, "Forbidden", f'pods "{name}" is forbidden: {words}')
        asked = int(limits.get("nvidia.com/gpu", 0))
        if self._gpus_of(self.pods.values()) + asked > self.quota:
            used = f"used: requests.nvidia.com/gpu={self._gpus_of(self.pods.values())}, limited: requests.nvidia.com/gpu={self.quota}"
            words = f"exceeded quota: training, requested: requests.nvidia.com/gpu={asked}, {used}"
            raise Refused(403, "Forbidden", f'pods "{name}" is forbidden: {words}')

    def _schedule(self, pod: Json) -> None:
        running = [other for other in self.pods.values() if other is not pod and "nodeName" in other["spec"]]
        if self._gpus_of([*running, pod]) > self.gpus:
            words = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
            condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}
            self.set_status(pod, conditions=[condition])
            self.event(pod, "Warning", "FailedScheduling", words)
            return
        pod["spec"]["nodeName"] = "node-1"
        self.set_status(pod, conditions=[{"type": "PodScheduled", "status": "True"}])
        self.event(pod, "Normal", "Scheduled", f"Successfully assigned {NAMESPACE}/{pod['metadata']['name']} to node-1")
        if self._can_begin(pod):
            self.node.start(self, pod)

    def _can_begin(self, pod: Json) -> bool:
        image = pod["spec"]["containers"][0]["image"]
        if image not in self.images:
            why = "pull access denied, repository does not exist or may require authorization"
            words = f'Back-off pulling image "{image}": ErrImagePull: {why}'
            self.container(pod, waiting={"reason": "ImagePullBackOff", "message": words})
            self.event(pod, "Warning", "Failed", f'Failed to pull image "{image}"')
            return False
        for volume in pod["spec"]["volumes"]:
            if (name := volume.get("secret", {}).get("secretName")) and name not in self.secrets:
                self.container(pod, waiting={"reason": "ContainerCreating"})
                self.event(
                    pod, "Warning", "FailedMount", f'MountVolume.SetUp failed for volume "{volume["name"]}" : secret "{name}" not found'
                )
                return False
        return True

    def _gpus_of(self, pods: Any) -> int:
        limits = [
            pod["spec"]["containers"][0]["resources"]["limits"]
            for pod in pods
            if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
        ]
        return sum(int(one.get("nvidia.com/gpu", 0)) for one in limits)

    def _changed(self, pod: Json) -> None:
        self._version += 1
        pod["metadata"]["resourceVersion"] = str(self._version)
