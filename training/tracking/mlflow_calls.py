"""The calls of MLflow's client that carry each kind of entry of the outbox."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from training.tracking.outbox import Entry

if TYPE_CHECKING:
    from mlflow import MlflowClient


def _send_metrics(client: "MlflowClient", run_id: str, entries: list[Entry]) -> None:
    from mlflow.entities import Metric

    metrics = [Metric(name, value, entry["time"], entry["step"] or 0) for entry in entries for name, value in entry["values"].items()]
    client.log_batch(run_id, metrics=metrics)


def _send_params(client: "MlflowClient", run_id: str, entries: list[Entry]) -> None:
    from mlflow.entities import Param

    client.log_batch(run_id, params=[Param(name, str(value)) for name, value in entries[0]["values"].items()])


def _send_tags(client: "MlflowClient", run_id: str, entries: list[Entry]) -> None:
    for name, value in entries[0]["values"].items():
        client.set_tag(run_id, name, value)


def _send_dataset(client: "MlflowClient", run_id: str, entries: list[Entry]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    values = entries[0]["values"]
    source = json.dumps({"uri": values["folder"]})
    dataset = Dataset(
        name=values["name"], digest=values["digest"], source_type="local", source=source, profile=json.dumps(values["profile"])
    )
    client.log_inputs(run_id, datasets=[DatasetInput(dataset, tags=[InputTag("mlflow.data.context", values["context"])])])


def _send_artifact(client: "MlflowClient", run_id: str, entries: list[Entry]) -> None:
    path = Path(entries[0]["path"])
    send = client.log_artifacts if path.is_dir() else client.log_artifact
    send(run_id, str(path), entries[0]["folder"] or None)


def _send_table(client: "MlflowClient", run_id: str, entries: list[Entry]) -> None:
    """What `log_table` does, less its need of pandas and its appending when it is sent twice."""
    path = Path(entries[0]["path"])
    client.log_artifact(run_id, str(path))
    logged = json.loads(client.get_run(run_id).data.tags.get("mlflow.loggedArtifacts", "[]"))
    entry = {"path": path.name, "type": "table"}
    client.set_tag(run_id, "mlflow.loggedArtifacts", json.dumps([*(other for other in logged if other != entry), entry]))


def _send_status(client: "MlflowClient", run_id: str, entries: list[Entry]) -> None:
    client.set_terminated(run_id, entries[0]["value"])


SEND: dict[str, Callable[["MlflowClient", str, list[Entry]], None]] = {
    "metrics": _send_metrics,
    "params": _send_params,
    "tags": _send_tags,
    "dataset": _send_dataset,
    "artifact": _send_artifact,
    "table": _send_table,
    "status": _send_status,
}
"""By kind. Metrics come several entries at once, everything else one by one."""
UPLOADS = ("artifact", "table")
"""Kinds whose call sends a file."""
