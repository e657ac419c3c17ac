"""`<writer>_rollback` for each file in writers/: the champion before this one becomes the champion again."""

from airflow.sdk import DAG, dag, task

from ghostwriter.tasks import forms, stages
from ghostwriter.tasks.assets import champion_asset
from ghostwriter.tasks.body import actionable, dag_defaults, titled
from ghostwriter.tasks.notify import on_new_champion
from ghostwriter.tasks.time_limits import SHORT
from ghostwriter.tasks.writer_dags import writer_dags
from ghostwriter.writer import Writer


def rollback_dag(writer: Writer) -> DAG:
    """Build the DAG of one writer."""
    champion = champion_asset(writer.stem)

    @dag(
        dag_id=f"{writer.stem}_rollback",
        dag_display_name=titled(writer, "roll back"),
        schedule=None,
        **dag_defaults(writer, "by hand", SHORT),
    )
    def rollback() -> None:
        """### Champion <-> previous

        Makes the previous champion, or the version named, the champion again, and records who, when and why. Run it again to swap back.
        **How long:** seconds. **When it fails:** the log's last line says which versions there are; nothing was changed.
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


globals().update(writer_dags("rollback", rollback_dag, forms.rolling_back))
