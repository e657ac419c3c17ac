"""`maintenance`: with launcher `docker` or `kubernetes`, containers and pods that no task needs any more are removed."""

from datetime import timedelta

from airflow.sdk import dag, task

from ghostwriter.launchers.stages import launcher
from ghostwriter.launchers.task_labels import task_needs
from ghostwriter.tasks.body import actionable
from ghostwriter.tasks.in_language import common_language, speak
from ghostwriter.tasks.time_limits import SHORT
from ghostwriter.words.catalogue import say

LANGUAGE = common_language()
SWEEP_FOR = timedelta(minutes=58)
"""Of an hour. Nothing else stops a pod that nobody follows, so on Kubernetes they are looked at every minute, by one task an hour: with a
task a minute KubernetesExecutor would make half a million pods a year. An unfollowed container the guarded Docker API stops."""


@dag(
    dag_id="maintenance",
    dag_display_name=say("Maintenance", LANGUAGE),
    schedule="@hourly",
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=["ghostwriter"],
    dagrun_timeout=SHORT,
    default_args={"owner": "ghostwriter", "execution_timeout": SHORT},
)
def maintenance() -> None:
    """### Leftover containers

    A task that was killed can leave a container or a pod behind. A container that runs on unfollowed is stopped by the guarded Docker
    API within a minute; this removes what is left of it. A pod is asked to end and removed, within a minute or two: on Kubernetes the
    task of an hour looks every minute. What still has a task that runs, waits or will be retried stays.
    """

    @task(doc_md="Remove training containers and pods whose task instance has ended or is gone, found by their labels.")
    @actionable
    def remove_leftovers(*, ti: object) -> list[str]:
        if launcher() == "kubernetes":
            from ghostwriter.launchers.kubernetes.leftovers import keep_removing

            return keep_removing(task_needs(ti), SWEEP_FOR)
        from ghostwriter.launchers.docker import remove_leftovers

        return remove_leftovers(task_needs(ti))

    remove_leftovers()


if launcher() != "local":
    speak(maintenance(), LANGUAGE)
