"""What the tasks of the DAG `housekeeping` do, for one writer by stem, or for all logs. With a dry run nothing is removed, only told."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ghostwriter.home import Home
from ghostwriter.keeping import logs
from ghostwriter.keeping.batch_files import remove_batch_files
from ghostwriter.keeping.tidy import say, tidy
from ghostwriter.mlflow_runs.server import mlflow_client
from ghostwriter.tasks.connections import teacher_endpoint
from ghostwriter.writer import load_writer, log_days


def tidy_writer(stem: str, *, dry_run: bool) -> dict[str, int]:
    """Remove what of the writer's nights is needed by nothing; returns how many folders and adapters went, and their bytes."""
    done = tidy(load_writer(stem), Home.default(), mlflow_client(), datetime.now(UTC), dry_run=dry_run)
    say(done, dry_run=dry_run)
    return {"folders": len(done.folders), "bytes": done.bytes, "adapters": len(done.adapters)}


def tidy_batches(stem: str, *, dry_run: bool) -> int:
    """Remove the files of finished batches at the teacher's vendor; returns how many went."""
    writer = load_writer(stem)
    endpoint = partial(teacher_endpoint, writer.teacher.connection)
    return len(remove_batch_files(writer, Home.default(), endpoint, datetime.now(UTC), dry_run=dry_run))


def tidy_logs(*, dry_run: bool) -> int:
    """Remove old logs of tasks, and cut those of services that grew long; returns how many."""
    from airflow.configuration import conf

    folder = Path(conf.get("logging", "base_log_folder"))
    return len(logs.tidy_logs(Home.default(), folder, datetime.now(UTC), log_days(), dry_run=dry_run))
