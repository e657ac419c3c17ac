"""`<writer>_rollback` for each file in writers/: the champion before this one becomes the champion again."""

from airflow.sdk import DAG, Param, dag, task

from ghostwriter import stages
from ghostwriter.operators import actionable
from ghostwriter.writer import Writer, readable_writers


def rollback_dag(writer: Writer) -> DAG:
    """Build the DAG of one writer."""

    @dag(
        dag_id=f"{writer.stem}_rollback",
        dag_display_name=f"{writer.name}: roll back",
        schedule=None,
        max_active_runs=1,
        tags=["ghostwriter", writer.stem],
        default_args={"owner": "ghostwriter"},
        params={"why": Param("rolled back by hand", type="string", minLength=3, title="Why", description="Kept with the move.")},
    )
    def rollback() -> None:
        """### Champion <-> previous

        Swaps the aliases `champion` and `previous` of the registered model, and records who, when and why. Run it again to swap back.
        """

        @task
        @actionable
        def roll_back(*, params: dict, dag_run: object) -> str:
            """Swap the aliases; returns the version that is the champion now."""
            return stages.roll_back(writer, params["why"], dag_run)

        roll_back()

    return rollback()


for readable in readable_writers():
    rollback_dag(readable)
