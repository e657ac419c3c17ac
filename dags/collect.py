"""`<writer>_collect` for each file in writers/: the night starts here. New answers become a snapshot and an asset event."""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, dag, task

from ghostwriter.tasks import dataset_stages as stages, forms
from ghostwriter.tasks.assets import answers_asset, dataset_asset
from ghostwriter.tasks.body import actionable, dag_defaults, titled
from ghostwriter.tasks.stoppable import stoppable
from ghostwriter.tasks.time_limits import time_limits
from ghostwriter.tasks.writer_dags import writer_dags
from ghostwriter.writer import Writer


def collect_dag(writer: Writer) -> DAG:
    """Build the DAG of one writer."""
    answers, dataset = answers_asset(writer.stem), dataset_asset(writer.stem)
    schedule, limits = writer.schedule, time_limits(writer)

    @dag(
        dag_id=f"{writer.stem}_collect",
        dag_display_name=titled(writer, "1 collect"),
        schedule=CronTriggerTimetable(schedule.cron, timezone=schedule.timezone) if schedule.cron else None,
        **dag_defaults(writer, "nightly", limits.of_run("collect"), starts_paused=True),
    )
    def collect() -> None:
        """### Site -> archive -> snapshot of answers

        Reads what is new since the last night, slowly, over one connection, and keeps it in the archive. If anything changed, a
        cleaned snapshot is written, and distilling and training follow by themselves; a night without anything new ends here, green.

        **How long:** 15 minutes for 4,000 answers the first time, seconds afterwards.
        **When it fails:** the log's last line says what to do. An expired cookie or a site that asks for a captcha is not retried:
        renew the connection, or import a HAR file (see the README). What was collected is kept; trigger it again and it goes on.
        """

        @stoppable(execution_timeout=limits.collect, retries=2, retry_delay=timedelta(minutes=5), retry_exponential_backoff=2.0)
        @actionable
        def read_site(*, params: dict) -> dict[str, object]:
            """Fetch new and changed answers into the archive."""
            from ghostwriter.collecting.collect import collect as collect_answers
            from ghostwriter.home import Home
            from ghostwriter.tasks.connections import site_access

            home = Home.default()
            home.check_space()
            report = collect_answers(writer, home, full=params["full"], **site_access(writer.source))
            return report.model_dump(mode="json")

        @task(outlets=[answers])
        @actionable
        def snapshot(report: dict[str, object], *, outlet_events: dict) -> str:
            """Write the cleaned answers as a snapshot, and wake distilling; skipped when they are distilled already."""
            folder = stages.take_snapshot(writer, report["known"])
            outlet_events[answers].extra = {"location": folder}
            return folder

        @task(outlets=[dataset], trigger_rule="none_failed")
        @actionable
        def wake_training(*, outlet_events: dict) -> None:
            """Wake training when an earlier night left a dataset nobody trained on; else skipped."""
            outlet_events[dataset].extra = {"location": stages.dataset_that_waits(writer)}

        snapshot(read_site()) >> wake_training()

    return collect()


globals().update(writer_dags("collect", collect_dag, forms.collecting))
