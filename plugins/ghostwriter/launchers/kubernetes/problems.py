"""Why a pod or a call to the Kubernetes API failed, in words, and whether running again can help."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import KubernetesApiException
from kubernetes.client import ApiException, V1ContainerStateTerminated, V1Pod
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from ghostwriter.errors import LaunchError, LaunchInterrupted
from ghostwriter.launchers.kubernetes.settings import PodSettings

STOPPED_STATUS = 143
LOST_STATUS = 144
"""Of a pod that only lost the others of its training: training/errors.py."""
AGAIN = "Run the task again: it goes on from its checkpoint."


def terminated(pod: V1Pod) -> V1ContainerStateTerminated | None:
    """How the pod's container ended; None when it has not, or never began."""
    states = [one.state.terminated for one in pod.status.container_statuses or [] if one.state]
    return next((state for state in states if state), None)


def why_it_ended(stage: str, pod: V1Pod, settings: PodSettings, events: list[str]) -> LaunchError | None:
    """What went wrong with a pod that is at its end or did not begin; None when its container ended with status 0."""
    name, ended = pod.metadata.name, terminated(pod)
    if ended and ended.exit_code == 0:
        return None
    if ended and ended.reason == "OOMKilled":
        return LaunchError(
            f"training {stage} used more than the {settings.memory} of memory it may use, and was killed."
            " Raise GHOSTWRITER_TRAINING_MEMORY, or lower micro_batch in the recipe. The last checkpoint is kept."
        )
    if outside := _ended_from_outside(pod):
        return LaunchInterrupted(f"Pod {name} was ended from outside: {outside} {AGAIN}")
    if ended is None:
        return LaunchError(f"Pod {name} did not start: {_not_started(pod, settings, events)}")
    if ended.exit_code == STOPPED_STATUS:
        return LaunchInterrupted(f"Pod {name} was asked to end. {AGAIN}")
    if ended.exit_code == LOST_STATUS:
        return LaunchInterrupted(f"Pod {name} lost another pod of its training. {AGAIN} Its last lines:\n{_last_lines(ended)}")
    return LaunchError(f"training {stage} ended with status {ended.exit_code} and no result. Its last lines:\n{_last_lines(ended)}")


def _ended_from_outside(pod: V1Pod) -> str:
    """Who or what ended the pod (eviction, preemption, a node going down, `kubectl delete`); empty when it was none of these."""
    conditions = [one for one in pod.status.conditions or [] if one.type == "DisruptionTarget" and one.status == "True"]
    if pod.status.reason:
        return f"{pod.status.reason}. {pod.status.message or ''}".rstrip(". ") + "."
    if conditions:
        return f"{conditions[0].reason}. {conditions[0].message or ''}".rstrip(". ") + "."
    return "it was deleted." if pod.metadata.deletion_timestamp else ""


def _not_started(pod: V1Pod, settings: PodSettings, events: list[str]) -> str:
    unscheduled = [one for one in pod.status.conditions or [] if one.type == "PodScheduled" and one.status == "False"]
    if unscheduled:
        return (
            f"no node took it within {settings.start_seconds} s. The scheduler says: {unscheduled[0].message} It asks for"
            f" {settings.gpus} GPUs, {settings.cpus} CPUs and {settings.memory}. Free or add a node that has them,"
            " or change GHOSTWRITER_GPUS and its neighbours; then clear this task."
        )
    waiting = next((one.state.waiting for one in pod.status.container_statuses or [] if one.state and one.state.waiting), None)
    words = f"{waiting.reason}: {waiting.message or ''}".strip(": ") if waiting and waiting.reason else "its container never began"
    said = f" The cluster says: {' '.join(events[-3:])}" if events else ""
    if waiting and "Image" in (waiting.reason or ""):
        return (
            f"{words}.{said} See that GHOSTWRITER_TRAINING_IMAGE ({settings.image}) is right, and that the service account"
            f" {settings.service_account} has imagePullSecrets if the registry wants a login; then clear this task."
        )
    return f"{words}.{said} See to that, then clear this task."


def _last_lines(ended: V1ContainerStateTerminated) -> str:
    return "\n".join((ended.message or "").splitlines()[-8:])


@contextmanager
def cluster_problems(settings: PodSettings) -> Iterator[None]:
    """Turn an API server that does not answer, or refuses, into what to do about it."""
    try:
        yield
    except ApiException as error:
        raise _refusal(error, settings) from None
    except ConfigException as error:
        raise LaunchError(
            f"There is no way to the Kubernetes API: {error}. Outside a cluster set KUBECONFIG or the connection `kubernetes_default`."
        ) from None
    except (HTTPError, KubernetesApiException) as error:
        raise LaunchInterrupted(
            f"No Kubernetes API server answers ({error}). A pod that runs goes on, and the next try follows it."
        ) from None


def _refusal(error: Any, settings: PodSettings) -> LaunchError:
    """What the API server said, and what to do about it."""
    words = _message(error)
    if error.status == 429 or error.status >= 500:
        return LaunchInterrupted(f"The Kubernetes API server cannot answer now ({error.status}): {words}")
    known = {
        "exceeded quota": "Wait until a pod ends or have the quota raised, then clear this task.",
        "no PriorityClass": "Make the priority class, or change GHOSTWRITER_K8S_PRIORITY_CLASS.",
        "violates PodSecurity": "The namespace must allow what training_pod.yaml asks for (it is made for `restricted`).",
        "error looking up service account": "Make the service account, or change GHOSTWRITER_K8S_SERVICE_ACCOUNT.",
        "cannot ": f"Give Airflow's service account the role for pods and jobs in the namespace {settings.namespace}.",
        "namespaces ": "Make the namespace, or change GHOSTWRITER_K8S_NAMESPACE.",
        "Unauthorized": "Its login is wrong or has ended: see to KUBECONFIG or the connection `kubernetes_default`.",
    }
    advice = next((advice for part, advice in known.items() if part in words), "")
    return LaunchError(f"The Kubernetes API refused ({error.status}): {words}. {advice}".rstrip())


def _message(error: Any) -> str:
    """The sentence in the body of a refusal."""
    try:
        return str(json.loads(error.body)["message"])
    except (ValueError, TypeError, KeyError):
        return str(error.reason)
