"""`maintenance`: with launcher `docker`, containers that no task needs any more are removed every hour."""

from airflow.sdk import dag, task

from ghostwriter.operators import actionable, launcher


@dag(
    dag_id="maintenance",
    dag_display_name="Maintenance",
    schedule="@hourly",
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=["ghostwriter"],
    default_args={"owner": "ghostwriter"},
)
def maintenance() -> None:
    """### Leftover containers

    A task that was killed can leave a container behind. One that runs on unfollowed is stopped by the guarded Docker API within a
    minute; this removes what is left of it. Containers whose task still runs, waits or will be retried stay.
    """

    @task(doc_md="Remove training containers whose task instance has ended or is gone, found by their labels.")
    @actionable
    def remove_leftovers(*, ti: object) -> list[str]:
        from ghostwriter.docker_stage import remove_leftovers, task_needs

        return remove_leftovers(task_needs(ti))

    remove_leftovers()


if launcher() == "docker":
    maintenance()
