"""Champions in MLflow's model registry: promote, find, fetch, roll back; each move is recorded with who, when, from, to, why."""

import hashlib
import json
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ghostwriter.errors import PromotionError
from ghostwriter.home import Home
from ghostwriter.writer import Writer

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, PREVIOUS = "champion", "previous"
ADAPTER_FILE = "adapter_model.safetensors"
DIGEST_TAG = "adapter_sha256"


def model_name(stem: str) -> str:
    """Name of a writer's registered model."""
    return f"ghostwriter-{stem}"


def alias_version(client: "MlflowClient", stem: str, alias: str) -> "ModelVersion | None":
    """The version an alias points to, or None."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(model_name(stem), alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def fetch_champion(client: "MlflowClient", home: Home, stem: str) -> tuple[str, Path] | None:
    """The champion's name (`champion-v3`) and its adapter folder, downloaded once; None while there is no champion."""
    import mlflow

    version = alias_version(client, stem, CHAMPION)
    if version is None:
        return None
    name = f"champion-v{version.version}"
    folder = home.models / "champions" / stem / name
    if not (folder / ADAPTER_FILE).exists() or adapter_digest(folder) != version.tags.get(DIGEST_TAG):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            downloaded = mlflow.artifacts.download_artifacts(artifact_uri=version.source, dst_path=scratch)
            shutil.rmtree(folder, ignore_errors=True)
            Path(downloaded).replace(folder)
    return name, folder


def promote(client: "MlflowClient", writer: Writer, run_id: str, adapter: Path, tags: dict[str, str], who: str, why: str) -> str:
    """Register the adapter logged in a run and make it the champion; returns the version. Running it again changes nothing."""
    name = model_name(writer.stem)
    version = _registered(client, writer, run_id, adapter, tags)
    champion = alias_version(client, writer.stem, CHAMPION)
    if champion is not None and str(champion.version) == version:
        return version
    if champion is not None:
        client.set_registered_model_alias(name, PREVIOUS, champion.version)
    client.set_registered_model_alias(name, CHAMPION, version)
    _record(client, name, who=who, why=why, old=str(champion.version) if champion else None, new=version)
    return version


def roll_back(client: "MlflowClient", stem: str, who: str, why: str) -> str:
    """Make the previous champion the champion again; returns its version. Raises PromotionError when there is none."""
    champion, previous = alias_version(client, stem, CHAMPION), alias_version(client, stem, PREVIOUS)
    if champion is None or previous is None:
        raise PromotionError(f"{model_name(stem)} has no {'previous champion' if champion else 'champion'} to roll back to.")
    name = model_name(stem)
    client.set_registered_model_alias(name, CHAMPION, previous.version)
    client.set_registered_model_alias(name, PREVIOUS, champion.version)
    _record(client, name, who=who, why=why, old=str(champion.version), new=str(previous.version))
    return str(previous.version)


def adapter_digest(adapter: Path) -> str:
    """SHA-256 (hex) of an adapter's weights."""
    with (adapter / ADAPTER_FILE).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def same_adapter(one: Path, other: Path) -> bool:
    """Whether two adapter folders hold the same weights."""
    return adapter_digest(one) == adapter_digest(other)


def _registered(client: "MlflowClient", writer: Writer, run_id: str, adapter: Path, tags: dict[str, str]) -> str:
    name, digest = model_name(writer.stem), adapter_digest(adapter)
    _make_model(client, name, f"Answers in the voice of {writer.name}: LoRA adapters. The alias `champion` is the one in use.")
    for version in client.search_model_versions(f"name = '{name}'"):
        if version.tags.get(DIGEST_TAG) == digest:
            return str(version.version)
    source = f"{client.get_run(run_id).info.artifact_uri}/adapter"
    version = client.create_model_version(name, source=source, run_id=run_id, tags={**tags, DIGEST_TAG: digest})
    return str(version.version)


def _make_model(client: "MlflowClient", name: str, description: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description=description)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _record(client: "MlflowClient", name: str, *, who: str, why: str, old: str | None, new: str) -> None:
    when = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    move = json.dumps({"who": who, "when": when, "from": old, "to": new, "why": why}, ensure_ascii=False)
    client.set_registered_model_tag(name, f"move.{when}", move)
