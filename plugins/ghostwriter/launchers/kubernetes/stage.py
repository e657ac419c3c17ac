"""Launcher `kubernetes`: a stage in a hardened pod, watched by the triggerer, found again after whatever ended the task.

A pod has a name made from its request, so that the cluster itself refuses a second one for the same run. Its annotations say
which task instance it works for. While it runs no worker waits: the triggerer looks at it and passes on what it prints.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodPhase, detect_pod_terminate_early_issues
from kubernetes.client import ApiException, V1Job, V1ObjectMeta, V1Pod
from urllib3.exceptions import HTTPError

from ghostwriter.errors import LaunchError, LaunchInterrupted
from ghostwriter.launchers.kubernetes.data import fetch_results, send_inputs
from ghostwriter.launchers.kubernetes.pod import command, pod_arguments, pod_name
from ghostwriter.launchers.kubernetes.problems import AGAIN, cluster_problems, terminated, why_it_ended
from ghostwriter.launchers.kubernetes.settings import PodSettings
from ghostwriter.launchers.outcome import LINKS, stage_outcome
from ghostwriter.launchers.task_labels import STAGE_LABEL, task_labels
from ghostwriter.tasks.body import actionable
from training.contract import Stage, last_file, last_files

POLL_SECONDS = 5.0
LOG_SECONDS = 10
"""How often the triggerer passes on what the pod has printed."""
PULL_SECONDS = 900
"""For the image, once a node has taken the pod; a CUDA image has gigabytes."""
REMOVAL_SECONDS = 120
"""For a pod to be gone: its grace period, and the cluster's own time."""


class KubernetesStageOperator(KubernetesPodOperator):
    """A stage in a pod; returns the run folder, the request and the MLflow run."""

    template_fields = ("request",)
    ui_color = "#d7ccf5"
    MAX_REDEFER_ATTEMPTS = 20

    def __init__(self, *, stage: Stage, request: Any, **operator: Any) -> None:
        self.settings = PodSettings.from_environment().for_stage(stage)
        super().__init__(
            **pod_arguments(self.settings),
            random_name_suffix=False,
            deferrable=True,
            poll_interval=POLL_SECONDS,
            startup_check_interval_seconds=math.ceil(POLL_SECONDS),
            logging_interval=LOG_SECONDS,
            schedule_timeout_seconds=self.settings.start_seconds,
            startup_timeout_seconds=PULL_SECONDS,
            kubernetes_conn_id=None,  # else the connection's login goes into the trigger; without, each process reads it itself
            **operator,
        )
        self.stage, self.request = stage, request
        self.operator_extra_links = LINKS[stage]
        self.mlflow_urls: dict[str, str] = {}

    @actionable
    def execute(self, context: Any) -> dict[str, str]:
        """Make the pod, or find it again, and leave watching it to the triggerer."""
        with cluster_problems(self.settings):
            self._begin(context)
        return self._outcome()  # of a pod that had ended before this attempt began: nothing was left to watch

    @actionable
    def trigger_reentry(self, context: Any, event: dict[str, Any]) -> dict[str, str]:
        """The pod has ended or cannot start, or the triggerer lost sight of it."""
        with cluster_problems(self.settings):
            self.pod = self._watched(event["name"])
            if self.pod is None and event["status"] != "success":
                raise LaunchInterrupted(f"Pod {event['name']} was removed. {AGAIN}")
            if self.pod is None:  # it had ended well before someone cleaned up
                fetch_results(self.settings, self.stage, Path(self.request))
            elif event["status"] == "error" and is_at_work(self.pod):
                self._watch_again(context, event)
            elif event["status"] == "timeout" and self.pod.status.phase == PodPhase.RUNNING:
                self.process_pod_deletion(self.pod)
                raise LaunchInterrupted(f"Pod {event['name']} took longer than the task's execution_timeout and was asked to end. {AGAIN}")
            else:
                self._finish(self.pod, event)
        return self._outcome()

    def build_pod_request_obj(self, context: Any = None, *, dry_run: bool = False) -> V1Pod:
        """The manifest."""
        self.describe_request(context)
        pod = super().build_pod_request_obj(context, dry_run=dry_run)
        self.in_cluster = None if dry_run else self.hook.is_in_cluster or None  # the trigger does not find this out by itself
        return pod

    def describe_request(self, context: Any) -> None:
        """What of the manifest is the request's and the task instance's."""
        self.name = pod_name(self.settings, self.stage, str(self.request))
        self.arguments = command(self.settings, self.stage, str(self.request))
        self.labels = {STAGE_LABEL: self.stage}
        self.annotations = task_labels(self.stage, context["ti"]) if context else {}  # a label may not hold a run's id

    def get_or_create_pod(self, pod_request_obj: V1Pod, context: Any) -> V1Pod:
        """The pod of this request, followed when there is one; one that failed or is being removed is waited for and replaced."""
        found = self._find(pod_request_obj.metadata.name)
        if found and found.metadata.deletion_timestamp is None and found.status.phase != PodPhase.FAILED:
            self.log.info("Pod %s works on this request already; following it.", found.metadata.name)
            owner = {"annotations": pod_request_obj.metadata.annotations, "labels": pod_request_obj.metadata.labels}
            return self.client.patch_namespaced_pod(found.metadata.name, self.settings.namespace, {"metadata": owner})
        if found:
            self._remove(found)
        send_inputs(self.settings, self.stage, Path(self.request))
        try:
            created = self.client.create_namespaced_pod(self.settings.namespace, pod_request_obj)
        except ApiException as error:
            if error.status != 409:
                raise
            return self.get_or_create_pod(pod_request_obj, context)  # someone else was faster: follow theirs
        self.log.info("Made pod %s from %s.", created.metadata.name, self.settings.image)
        return created

    def convert_config_file_to_dict(self) -> None:
        """Nothing: the trigger would carry the kubeconfig and its login into Airflow's database. The triggerer reads its own KUBECONFIG."""

    def on_kill(self) -> None:
        """The task was cleared, marked or timed out: the cluster asks the training to save a checkpoint, and ends it after a minute."""
        self.pod = self.pod or self.pod_request_obj  # also when it was killed while the pod was being made
        super().on_kill()

    def _begin(self, context: Any) -> None:
        super().execute(context)

    def _watched(self, name: str) -> V1Pod | None:
        """The pod that an event of the triggerer is about."""
        return self._find(name)

    def _watch_again(self, context: Any, event: dict[str, Any]) -> None:
        """Back to the triggerer, which raises; unless it failed too often."""
        times = event.get("_redefer_count", 0)
        if times >= self.MAX_REDEFER_ATTEMPTS:
            raise LaunchInterrupted(f"The triggerer cannot watch pod {event['name']} ({event['message']}). The next try follows it.")
        self.log.info("The triggerer lost sight of pod %s (%s), which works on.", event["name"], event["message"])
        self.trigger_kwargs = {"_redefer_count": times + 1}
        self.invoke_defer_method(last_log_time=event.get("last_log_time"), context=context)

    def _finish(self, pod: V1Pod, event: dict[str, Any]) -> None:
        """Pass on the last lines, remove the pod, and raise what went wrong with it."""
        if terminated(pod):
            try:
                self._write_logs(pod, since_time=event.get("last_log_time"))
            except (HTTPError, ApiException) as error:
                self.log.warning("The last lines of pod %s cannot be read: %s", pod.metadata.name, error)
        problem = why_it_ended(self.stage, pod, self.settings, self._warnings(pod))
        if problem is None:
            fetch_results(self.settings, self.stage, Path(self.request))
        self.process_pod_deletion(pod, reraise=False)
        if problem:
            raise problem

    def _outcome(self) -> dict[str, str]:
        request = Path(self.request)
        if not last_file(request.parent, self.stage):
            missing = request.with_name(last_files(self.stage)[0])
            raise LaunchError(
                f"The pod ended well, but there is no {missing} here. See that Airflow and the pods have the same"
                f" {self.settings.claim or self.settings.data_url} as {self.settings.home}, then clear this task."
            )
        returned, self.mlflow_urls = stage_outcome(self.stage, request)
        self.do_xcom_push = True  # the stock operator's own False (no side container for results) would keep Airflow from storing this
        return returned

    def _find(self, name: str) -> V1Pod | None:
        try:
            return self.pod_manager.read_pod(V1Pod(metadata=V1ObjectMeta(name=name, namespace=self.settings.namespace)))
        except ApiException as error:
            if error.status != 404:
                raise
            return None

    def _warnings(self, pod: V1Pod) -> list[str]:
        """What the cluster says about a pod that did not start."""
        if terminated(pod):
            return []
        return [event.message for event in self.pod_manager.read_pod_events(pod).items if event.type == "Warning"]

    def _remove(self, pod: V1Pod) -> None:
        """Delete a pod and wait until it is gone. Raises LaunchInterrupted."""
        self.pod_manager.delete_pod(pod)
        advice = (
            f"its node {pod.spec.node_name} is gone; once it is, `kubectl delete pod --force` removes it, and this task can be cleared."
        )
        self._wait_until_gone("Pod", pod.metadata, lambda: self._find(pod.metadata.name), advice)

    def _wait_until_gone(self, kind: str, what: V1ObjectMeta, look: Callable[[], V1Pod | V1Job | None], advice: str) -> None:
        """Wait for the end of a pod or Job that was deleted. Raises LaunchInterrupted, which ends: see whether `advice`."""
        self.log.info("%s %s of an earlier attempt has ended or is about to; waiting until it is gone.", kind, what.name)
        deadline = time.monotonic() + REMOVAL_SECONDS
        while (left := look()) and left.metadata.uid == what.uid:
            if time.monotonic() > deadline:
                raise LaunchInterrupted(
                    f"{kind} {what.name} of an earlier attempt is still being removed after {REMOVAL_SECONDS} s. See whether {advice}"
                )
            time.sleep(min(POLL_SECONDS, 2))


def is_at_work(pod: V1Pod) -> bool:
    """Whether a pod runs, or waits for what may still come: a node, an image that is being pulled."""
    return pod.status.phase not in PodPhase.terminal_states and not terminated(pod) and not detect_pod_terminate_early_issues(pod)
