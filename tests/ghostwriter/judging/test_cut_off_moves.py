"""Promotions and roll backs whose process ends anywhere: the next one finishes them, and nothing else."""

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from ghostwriter.home import Home
from ghostwriter.judging.moves import CHAMPION, PENDING_TAG, PREVIOUS, history
from ghostwriter.judging.promote import promote, roll_back
from ghostwriter.writer import Writer
from tests.ghostwriter.judging.conftest import NAME, promoted, trained, versions


class Crash(Exception):
    """Stands for the end of the process."""


class CrashingClient:
    """A real client whose process ends before a chosen call (method, and value of its last argument)."""

    def __init__(self, client: MlflowClient, method: str, last: str | None) -> None:
        self._client, self._method, self._last = client, method, last

    def __getattr__(self, method: str) -> Any:
        real = getattr(self._client, method)

        def call(*arguments: Any, **named: Any) -> Any:
            if method == self._method and self._last in (None, arguments[-1]):
                raise Crash(method)
            return real(*arguments, **named)

        return call


CRASHES = [
    ("set_registered_model_alias", "1"),
    ("set_registered_model_alias", "2"),
    ("log_dict", None),
    ("delete_registered_model_tag", None),
]


@pytest.mark.parametrize(("method", "last"), CRASHES, ids=["before previous", "before champion", "before the record", "before the end"])
def test_a_promotion_cut_off_anywhere_is_finished_by_the_next_run(
    method: str, last: str | None, client: MlflowClient, home: Home, writer: Writer, tmp_path: Path
) -> None:
    promoted(client, home, writer, tmp_path, b"one")
    run_id, adapter = trained(client, tmp_path, b"two")
    with pytest.raises(Crash):
        promote(
            CrashingClient(client, method, last),  # type: ignore[arg-type]
            home,
            writer,
            run_id,
            adapter,
            {},
            champion="1",
            who="me",
            why="better",
            numbers={},
        )
    assert promote(client, home, writer, run_id, adapter, {}, champion="1", who="me", why="better", numbers={}) == "2"
    assert versions(client) == {CHAMPION: "2", PREVIOUS: "1"}
    assert [(move.old, move.new) for move in history(client, NAME)] == [(None, "1"), ("1", "2")]
    assert PENDING_TAG not in client.get_registered_model(NAME).tags


def test_a_roll_back_cut_off_between_the_aliases_is_finished_not_undone(
    client: MlflowClient, home: Home, writer: Writer, tmp_path: Path
) -> None:
    promoted(client, home, writer, tmp_path, b"one")
    promoted(client, home, writer, tmp_path, b"two")
    for method in ("set_registered_model_alias", "log_dict"):
        crashing: Any = CrashingClient(client, method, "1" if method == "set_registered_model_alias" else None)
        with pytest.raises(Crash):
            roll_back(crashing, home, "lamplight", who="me", why="it loops")
    assert roll_back(client, home, "lamplight", who="me", why="it loops") == "1"
    assert versions(client) == {CHAMPION: "1", PREVIOUS: "2"}
    assert [move.kind for move in history(client, NAME)] == ["promotion", "promotion", "rollback"]


def cut_off(client: MlflowClient, home: Home, writer: Writer, folder: Path) -> None:
    """Champion 2, and a promotion of 3 that ends before any alias is moved."""
    promoted(client, home, writer, folder, b"one")
    promoted(client, home, writer, folder, b"two")
    with pytest.raises(Crash):
        promoted(CrashingClient(client, "set_registered_model_alias", "2"), home, writer, folder, b"three")  # type: ignore[arg-type]


def test_a_move_cut_off_is_not_finished_over_the_owners_own(client: MlflowClient, home: Home, writer: Writer, tmp_path: Path) -> None:
    cut_off(client, home, writer, tmp_path)
    client.set_registered_model_alias(NAME, CHAMPION, "1")
    assert promoted(client, home, writer, tmp_path, b"four") == "4"
    assert versions(client) == {CHAMPION: "4", PREVIOUS: "1"}


def test_a_move_cut_off_to_a_version_that_is_deleted_stops_nothing(
    client: MlflowClient, home: Home, writer: Writer, tmp_path: Path
) -> None:
    cut_off(client, home, writer, tmp_path)
    client.delete_model_version(NAME, "3")
    assert roll_back(client, home, "lamplight", who="me", why="it loops") == "1"
    assert versions(client) == {CHAMPION: "1", PREVIOUS: "2"}
