"""Pods and jobs of GPU stages that no task instance needs any more, removed: what a kill at the wrong moment can leave."""

import logging
import time
from collections.abc import Callable
from datetime import timedelta

from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from kubernetes.client import V1Job

from ghostwriter.errors import GhostwriterError
from ghostwriter.launchers.kubernetes.job import JOB_LABEL, PROPAGATION
from ghostwriter.launchers.kubernetes.problems import cluster_problems
from ghostwriter.launchers.kubernetes.settings import PodSettings
from ghostwriter.launchers.task_labels import RUN_LABEL, STAGE_LABEL

log = logging.getLogger(__name__)


SWEEP_EVERY = 60.0


def keep_removing(is_needed: Callable[[dict[str, str]], bool], for_time: timedelta, pause: float = SWEEP_EVERY) -> list[str]:
    """Remove leftovers every minute for so long; returns their names. A cluster that does not answer is asked again the next time.

    Raises the cluster's last problem when it has not answered in the end.
    """
    end, removed = time.monotonic() + for_time.total_seconds(), list[str]()
    while True:
        problem = None
        try:
            removed += remove_leftovers(is_needed)
        except GhostwriterError as error:
            log.warning("%s", error)
            problem = error
        if time.monotonic() + pause > end:
            break
        time.sleep(pause)
    if problem:
        raise problem
    return removed


def remove_leftovers(is_needed: Callable[[dict[str, str]], bool]) -> list[str]:
    """Remove the pods and jobs, running or ended, that by their annotations no task instance needs; returns their names."""
    settings = PodSettings.from_environment()
    namespace = settings.namespace
    with cluster_problems(settings):
        hook = KubernetesHook()
        pods, jobs = hook.core_v1_client, hook.batch_v1_client
        found = [
            *pods.list_namespaced_pod(namespace, label_selector=f"{STAGE_LABEL},!{JOB_LABEL}").items,  # a job's pods go with it
            *jobs.list_namespaced_job(namespace, label_selector=STAGE_LABEL).items,
        ]
        left = [one for one in found if not one.metadata.deletion_timestamp and not is_needed(one.metadata.annotations)]
        for one in left:
            name, told = one.metadata.name, one.metadata.annotations
            if isinstance(one, V1Job):
                jobs.delete_namespaced_job(name, namespace, propagation_policy=PROPAGATION)
            else:
                pods.delete_namespaced_pod(name, namespace)
            log.info("Removed %s: %s of %s", name, told[STAGE_LABEL], told[RUN_LABEL])
    return [str(one.metadata.name) for one in left]
