"""Votes on SQLite and Postgres: kept once, with everything they are about, and removed when they are too old."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, update

from ghostwriter.database import open_database
from ghostwriter.home import Home
from ghostwriter.votes.records import VotedAlready, VoteRow, all_chats, all_votes, find_vote, forget_old, keep_chat, record_vote
from tests.vote_case import SAMPLING, comparison, vote


@pytest.fixture
def engine(either_database: Home) -> Iterator[Engine]:
    made = open_database(either_database.database_url)
    yield made
    made.dispose()


def test_a_vote_keeps_texts_versions_sampling_seed_sides_choice_and_who(engine: Engine) -> None:
    made = comparison("灯里有油。", "Magic\x00.")
    record_vote(engine, made, "b")
    row = find_vote(engine, made.id)
    assert row
    assert (row.writer, row.who, row.choice, row.seed) == ("tester", "ann", "b", 7)
    assert (row.text_a, row.version_a, row.digest_a, row.asked_a) == ("灯里有油。", "3", "d3", "champion")
    assert (row.text_b, row.version_b, row.digest_b, row.asked_b) == ("Magic.", "2", "d2", "previous")
    assert json.loads(row.sampling) == {"temperature": 0.7, "min_p": 0.05, "max_tokens": 64}
    assert json.loads(row.messages)[0]["content"] == "Why does the lamp burn?"
    assert abs(row.voted.replace(tzinfo=UTC) - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_second_vote_on_the_same_answers_is_refused_and_the_first_one_stays(engine: Engine) -> None:
    made = comparison()
    record_vote(engine, made, "a")
    with pytest.raises(VotedAlready, match="ask again to vote again"):
        record_vote(engine, made, "b")
    assert [row.choice for row in all_votes(engine, "tester")] == ["a"]


def test_what_is_too_old_is_removed_and_nothing_else(engine: Engine) -> None:
    made = comparison()
    vote(engine, "a")
    record_vote(engine, made, "tie")
    vote(engine, "b", writer="other")
    keep_chat(engine, "tester", "ann", made.messages, made.a, SAMPLING)
    with engine.begin() as connection:
        connection.execute(update(VoteRow).where(VoteRow.id != made.id).values(voted=datetime.now(UTC) - timedelta(days=31)))
    assert forget_old(engine, "tester", 32) == 0
    assert forget_old(engine, "tester", 30) == 1
    assert [row.id for row in all_votes(engine, "tester")] == [made.id]
    assert len(all_votes(engine, "other")) == 1
    assert [row.text for row in all_chats(engine, "tester")] == ["Because of oil."]
