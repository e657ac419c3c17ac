"""A dataset's totals as a small MLflow run in the writer's experiment: rows, calls by their end, cost, diversity, and the manifest."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghostwriter.dataset import dataset_metrics
from ghostwriter.pipeline_run import close_run, open_run
from ghostwriter.snapshot import MANIFEST, read_manifest
from ghostwriter.writer import Writer

if TYPE_CHECKING:
    from mlflow import MlflowClient


def record_dataset(client: "MlflowClient", writer: Writer, dataset: Path, airflow_name: str, airflow_url: str) -> str:
    """Log the totals of a finished dataset; returns the run's id. A retry finds its run again."""
    manifest = read_manifest(dataset)
    run_id = open_run(client, writer.stem, f"distil {manifest.created:%Y-%m-%d %H:%M}", airflow_name, airflow_url)
    for name, value in dataset_metrics(dataset).items():
        client.log_metric(run_id, name, value)
    teacher: dict[str, Any] = manifest.facts.get("teacher", {})
    facts = {"mode": manifest.facts.get("mode"), "teacher": teacher.get("model"), "prompt_hash": teacher.get("prompt_hash")}
    for name, fact in {**facts, "dataset": manifest.digest[:16]}.items():
        client.set_tag(run_id, f"ghostwriter.{name}", str(fact))
    client.log_artifact(run_id, str(dataset / MANIFEST))
    close_run(client, run_id, succeeded=True)
    return run_id
