"""`housekeeping`: once a week, what no champion, no newest candidate and nothing at work needs is removed."""

from airflow.sdk import dag, task

from ghostwriter.tasks import forms
from ghostwriter.tasks.body import AGAIN, OWNER, actionable
from ghostwriter.tasks.in_language import common_language, form_in, speak
from ghostwriter.tasks.time_limits import LONG, SHORT
from ghostwriter.words.catalogue import say

LANGUAGE = common_language()


@dag(
    dag_id="housekeeping",
    dag_display_name=say("Housekeeping", LANGUAGE),
    schedule="@weekly",
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=[OWNER],
    dagrun_timeout=LONG,
    default_args={"owner": OWNER, "execution_timeout": SHORT, **AGAIN},
    params=form_in(forms.tidying(), LANGUAGE),
)
def housekeeping() -> None:
    """### What the nights leave behind

    Removes snapshots, datasets, run folders and fetched adapters that neither the champion, the version before it, the newest
    candidates nor anything at work needs; in MLflow the adapters (not the figures) of candidates that were never registered; old
    logs; and at the teacher's vendor the files of batches whose answers are all in the ledger. `[keep]` in a writer file says how
    much stays. Archive, ledger, votes and the record of moves are never touched: only `purge` does.
    **How long:** seconds. **When it fails:** the log's last line says what to do; run it again, it goes on.
    Airflow's own tables are cleaned by `airflow db clean`, which cannot run in a DAG: docs/upkeep.md.
    """

    @task
    def list_writers() -> list[str]:
        """The writers whose files can be read; what others left stays."""
        from ghostwriter.writer import readable_writers

        return [writer.stem for writer in readable_writers()]

    @task(max_active_tis_per_dag=1)
    @actionable
    def tidy_writer(stem: str, *, params: dict) -> dict:
        """Remove what of a writer's nights is needed by nothing."""
        from ghostwriter.keeping.housekeeping import tidy_writer

        return tidy_writer(stem, dry_run=params["dry_run"])

    @task(max_active_tis_per_dag=1)
    @actionable
    def tidy_batches(stem: str, *, params: dict) -> int:
        """Remove the files of finished batches at the teacher's vendor."""
        from ghostwriter.keeping.housekeeping import tidy_batches

        return tidy_batches(stem, dry_run=params["dry_run"])

    @task
    @actionable
    def tidy_logs(*, params: dict) -> int:
        """Remove old logs of tasks; cut those of services that grew long."""
        from ghostwriter.keeping.housekeeping import tidy_logs

        return tidy_logs(dry_run=params["dry_run"])

    writers = list_writers()
    tidy_writer.expand(stem=writers)
    tidy_batches.expand(stem=writers)
    tidy_logs()


speak(housekeeping(), LANGUAGE)
