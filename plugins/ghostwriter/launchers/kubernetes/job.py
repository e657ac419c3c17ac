"""Training on several nodes: launcher `kubernetes` with an indexed Job of as many pods, each as a single one would be.

The first pod is watched as a single one is, for the progress it prints; that all have come is the Job's business, and what went wrong
is asked of the pod that failed first. The Job never tries again by itself: Airflow does, and says so.
"""

import time
from pathlib import Path
from typing import Any

from airflow.providers.cncf.kubernetes.operators.job import JOB_NAME_PREFIX, KubernetesJobOperator
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodPhase
from kubernetes.client import ApiException, V1Job, V1ObjectMeta, V1Pod, V1PodStatus
from urllib3.exceptions import HTTPError

from ghostwriter.errors import LaunchError
from ghostwriter.launchers.kubernetes import stage as kubernetes_stage
from ghostwriter.launchers.kubernetes.data import send_inputs
from ghostwriter.launchers.kubernetes.pod import pod_name
from ghostwriter.launchers.kubernetes.problems import terminated
from ghostwriter.launchers.kubernetes.stage import KubernetesStageOperator

SERVICE, PORT = "ghostwriter-training-nodes", 29500
"""The headless Service of deploy/network.yaml, by which the pods find the first one."""
JOB_LABEL, INDEX_LABEL = "batch.kubernetes.io/job-name", "batch.kubernetes.io/job-completion-index"
PROPAGATION = "Foreground"
"""A deleted Job stays until its pods, which have their grace period, are gone."""
POD_SECONDS = 60
"""For the cluster to make the first pod; a quota can keep it from doing so."""
OVER = {"Failed", "FailureTarget"}


class KubernetesJobStageOperator(KubernetesStageOperator, KubernetesJobOperator):
    """Train in several pods at once; returns the run folder, the request and the MLflow run."""

    template_fields = ("request",)
    pod: V1Pod | None = None  # the stock operator's is a property that warns

    def __init__(self, **operator: Any) -> None:
        super().__init__(backoff_limit=0, completion_mode="Indexed", wait_until_job_complete=True, **operator)
        self.parallelism = self.completions = self.settings.nodes

    @property
    def job_name(self) -> str:
        """The one name a request's Job can have in a namespace."""
        return JOB_NAME_PREFIX + pod_name(self.settings, self.stage, str(self.request))

    def describe_request(self, context: Any) -> None:
        """As for one pod, and how the pods find one another."""
        super().describe_request(context)
        self.arguments += ["--nodes", str(self.settings.nodes), "--rendezvous", f"{self.job_name}-0.{SERVICE}:{PORT}"]

    def build_job_request_obj(self, context: Any = None) -> V1Job:
        """The manifest."""
        self.describe_request(context)
        job = super().build_job_request_obj(context)
        job.spec.template.spec.subdomain = SERVICE
        self.in_cluster = self.hook.is_in_cluster or None  # the trigger does not find this out by itself
        return job

    def on_kill(self) -> None:
        """As for one pod; also when it was killed while the Job was being made."""
        if self.job_request_obj:
            self._delete_job()

    def process_pod_deletion(self, pod: V1Pod, *, reraise: bool = True) -> bool:
        """The pods go with their Job."""
        try:
            self._delete_job()
        except (ApiException, HTTPError) as error:
            if reraise:
                raise
            self.log.warning("Job %s cannot be removed now: %s", self.job_name, error)
        return True

    def _begin(self, context: Any) -> None:
        self.job_request_obj = self.build_job_request_obj(context)
        self.job = self._get_or_create_job(self.job_request_obj)
        self.pod = self._first_pod()
        self.invoke_defer_method(context=context)

    def _get_or_create_job(self, asked: V1Job) -> V1Job:
        """The Job of this request, followed when there is one; one that failed or is being removed is waited for and replaced."""
        found = self._find_job()
        if found and found.metadata.deletion_timestamp is None and not _is_over(found):
            self.log.info("Job %s works on this request already; following it.", self.job_name)
            owner = {"annotations": asked.metadata.annotations, "labels": asked.metadata.labels}
            return self.job_client.patch_namespaced_job(self.job_name, self.settings.namespace, {"metadata": owner})
        if found:
            self._delete_job()
            pods = "the nodes of its pods are gone; once they are, `kubectl delete pod --force` removes the pods"
            self._wait_until_gone("Job", found.metadata, self._find_job, f"{pods}, and this task can be cleared.")
        send_inputs(self.settings, self.stage, Path(self.request))
        try:
            created = self.job_client.create_namespaced_job(self.settings.namespace, asked)
        except ApiException as error:
            if error.status != 409:
                raise
            return self._get_or_create_job(asked)  # someone else was faster: follow theirs
        self.log.info("Made job %s of %d pods from %s.", self.job_name, self.settings.nodes, self.settings.image)
        return created

    def _first_pod(self) -> V1Pod:
        """The pod that writes the result, once the cluster has made it. Raises LaunchError."""
        deadline = time.monotonic() + POD_SECONDS
        while time.monotonic() < deadline:
            if pods := self._pods(f",{INDEX_LABEL}=0"):
                return pods[0]
            time.sleep(kubernetes_stage.POLL_SECONDS)
        job = V1Pod(metadata=V1ObjectMeta(name=self.job_name, namespace=self.settings.namespace), status=V1PodStatus())  # as events go
        said = " ".join(self._warnings(job)[-3:])
        self._delete_job()
        raise LaunchError(
            f"The cluster made no pod for job {self.job_name} within {POD_SECONDS} s. It says: {said or 'nothing.'} See to that"
            f" (a quota must have room for {self.settings.nodes} pods), then clear this task."
        )

    def _watched(self, name: str) -> V1Pod | None:
        """The first pod while it is well; else the one that failed before the others."""
        first = self._find(name)
        if first and first.status.phase != PodPhase.FAILED and first.metadata.deletion_timestamp is None:
            return first
        failed = [pod for pod in self._pods() if pod.status.phase == PodPhase.FAILED]
        return min(failed, key=_when_it_ended, default=first)

    def _pods(self, more: str = "") -> list[V1Pod]:
        found: list[V1Pod] = self.client.list_namespaced_pod(
            self.settings.namespace, label_selector=f"{JOB_LABEL}={self.job_name}{more}"
        ).items
        return found

    def _find_job(self) -> V1Job | None:
        try:
            return self.job_client.read_namespaced_job(self.job_name, self.settings.namespace)
        except ApiException as error:
            if error.status != 404:
                raise
            return None

    def _delete_job(self) -> None:
        try:
            self.job_client.delete_namespaced_job(self.job_name, self.settings.namespace, propagation_policy=PROPAGATION)
        except ApiException as error:
            if error.status != 404:
                raise


def _is_over(job: V1Job) -> bool:
    """Whether a Job has failed, or is bound to."""
    return any(one.type in OVER and one.status == "True" for one in job.status.conditions or [])


def _when_it_ended(pod: V1Pod) -> float:
    """In seconds; a pod that was ended before its container began comes first."""
    ended = terminated(pod)
    return float(ended.finished_at.timestamp()) if ended and ended.finished_at else 0.0
