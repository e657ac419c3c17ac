"""Jobs of the double's cluster, and what the Job controller does about them: a pod for each index, one end for all."""

import copy
from typing import Any, Protocol
from uuid import uuid4

import kubernetes_validate

from tests.kubernetes.objects import NAMESPACE, VERSION, Json, Refused, matches, now

JOB_LABEL, INDEX_LABEL = "batch.kubernetes.io/job-name", "batch.kubernetes.io/job-completion-index"


class Pods(Protocol):
    """What the controller asks of the cluster."""

    def create(self, body: Json) -> Json: ...
    def delete(self, name: str, grace: int | None) -> Json: ...
    def matching(self, selector: str) -> list[Json]: ...
    def event(self, pod: Json, kind: str, reason: str, message: str) -> None: ...


class Jobs:
    """Indexed Jobs that never try again."""

    def __init__(self, cluster: Pods) -> None:
        self.cluster = cluster
        self.objects: dict[str, Json] = {}
        self.made: list[Json] = []

    def create(self, body: Json) -> Json:
        """Store the Job and make its pods; a pod that is refused is an event. Raises Refused."""
        name = body["metadata"]["name"]
        try:
            kubernetes_validate.validate(body, VERSION, strict=True)
        except kubernetes_validate.ValidationError as error:
            raise Refused(422, "Invalid", f'Job.batch "{name}" is invalid: {error.message}') from None
        if name in self.objects:
            raise Refused(409, "AlreadyExists", f'jobs.batch "{name}" already exists')
        job = {**body, "metadata": {**body["metadata"], "namespace": NAMESPACE, "uid": str(uuid4()), "creationTimestamp": now()}}
        job["status"] = {"conditions": []}
        self.objects[name] = job
        self.made.append(job)
        for index in range(body["spec"]["completions"]):
            try:
                self.cluster.create(_pod(job, str(index)))
            except Refused as refused:
                self.cluster.event(job, "Warning", "FailedCreate", f"Error creating: {refused}")
        return job

    def get(self, name: str) -> Json:
        """Raises Refused."""
        try:
            return self.objects[name]
        except KeyError:
            raise Refused(404, "NotFound", f'jobs.batch "{name}" not found') from None

    def patch(self, name: str, body: Json) -> Json:
        """A merge of labels and annotations."""
        job = self.get(name)
        for part, values in body["metadata"].items():
            job["metadata"][part] = {**job["metadata"].get(part, {}), **values}
        return job

    def matching(self, selector: str) -> list[Json]:
        """Jobs by a label selector."""
        return [job for job in list(self.objects.values()) if matches(job["metadata"]["labels"], selector)]

    def delete(self, name: str, propagation: str | None) -> Json:
        """With `Foreground` the Job stays until its pods are gone; they are left alone without."""
        job = self.get(name)
        if propagation != "Foreground":
            del self.objects[name]
            return job
        job["metadata"].setdefault("deletionTimestamp", now())
        for pod in self._pods(job):
            self.cluster.delete(pod["metadata"]["name"], None)
        self.look()
        return job

    def look(self) -> None:
        """What the controller does after any change of a pod."""
        for name, job in list(self.objects.items()):
            if "deletionTimestamp" in job["metadata"]:
                if not self._pods(job):
                    self.objects.pop(name, None)
            elif not job["status"]["conditions"]:
                self._conclude(job)

    def _conclude(self, job: Json) -> None:
        pods = self._pods(job)
        succeeded = [pod for pod in pods if pod["status"]["phase"] == "Succeeded"]
        if any(pod["status"]["phase"] == "Failed" or _is_being_deleted(pod) for pod in pods if pod not in succeeded):
            words = "Job has reached the specified backoff limit"
            job["status"]["conditions"] = [
                {"type": kind, "status": "True", "reason": "BackoffLimitExceeded", "message": words} for kind in ("FailureTarget", "Failed")
            ]
            for pod in pods:
                if pod["status"]["phase"] in ("Pending", "Running"):
                    self.cluster.delete(pod["metadata"]["name"], None)
        elif len(succeeded) == job["spec"]["completions"]:
            job["status"]["conditions"] = [{"type": "Complete", "status": "True"}]

    def _pods(self, job: Json) -> list[Json]:
        return self.cluster.matching(f"{JOB_LABEL}={job['metadata']['name']}")


def _pod(job: Json, index: str) -> Json:
    """The pod of an index, with the name, the labels, the host name and the variable that the controller gives it."""
    template, name = copy.deepcopy(job["spec"]["template"]), job["metadata"]["name"]
    labels = {**template["metadata"]["labels"], JOB_LABEL: name, INDEX_LABEL: index}
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job["metadata"]["uid"], "controller": True}
    told: Any = {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX_LABEL}']"}}
    spec = {**template["spec"], "hostname": f"{name}-{index}"}
    spec["containers"][0].setdefault("env", []).append({"name": "JOB_COMPLETION_INDEX", "valueFrom": told})
    meta = {**template["metadata"], "name": f"{name}-{index}-{uuid4().hex[:5]}", "labels": labels, "ownerReferences": [owner]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def _is_being_deleted(pod: Json) -> bool:
    return "deletionTimestamp" in pod["metadata"]
