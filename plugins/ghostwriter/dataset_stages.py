"""The bodies of the distilling DAG's tasks. Arguments are locations and small values."""

from pathlib import Path
from typing import Any

from ghostwriter.writer import Mode, Writer


def distill(writer: Writer, answers: str, mode: Mode) -> str:
    """Build the dataset; returns its folder. Mode `direct` needs no connection to a teacher."""
    from ghostwriter.connections import teacher_endpoint
    from ghostwriter.distill import distill as distill_answers
    from ghostwriter.home import Home

    home = Home.default()
    home.check_space()
    endpoint = None if mode == "direct" else teacher_endpoint(writer.teacher.connection)
    return str(distill_answers(writer, home, Path(answers), endpoint, mode=mode))


def record(writer: Writer, dataset: str, dag_run: Any) -> str:
    """Log a dataset's totals to MLflow; returns the run's id."""
    from airflow.configuration import conf

    from ghostwriter.dataset_run import record_dataset
    from ghostwriter.stages import tracking_uri

    url = f"{conf.get('api', 'base_url', fallback='')}/dags/{dag_run.dag_id}/runs/{dag_run.run_id}"
    return record_dataset(writer, Path(dataset), tracking_uri(), f"{dag_run.dag_id}/{dag_run.run_id}", url)
