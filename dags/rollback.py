"""`<writer>_rollback` for each file in writers/: the champion before this one becomes the champion again."""

from airflow.sdk import DAG, Param, dag, task

from ghostwriter import stages
from ghostwriter.assets import champion_asset
from ghostwriter.notify import on_new_champion
from ghostwriter.operators import actionable, task_defaults
from ghostwriter.writer import Writer, readable_writers


def rollback_dag(writer: Writer) -> DAG:
    """Build the DAG of one writer."""
    champion = champion_asset(writer.stem)

    @dag(
        dag_id=f"{writer.stem}_rollback",
        dag_display_name=f"{writer.name}: roll back",
        schedule=None,
        max_active_runs=1,
        tags=["ghostwriter", writer.stem],
        default_args=task_defaults(writer),
        params={
            "version": Param(
                None, type=["null", "string"], pattern="^[0-9]+$", title="Version", description="Empty: the champion before this one."
            ),
            "why": Param("rolled back by hand", type="string", minLength=3, maxLength=500, title="Why", description="Kept with the move."),
        },
    )
    def rollback() -> None:
        """### Champion <-> previous

        Makes the previous champion, or the version named, the champion again, and records who, when and why. Run it again to swap back.
        """

        @task(outlets=[champion], on_success_callback=on_new_champion(writer))
        @actionable
        def roll_back(*, params: dict, outlet_events: dict, dag_run: object) -> str:
            """Move the aliases back; returns the version that is the champion now."""
            version = stages.roll_back(writer, params["why"], params["version"], dag_run)
            outlet_events[champion].extra = {"location": version}
            return version

        roll_back()

    return rollback()


for readable in readable_writers():
    rollback_dag(readable)
