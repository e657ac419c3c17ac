"""Champions in MLflow's model registry: promote, find, fetch, roll back. Every move is made under a lock (`ghostwriter.moves`)."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghostwriter.database import open_database
from ghostwriter.errors import PromotionError
from ghostwriter.home import Home
from ghostwriter.judging.file_transfer import time_for_files
from ghostwriter.judging.mlmodel import DIGEST_TAG, log_model
from ghostwriter.judging.moves import CHAMPION, PREVIOUS, Move, finish_move, make_move, notice_move, now
from ghostwriter.lock import only_one
from ghostwriter.writer import Writer

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

ADAPTER_FILE = "adapter_model.safetensors"
LOCK_SECONDS = 60.0


@dataclass(frozen=True)
class Champion:
    """The adapter in use, downloaded."""

    version: str
    adapter: Path
    base: str
    revision: str | None
    why: str = ""
    """The verdict it was promoted with."""

    @property
    def name(self) -> str:
        """What its arm is called."""
        return f"champion-v{self.version}"


def model_name(stem: str) -> str:
    """Name of a writer's registered model."""
    return f"ghostwriter-{stem}"


def alias_version(client: "MlflowClient", stem: str, alias: str) -> "ModelVersion | None":
    """The version an alias points to, or None."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(model_name(stem), alias)
    except MlflowException as error:
        missing = error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
        if missing or (error.error_code == "PERMISSION_DENIED" and not client.search_registered_models(f"name = '{model_name(stem)}'")):
            return None  # behind a login MLflow forbids a model that is not there
        raise


def fetch_champion(client: "MlflowClient", home: Home, stem: str) -> Champion | None:
    """The champion with its adapter folder, downloaded once; None while there is none."""
    version = alias_version(client, stem, CHAMPION)
    return download_version(client, home, stem, version) if version else None


def fetch_version(client: "MlflowClient", home: Home, stem: str, number: str | None) -> Champion:
    """Any version with its adapter folder, the champion for None. Raises PromotionError when there is no such version."""
    name = model_name(stem)
    there = {str(found.version): found for found in client.search_model_versions(f"name = '{name}'")}
    version = there.get(number) if number else alias_version(client, stem, CHAMPION)
    if version is None:
        versions = ", ".join(sorted(there, key=int)) or "none"
        raise PromotionError(f"{name} has no {f'version {number}' if number else 'champion'}; its versions: {versions}.")
    return download_version(client, home, stem, version)


def download_version(client: "MlflowClient", home: Home, stem: str, version: "ModelVersion") -> Champion:
    """A version with its adapter folder, downloaded once. Raises PromotionError when its weights are not those that were registered."""
    import mlflow

    folder = version_folder(home, stem, str(version.version))
    if not (folder / ADAPTER_FILE).exists() or adapter_digest(folder) != version.tags.get(DIGEST_TAG):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            with time_for_files():
                downloaded = mlflow.artifacts.download_artifacts(
                    artifact_uri=version.source, dst_path=scratch, tracking_uri=client.tracking_uri
                )
            shutil.rmtree(folder, ignore_errors=True)
            Path(downloaded).replace(folder)
        if (wanted := version.tags.get(DIGEST_TAG)) and adapter_digest(folder) != wanted:
            raise PromotionError(
                f"The weights of version {version.version} of {version.name} in MLflow are not those that were registered"
                f" (SHA-256 {adapter_digest(folder)[:12]}..., not {wanted[:12]}...). Promote another version, or roll back."
            )
    return Champion(
        str(version.version), folder, version.tags.get("base", ""), version.tags.get("revision") or None, version.tags.get("why", "")
    )


def version_folder(home: Home, stem: str, number: str) -> Path:
    """Where a version's adapter lies once it was downloaded."""
    return home.champions(stem) / f"champion-v{number}"


def promote(
    client: "MlflowClient",
    home: Home,
    writer: Writer,
    run_id: str,
    adapter: Path,
    tags: Mapping[str, str],
    *,
    champion: str | None,
    who: str,
    why: str,
    numbers: Mapping[str, Any],
) -> str:
    """Register the adapter logged in a run and make it the champion; returns the version. Running it again changes nothing.

    `champion` is the version the verdict was made against (None: there was none). Raises PromotionError when another one is the
    champion by now: of two runs at once only one promotes.
    """
    name, digest = model_name(writer.stem), adapter_digest(adapter)
    with registry_lock(home, writer.stem):
        finish_move(client, name)
        notice_move(client, name)
        _make_model(client, name, f"Answers in the voice of {writer.name}: LoRA adapters. The alias `champion` is the one in use.")
        found = alias_version(client, writer.stem, CHAMPION)
        current = str(found.version) if found else None
        if found and found.tags.get(DIGEST_TAG) == digest:
            return str(found.version)
        if current != champion:
            raise PromotionError(
                f"The verdict was made against {_named(champion)}, but by now {_named(current)} of {name}. Nothing was promoted; "
                "trigger the training DAG again to compare with that one: nothing is trained twice."
            )
        version = _registered(client, writer, run_id, digest, tags)
        make_move(client, name, Move(kind="promotion", who=who, when=now(), old=current, new=version, why=why, numbers=dict(numbers)))
    return version


def roll_back(client: "MlflowClient", home: Home, stem: str, *, who: str, why: str, version: str | None = None) -> str:
    """Make the previous champion (or another version) the champion again; returns its version. Raises PromotionError when it cannot be.

    A roll back that a crash cut off is finished, not made a second time, which would undo it.
    """
    name = model_name(stem)
    with registry_lock(home, stem):
        finished = finish_move(client, name)
        if finished and finished.new and finished.kind == "rollback" and version in (None, finished.new):
            return finished.new
        notice_move(client, name)
        champion, previous = alias_version(client, stem, CHAMPION), alias_version(client, stem, PREVIOUS)
        if champion is None:
            raise PromotionError(f"{name} has no champion to roll back from.")
        new = version or (str(previous.version) if previous else None)
        if new is None:
            raise PromotionError(f"{name} has no previous champion to roll back to. Name a version, if there is another one.")
        _check_version(client, name, new, str(champion.version))
        if version is None and previous:
            _check_base(name, champion, previous)
        make_move(client, name, Move(kind="rollback", who=who, when=now(), old=str(champion.version), new=new, why=why))
    return new


def look_at_moves(client: "MlflowClient", home: Home, stem: str) -> Move | None:
    """At the beginning of a night: finish what a crash left undone, and record a move by hand. Returns that one."""
    with registry_lock(home, stem):
        finish_move(client, model_name(stem))
        return notice_move(client, model_name(stem))


@contextmanager
def registry_lock(home: Home, stem: str) -> Iterator[None]:
    """Hold the lock under which the writer's aliases are moved; waits up to a minute for it. Raises AlreadyRunning."""
    engine = open_database(home.database_url)
    try:
        with only_one(engine, f"{stem}-champion", "moving the champion", patience=LOCK_SECONDS):
            yield
    finally:
        engine.dispose()


def adapter_digest(adapter: Path) -> str:
    """SHA-256 (hex) of an adapter's weights."""
    with (adapter / ADAPTER_FILE).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_champion(client: "MlflowClient", stem: str, adapter: Path) -> bool:
    """Whether these weights are the champion's."""
    champion = alias_version(client, stem, CHAMPION)
    return champion is not None and champion.tags.get(DIGEST_TAG) == adapter_digest(adapter)


def _named(version: str | None) -> str:
    return f"version {version} as the champion" if version else "no champion"


def _registered(client: "MlflowClient", writer: Writer, run_id: str, digest: str, tags: Mapping[str, str]) -> str:
    """The version of these weights; made when there is none, with what MLflow needs to load it."""
    name = model_name(writer.stem)
    for version in client.search_model_versions(f"name = '{name}' and tags.{DIGEST_TAG} = '{digest}'"):
        return str(version.version)
    source, known = f"{client.get_run(run_id).info.artifact_uri}/adapter", {**tags, DIGEST_TAG: digest}
    log_model(client, writer, name, run_id, known)
    return str(client.create_model_version(name, source=source, run_id=run_id, tags=known, description=_note(tags)).version)


def _note(tags: Mapping[str, str]) -> str:
    """A version's description: what it was trained on and with, and why it was registered."""
    facts = ", ".join(f"{name} {tags[name]}" for name in ("arm", "recipe", "base") if name in tags)
    return "\n\n".join(part for part in (tags.get("why", ""), facts) if part)


def _check_version(client: "MlflowClient", name: str, version: str, champion: str) -> None:
    if version == champion:
        raise PromotionError(f"Version {version} of {name} is the champion already.")
    there = sorted((str(found.version) for found in client.search_model_versions(f"name = '{name}'")), key=int)
    if version not in there:
        raise PromotionError(f"{name} has no version {version}; there are: {', '.join(there)}.")


def _check_base(name: str, champion: "ModelVersion", previous: "ModelVersion") -> None:
    """What was the champion before the alias was removed to start anew on another base is no version to go back to unasked."""
    bases = [version.tags.get("base", "") for version in (champion, previous)]
    if bases[0] != bases[1]:
        raise PromotionError(
            f"The previous champion of {name}, version {previous.version}, has another base ({bases[1]}) than version "
            f"{champion.version} ({bases[0]}). Nothing was moved; name the version if that is what you want."
        )


def _make_model(client: "MlflowClient", name: str, description: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description=description)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
