"""A writer's registered model as a folder, and back: its moves, and the versions that bear an alias with their weights and figures."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from ghostwriter.errors import GhostwriterError
from ghostwriter.home import Home
from ghostwriter.judging.file_transfer import time_for_files
from ghostwriter.judging.mlmodel import DIGEST_TAG, log_model
from ghostwriter.judging.moves import CHAMPION, PENDING_TAG, PREVIOUS
from ghostwriter.judging.promote import adapter_digest, download_version, model_name
from ghostwriter.mlflow_runs.experiment import experiment_of
from ghostwriter.writer import Writer

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import RegisteredModel

FILE = "model.json"
LEFT_OUT = "mlflow-artifacts:/left-out"


class Copied(BaseModel):
    """A version: number, tags, description, and what its training run told MLflow."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int
    tags: dict[str, str]
    description: str
    run_name: str
    run_tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]


class Model(BaseModel):
    """A registered model: `aliases` are those that are kept, by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tags: dict[str, str]
    description: str
    aliases: dict[str, int]
    versions: tuple[Copied, ...]


def copy_model(client: "MlflowClient", home: Home, stem: str, folder: Path) -> Model | None:
    """Copy a writer's model into `folder`; None while there is none. What is read at once, aliases and tags, is of one moment."""
    found = registered(client, stem)
    if found is None:
        return None
    aliases = {alias: int(number) for alias, number in found.aliases.items() if alias in (CHAMPION, PREVIOUS)}
    versions = tuple(_copy_version(client, home, stem, number, folder) for number in sorted(set(aliases.values())))
    tags = {name: value for name, value in found.tags.items() if name != PENDING_TAG}
    model = Model(tags=tags, description=found.description or "", aliases=aliases, versions=versions)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(model.model_dump_json(indent=1), encoding="utf-8")
    return model


def restore_model(client: "MlflowClient", writer: Writer, folder: Path) -> Model | None:
    """Make the model again, its versions under their numbers; None when the backup has none. One that is there is made anew."""
    if not (folder / FILE).exists():
        return None
    model, name = Model.model_validate_json((folder / FILE).read_bytes()), model_name(writer.stem)
    if registered(client, writer.stem):
        client.delete_registered_model(name)
    client.create_registered_model(name, description=model.description)
    for number in range(1, max((version.number for version in model.versions), default=0) + 1):
        copied = next((version for version in model.versions if version.number == number), None)
        if copied:
            _restore_version(client, writer, copied, folder / str(number))
        else:
            client.create_model_version(name, LEFT_OUT)  # uses up the number
    _remove_left_out(client, name)
    for alias, number in model.aliases.items():
        client.set_registered_model_alias(name, alias, str(number))
    for tag, value in model.tags.items():
        client.set_registered_model_tag(name, tag, value)
    return model


def registered(client: "MlflowClient", stem: str) -> "RegisteredModel | None":
    """The writer's registered model; None while there is none."""
    found = client.search_registered_models(f"name = '{model_name(stem)}'")
    return client.get_registered_model(model_name(stem)) if found else None


def _copy_version(client: "MlflowClient", home: Home, stem: str, number: int, folder: Path) -> Copied:
    version = client.get_model_version(model_name(stem), str(number))
    shutil.copytree(download_version(client, home, stem, version).adapter, folder / str(number), dirs_exist_ok=True)
    run = client.get_run(version.run_id) if version.run_id else None  # one registered by hand has none
    return Copied(
        number=number,
        tags=version.tags,
        description=version.description or "",
        run_name=(run and run.info.run_name) or "train",
        run_tags={name: value for name, value in run.data.tags.items() if name.startswith("ghostwriter.")} if run else {},
        params=run.data.params if run else {},
        metrics=run.data.metrics if run else {},
    )


def _restore_version(client: "MlflowClient", writer: Writer, copied: Copied, adapter: Path) -> None:
    from mlflow.entities import Metric, Param

    if (digest := adapter_digest(adapter)) != copied.tags.get(DIGEST_TAG, digest):
        raise GhostwriterError(f"The weights in {adapter} are not those of version {copied.number}. Restore from another backup.")
    name, experiment = model_name(writer.stem), experiment_of(client, writer.stem)
    run: Any = client.create_run(experiment, tags=copied.run_tags, run_name=copied.run_name)
    params = [Param(key, value) for key, value in copied.params.items()]
    client.log_batch(run.info.run_id, [Metric(key, value, run.info.start_time, 0) for key, value in copied.metrics.items()], params)
    with time_for_files():
        client.log_artifacts(run.info.run_id, str(adapter), "adapter")
    log_model(client, writer, name, run.info.run_id, copied.tags)
    client.set_terminated(run.info.run_id)
    made = client.create_model_version(
        name, f"{run.info.artifact_uri}/adapter", run.info.run_id, tags=copied.tags, description=copied.description
    )
    assert int(made.version) == copied.number, (made.version, copied.number)


def _remove_left_out(client: "MlflowClient", name: str) -> None:
    for version in client.search_model_versions(f"name = '{name}'"):
        if version.source == LEFT_OUT:
            client.delete_model_version(name, version.version)
