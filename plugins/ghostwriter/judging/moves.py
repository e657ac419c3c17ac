"""Moves of a writer's champion: what the aliases `champion` and `previous` are set to, who did it, when, and why.

A move is written down before it is made. Whoever moves next finishes what a crash between the two aliases left undone, unless
the owner has moved the alias elsewhere, or deleted one of the versions, since then: the owner's word is the later one.
A move by hand in MLflow's own page leaves no record there; the next night sees it, records it and goes on from it.
Its record is a tag of the registered model (`move.TIME`) and an artifact of the run that trained the new champion.
"""

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import RegisteredModel

log = logging.getLogger(__name__)

CHAMPION, PREVIOUS = "champion", "previous"
RECORD = "move."
BY_HAND = "by hand in MLflow"
PENDING_TAG = "unfinished_move"


class Move(BaseModel):
    """One change of the champion, from one version to another."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, serialize_by_alias=True)

    kind: Literal["promotion", "rollback", "by hand", "unknown"]
    who: str
    when: str
    """UTC, to the microsecond: it names the record."""
    old: str | None = Field(alias="from")
    new: str | None = Field(alias="to")
    """None: the alias was taken away by hand."""
    why: str
    numbers: dict[str, Any] = {}
    """What the verdict was made from (`Decision.numbers`); none for a roll back."""


def now() -> str:
    """The time of a move."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def make_move(client: "MlflowClient", name: str, move: Move) -> None:
    """Write the move down, make it, and record it. Only under the lock of the writer's registry."""
    client.set_registered_model_tag(name, PENDING_TAG, move.model_dump_json())
    _carry_out(client, name, move)


def finish_move(client: "MlflowClient", name: str) -> Move | None:
    """Finish the move that a crash interrupted; None when there is none, or the owner has moved on since.

    Only under the lock of the writer's registry.
    """
    model = _registered_model(client, name)
    if model is None or PENDING_TAG not in model.tags:
        return None
    move = Move.model_validate_json(model.tags[PENDING_TAG])
    if not _still_wanted(client, model, move):
        log.warning("A move of %s from %s to %s was cut off, and is not finished: %s was changed since.", name, move.old, move.new, name)
        client.delete_registered_model_tag(name, PENDING_TAG)
        return None
    _carry_out(client, name, move)
    return move


def notice_move(client: "MlflowClient", name: str) -> Move | None:
    """Record that the champion is not where the last move left it: someone moved the alias in MLflow. None when it is.

    Rolling back then leads to the version it was taken from, unless `previous` was moved by hand as well.
    Only under the lock of the writer's registry, and after `finish_move`.
    """
    model = _registered_model(client, name)
    if model is None:
        return None
    last, champion = next(iter(history(client, name)[-1:]), None), _alias(model, CHAMPION)
    old = last.new if last else None
    if champion == old:
        return None
    move = Move(kind="by hand", who=BY_HAND, when=now(), old=old, new=champion, why="The alias `champion` was moved in MLflow.")
    there = {str(version.version) for version in client.search_model_versions(f"name = '{name}'")}
    if champion and old in there and last and _alias(model, PREVIOUS) == last.old:
        client.set_registered_model_alias(name, PREVIOUS, old)
    _record(client, name, move)
    log.warning("The champion of %s was moved by hand in MLflow, from version %s to %s; it stays there.", name, old, champion)
    return move


def history(client: "MlflowClient", name: str) -> list[Move]:
    """All moves on record, the oldest first. Those of version 0.1 do not say their kind."""
    model = _registered_model(client, name)
    tags = model.tags if model else {}
    records = sorted((key, json.loads(value)) for key, value in tags.items() if key.startswith(RECORD))
    return [Move.model_validate({"kind": "unknown", **record}) for _, record in records]


def _carry_out(client: "MlflowClient", name: str, move: Move) -> None:
    """Every step may be done twice."""
    assert move.new is not None
    if move.old is not None:
        client.set_registered_model_alias(name, PREVIOUS, move.old)
    client.set_registered_model_alias(name, CHAMPION, move.new)
    _record(client, name, move)
    client.delete_registered_model_tag(name, PENDING_TAG)


def _record(client: "MlflowClient", name: str, move: Move) -> None:
    """Write a move into the run of the version it leads to, and then among the model's tags."""
    run_id = client.get_model_version(name, move.new).run_id if move.new else None
    if run_id:
        client.log_dict(run_id, move.model_dump(mode="json"), f"moves/{move.when.replace(':', '-')}.json")
    client.set_registered_model_tag(name, f"{RECORD}{move.when}", move.model_dump_json())


def _still_wanted(client: "MlflowClient", model: "RegisteredModel", move: Move) -> bool:
    """Whether the champion is where the move found or left it, and both versions exist."""
    there = {str(version.version) for version in client.search_model_versions(f"name = '{model.name}'")}
    return _alias(model, CHAMPION) in (move.old, move.new) and {move.old, move.new} - {None} <= there


def _alias(model: "RegisteredModel", alias: str) -> str | None:
    version = model.aliases.get(alias)
    return None if version is None else str(version)


def _registered_model(client: "MlflowClient", name: str) -> "RegisteredModel | None":
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
