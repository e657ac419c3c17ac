"""A champion that its owner moves in MLflow's own page: noticed by whoever looks next, written down, and left where it is."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from ghostwriter.errors import PromotionError
from ghostwriter.home import Home
from ghostwriter.judging.moves import BY_HAND, CHAMPION, PREVIOUS, Move, history
from ghostwriter.judging.promote import look_at_moves, promote, roll_back
from ghostwriter.writer import Writer
from tests.ghostwriter.judging.conftest import NAME, promoted, trained, versions


@pytest.fixture
def three(client: MlflowClient, home: Home, writer: Writer, tmp_path: Path) -> MlflowClient:
    """Versions 1 to 3, the last of them the champion."""
    for weights in (b"one", b"two", b"three"):
        promoted(client, home, writer, tmp_path, weights)
    return client


def last(client: MlflowClient) -> Move:
    return history(client, NAME)[-1]


def test_a_move_by_hand_is_recorded_once_and_stays(three: MlflowClient, home: Home) -> None:
    three.set_registered_model_alias(NAME, CHAMPION, "1")
    noticed = look_at_moves(three, home, "lamplight")
    assert noticed and (noticed.kind, noticed.who, noticed.old, noticed.new) == ("by hand", "by hand in MLflow", "3", "1")
    assert look_at_moves(three, home, "lamplight") is None
    assert last(three) == noticed and len(history(three, NAME)) == 4
    assert versions(three) == {CHAMPION: "1", PREVIOUS: "3"}
    run_id = three.get_model_version(NAME, "1").run_id
    assert run_id and len(three.list_artifacts(run_id, "moves")) == 2


def test_rolling_back_leads_to_the_version_it_was_taken_from(three: MlflowClient, home: Home) -> None:
    three.set_registered_model_alias(NAME, CHAMPION, "1")
    assert roll_back(three, home, "lamplight", who="me", why="a slip") == "3"
    assert [(move.kind, move.old, move.new) for move in history(three, NAME)[-2:]] == [("by hand", "3", "1"), ("rollback", "1", "3")]


def test_a_previous_that_was_moved_by_hand_as_well_stays_too(three: MlflowClient, home: Home) -> None:
    three.set_registered_model_alias(NAME, CHAMPION, "2")
    three.set_registered_model_alias(NAME, PREVIOUS, "1")
    look_at_moves(three, home, "lamplight")
    assert versions(three) == {CHAMPION: "2", PREVIOUS: "1"}


def test_a_verdict_against_the_champion_before_it_promotes_nothing(three: MlflowClient, home: Home, writer: Writer, tmp_path: Path) -> None:
    run_id, adapter = trained(three, tmp_path, b"four")
    three.set_registered_model_alias(NAME, CHAMPION, "1")
    with pytest.raises(PromotionError, match=r"made against version 3 as the champion, but by now version 1"):
        promote(three, home, writer, run_id, adapter, {}, champion="3", who="night", why="better", numbers={})
    assert versions(three)[CHAMPION] == "1" and last(three).who == BY_HAND


def test_an_alias_that_was_taken_away_is_recorded_and_the_next_promotion_starts_anew(
    three: MlflowClient, home: Home, writer: Writer, tmp_path: Path
) -> None:
    three.delete_registered_model_alias(NAME, CHAMPION)
    noticed = look_at_moves(three, home, "lamplight")
    assert noticed and (noticed.old, noticed.new) == ("3", None)
    assert promoted(three, home, writer, tmp_path, b"four") == "4"
    assert (last(three).kind, last(three).old, last(three).new) == ("promotion", None, "4")


def test_without_a_model_or_a_move_there_is_nothing_to_record(client: MlflowClient, home: Home, writer: Writer, tmp_path: Path) -> None:
    assert look_at_moves(client, home, "lamplight") is None
    promoted(client, home, writer, tmp_path, b"one")
    assert look_at_moves(client, home, "lamplight") is None
