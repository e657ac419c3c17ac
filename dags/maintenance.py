"""`maintenance`: with launcher `docker` or `kubernetes`, containers and pods that no task needs any more are removed."""

from airflow.sdk import dag, task

from ghostwriter.launchers.stages import launcher
from ghostwriter.launchers.task_labels import task_needs
from ghostwriter.tasks.body import actionable

SCHEDULES = {"local": None, "docker": "@hourly", "kubernetes": "* * * * *"}
"""Nothing else stops a pod that nobody follows; an unfollowed container is stopped by the guarded Docker API."""


@dag(
    dag_id="maintenance",
    dag_display_name="Maintenance",
    schedule=SCHEDULES[launcher()],
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=["ghostwriter"],
    default_args={"owner": "ghostwriter"},
)
def maintenance() -> None:
    """### Leftover containers

    A task that was killed can leave a container or a pod behind. A container that runs on unfollowed is stopped by the guarded Docker
    API within a minute; this removes what is left of it. A pod is asked to end and removed. What still has a task that runs, waits or
    will be retried stays.
    """

    @task(doc_md="Remove training containers and pods whose task instance has ended or is gone, found by their labels.")
    @actionable
    def remove_leftovers(*, ti: object) -> list[str]:
        if launcher() == "kubernetes":
            from ghostwriter.launchers.kubernetes.leftovers import remove_leftovers
        else:
            from ghostwriter.launchers.docker import remove_leftovers
        return remove_leftovers(task_needs(ti))

    remove_leftovers()


if launcher() != "local":
    maintenance()
