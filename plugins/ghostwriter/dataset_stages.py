"""The bodies of the distilling DAG's tasks. Arguments are locations and small values."""

from pathlib import Path
from typing import Any

from ghostwriter.writer import Mode, Writer


def distill(writer: Writer, answers: str, mode: Mode) -> str:
    """Build the dataset; returns its folder. Mode `direct` needs no connection, `self-instruct` the student's."""
    from ghostwriter.connections import teacher_endpoint
    from ghostwriter.distill import distill as distill_answers
    from ghostwriter.home import Home

    home = Home.default()
    home.check_space()
    endpoint = None if mode == "direct" else teacher_endpoint(writer.asking(mode).teacher.connection)
    return str(distill_answers(writer, home, Path(answers), endpoint, mode=mode))


def record(writer: Writer, dataset: str, dag_run: Any) -> str:
    """Log a dataset's totals to MLflow; returns the run's id."""
    from ghostwriter.dataset_run import record_dataset
    from ghostwriter.pipeline_run import airflow_run
    from ghostwriter.stages import mlflow_client

    return record_dataset(mlflow_client(), writer, Path(dataset), *airflow_run(dag_run))
